// Few rows of x times packed weights: x is rounded to int8, 32 elements to a
// scale, and multiplied as integers with what the blocks hold (docs/numerics.md),
// or, exactly, as f32 with the values they stand for.
#include "cuda/dispatch.h"
#include "cuda/few_rows.cuh"
#include "cuda/launch.h"
#include "cuda/packed_groups.cuh"

namespace tl::cuda {
namespace {

// 32 elements of x: about scale * q. sum[h]: scale times the sum of q over the
// 16 of half h. All are NaN where x is not finite.
struct RoundedGroup {
  float scale;
  float sum[2];
  float unused;
  uint4 q[2];
};

struct RowsOfX {
  const std::byte* data;
  int64_t row, col, batch;  // strides
  int64_t m, k;
};

template <class T>
TL_DEVICE float ElementOf(const RowsOfX& x, int64_t product, int64_t row,
                          int64_t i) {
  return ToFloat(reinterpret_cast<const T*>(
      x.data)[product * x.batch + row * x.row + i * x.col]);
}

// Of a warp, an element a lane.
TL_DEVICE void RoundGroup(float value, RoundedGroup& to) {
  const bool finite = __all_sync(
      kFullWarp, (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u);
  const float top =
      WarpReduce(fabsf(value), [](float a, float b) { return a > b ? a : b; });
  // Below this 127 / top overflows; such a group is as good as zero.
  const bool tiny = !(top > 127 * 0x1p-126f);
  const float inverse = finite && !tiny ? 127 / top : 0.0f;
  const int q = finite ? __float2int_rn(value * inverse) : 0;
  const float scale = !finite ? __uint_as_float(0x7fc00000u)
                      : tiny  ? 0.0f
                              : top / 127;
  reinterpret_cast<int8_t*>(to.q)[Lane()] = static_cast<int8_t>(q);
  const float sum =
      WarpReduce(static_cast<float>(q), Plus(), kPackedGroup / 2);
  if (Lane() % 16 == 0) to.sum[Lane() / 16] = scale * sum;
  if (Lane() == 0) to.scale = scale;
}

// A warp for each group; they follow each other as [product, row, group].
template <class T>
__global__ void RoundKernel(const RowsOfX x, int64_t groups, RoundedGroup* to) {
  const int64_t step = GridThreads() / kWarpSize;
  for (int64_t at = GridThread() / kWarpSize; at < groups; at += step) {
    const int64_t per_row = x.k / kPackedGroup, row = at / per_row;
    RoundGroup(ElementOf<T>(x, row / x.m, row % x.m,
                            at % per_row * kPackedGroup + Lane()),
               to[at]);
  }
}

TL_DEVICE float DotOfHalf(const uint32_t* w, const uint4& x) {
  int sum = __dp4a(static_cast<int>(w[0]), static_cast<int>(x.x), 0);
  sum = __dp4a(static_cast<int>(w[1]), static_cast<int>(x.y), sum);
  sum = __dp4a(static_cast<int>(w[2]), static_cast<int>(x.z), sum);
  sum = __dp4a(static_cast<int>(w[3]), static_cast<int>(x.w), sum);
  return static_cast<float>(sum);
}

template <class Type>
TL_DEVICE float Product(const PackedGroup& w, const RoundedGroup& x) {
  const float low = DotOfHalf(w.q, x.q[0]), high = DotOfHalf(w.q + 4, x.q[1]);
  float product = x.scale * (w.scale[0] * low + w.scale[1] * high);
  if constexpr (Type::kHasOffset) {
    product += w.offset[0] * x.sum[0] + w.offset[1] * x.sum[1];
  }
  return product;
}

template <class Type, int kRows, class Finisher>
__global__ void __launch_bounds__(kFewRowsThreads)
    Int8Kernel(const __grid_constant__ FewRows p,
               const __grid_constant__ Finisher finish) {
  const int64_t column = ColumnOfWarp();
  if (column >= p.n) return;
  const int64_t groups = p.k / kPackedGroup;
  const auto* x = reinterpret_cast<const RoundedGroup*>(p.x) +
                  blockIdx.y * p.m * groups;
  const auto* w = reinterpret_cast<const uint8_t*>(
      p.w + blockIdx.y * p.w_batch + column * p.w_row);
  float sums[kRows] = {};
  for (int64_t g = Lane(); g < groups; g += kWarpSize) {
    PackedGroup group;
    UnpackGroup<Type>(w, g, group);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r < p.m) sums[r] += Product<Type>(group, x[r * groups + g]);
    }
  }
  FinishColumn(p, column, sums, finish);
}

template <class Type, class T, class Finisher>
__global__ void __launch_bounds__(kFewRowsThreads)
    ExactKernel(const __grid_constant__ FewRows p,
                const __grid_constant__ RowsOfX x,
                const __grid_constant__ Finisher finish) {
  constexpr int kRows = kFewRows;
  const int64_t column = ColumnOfWarp();
  if (column >= p.n) return;
  const auto* w = reinterpret_cast<const uint8_t*>(
      p.w + blockIdx.y * p.w_batch + column * p.w_row);
  float sums[kRows] = {};
  for (int64_t g = Lane(); g < p.k / kPackedGroup; g += kWarpSize) {
    PackedGroup group;
    UnpackGroup<Type>(w, g, group);
    for (int i = 0; i < kPackedGroup; ++i) {
      const float weight = DecodedAt<Type>(group, i);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= p.m) continue;
        const float value = ElementOf<T>(x, blockIdx.y, r, g * kPackedGroup + i);
        sums[r] = fmaf(weight, value, sums[r]);
      }
    }
  }
  FinishColumn(p, column, sums, finish);
}

