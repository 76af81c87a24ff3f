#include "cuda/few_rows.cuh"

#include <type_traits>

#include "cuda/dispatch.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

constexpr int kStep = 8;  // elements a lane takes at once

template <class T>
TL_DEVICE void LoadFloats(const T* from, float (&to)[kStep]) {
  constexpr int kPacks = kStep / kWide<T>;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const auto pack = LoadPack<kWide<T>>(from + p * kWide<T>);
#pragma unroll
    for (int i = 0; i < kWide<T>; ++i) to[p * kWide<T> + i] = ToFloat(pack.at[i]);
  }
}

template <class X, class W, int kRows, class Finisher>
__global__ void __launch_bounds__(kFewRowsThreads)
    FewRowsKernel(const __grid_constant__ FewRows p,
                  const __grid_constant__ Finisher finish) {
  const int64_t column = ColumnOfWarp();
  if (column >= p.n) return;
  const X* x = reinterpret_cast<const X*>(p.x) + blockIdx.y * p.x_batch;
  const W* w = reinterpret_cast<const W*>(p.w) + blockIdx.y * p.w_batch +
               column * p.w_row;
  float sums[kRows] = {};
  const int64_t whole = p.wide ? p.k / kStep * kStep : 0;
#pragma unroll 2
  for (int64_t i = Lane() * kStep; i < whole; i += kWarpSize * kStep) {
    float weights[kStep], values[kStep];
    LoadFloats(w + i, weights);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= p.m) continue;
      LoadFloats(x + r * p.x_row + i, values);
#pragma unroll
      for (int j = 0; j < kStep; ++j) {
        sums[r] = fmaf(weights[j], values[j], sums[r]);
      }
    }
  }
  for (int64_t i = whole + Lane(); i < p.k; i += kWarpSize) {
    const float weight = ToFloat(w[i]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r < p.m) {
        sums[r] = fmaf(weight, ToFloat(x[r * p.x_row + i]), sums[r]);
      }
    }
  }
  FinishColumn(p, column, sums, finish);
}

template <class X, class W, int kRows>
void Start(const FewRows& p, int64_t count, const FewRowsResult& result) {
  constexpr int kWarps = kFewRowsThreads / kWarpSize;
  const LaunchShape shape = {
      {static_cast<unsigned>(CeilDiv(p.n, kWarps)), static_cast<unsigned>(count)},
      {kFewRowsThreads}};
  WithFinisher(result, [&](const auto& finish) {
    using Finisher = std::remove_cvref_t<decltype(finish)>;
    Launch(FewRowsKernel<X, W, kRows, Finisher>, shape, p, finish);
  });
}

}  // namespace

void MultiplyFewRows(const MatmulProblem& problem, const BatchRun& run,
                     const FewRowsResult& result) {
  constexpr int64_t kMostProducts = 65535;  // of a grid's second dimension
  const Matrix &x = problem.x, &w = problem.w;
  FewRows p = {problem.m,      problem.k, problem.n,      run.first,
               run.x,          x.row_stride, run.x_stride, run.w,
               w.col_stride,   run.w_stride, result.dtype, false};
  p.wide = IsAligned(p.x) && IsAligned(p.w) && p.x_row % kStep == 0 &&
           p.x_batch % kStep == 0 && p.w_row % kStep == 0 &&
           p.w_batch % kStep == 0;
  for (int64_t left = run.count; left > 0; left -= kMostProducts) {
    const int64_t count = left < kMostProducts ? left : kMostProducts;
    WithFloats(x.dtype, [&](auto x_zero) {
      WithFloats(w.dtype, [&](auto w_zero) {
        using X = decltype(x_zero);
        using W = decltype(w_zero);
        if (p.m == 1) return Start<X, W, 1>(p, count, result);
        if (p.m <= 4) return Start<X, W, 4>(p, count, result);
        Start<X, W, 8>(p, count, result);
      });
    });
    p.first += count;
    p.x += count * p.x_batch * ElementBytes(x.dtype);
    p.w += count * p.w_batch * ElementBytes(w.dtype);
  }
}

}  // namespace tl::cuda