LaunchShape ShapeOf(const FewRows& p, int64_t count) {
  constexpr int kWarps = kFewRowsThreads / kWarpSize;
  return {{static_cast<unsigned>(CeilDiv(p.n, kWarps)),
           static_cast<unsigned>(count)},
          {kFewRowsThreads}};
}

template <class Type, class Finisher>
void StartInt8(const FewRows& p, int64_t count, const Finisher& finish) {
  const LaunchShape shape = ShapeOf(p, count);
  if (p.m == 1) {
    Launch(Int8Kernel<Type, 1, Finisher>, shape, p, finish);
  } else if (p.m <= 4) {
    Launch(Int8Kernel<Type, 4, Finisher>, shape, p, finish);
  } else {
    Launch(Int8Kernel<Type, 8, Finisher>, shape, p, finish);
  }
}

template <class Type, class Finisher>
void StartExact(const FewRows& p, const RowsOfX& x, DType x_dtype,
                int64_t count, const Finisher& finish) {
  WithFloats(x_dtype, [&](auto zero) {
    Launch(ExactKernel<Type, decltype(zero), Finisher>, ShapeOf(p, count), p, x,
           finish);
  });
}

void MultiplyPart(const MatmulProblem& problem, const BatchRun& run, bool exact,
                  const FewRowsResult& result) {
  const Matrix &x = problem.x, &w = problem.w;
  const RowsOfX rows = {run.x,        x.row_stride, x.col_stride,
                        run.x_stride, problem.m,    problem.k};
  FewRows p = {problem.m, problem.k, problem.n, run.first, nullptr, 0, 0, run.w,
               BlockBytes(w.dtype, w.col_stride),
               BlockBytes(w.dtype, run.w_stride), result.dtype, false};
  if (exact) {
    WithPacked(w.dtype, [&](auto type) {
      WithFinisher(result, [&](const auto& finish) {
        StartExact<decltype(type)>(p, rows, x.dtype, run.count, finish);
      });
    });
    return;
  }
  const int64_t groups = run.count * problem.m * (problem.k / kPackedGroup);
  const auto rounded =
      Allocate(groups * static_cast<int64_t>(sizeof(RoundedGroup)));
  p.x = rounded.get();
  WithFloats(x.dtype, [&](auto zero) {
    Launch(RoundKernel<decltype(zero)>, ShapeFor(groups * kWarpSize), rows,
           groups, reinterpret_cast<RoundedGroup*>(rounded.get()));
  });
  WithPacked(w.dtype, [&](auto type) {
    WithFinisher(result, [&](const auto& finish) {
      StartInt8<decltype(type)>(p, run.count, finish);
    });
  });
}

}  // namespace

void MultiplyFewPackedRows(const MatmulProblem& problem, const BatchRun& run,
                           bool exact, const FewRowsResult& result) {
  constexpr int64_t kMostProducts = 65535;  // of a grid's second dimension
  for (int64_t at = 0; at < run.count; at += kMostProducts) {
    BatchRun part = run;
    part.first += at;
    part.count = run.count - at < kMostProducts ? run.count - at : kMostProducts;
    part.x += at * run.x_stride * ElementBytes(problem.x.dtype);
    part.w += BlockBytes(problem.w.dtype, at * run.w_stride);
    MultiplyPart(problem, part, exact, result);
  }
}

}  // namespace tl::cuda
