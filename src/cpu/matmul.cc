// Matrix products: which way, and what happens to a row of results. The ways
// are matmul_few_rows-inl.h (memory-bound) and matmul_blocked-inl.h.
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/matmul_problem.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/matmul.cc"
#include "cpu/matmul_blocked-inl.h"
#include "cpu/matmul_few_rows-inl.h"
#include "hwy/foreach_target.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void StoreRow(const float* values, int64_t count, T* to) {
  int64_t i = 0;
  for (; i + kTileLanes <= count; i += kTileLanes) {
    StoreFloat(LoadFloat(values + i), to + i);
  }
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StoreFirst(LoadFirst(values + i, rest), to + i, rest);
  }
}

// `count` products of row `row` (through all products of a batch) from column
// `col` on: rounded once, then through the epilogue if there is one.
void FinishRow(const KernelArgs& args, int64_t n, int64_t row, int64_t col,
               int64_t count, const float* values) {
  const View& out = args.outputs[0];
  const int64_t at = row * n + col;
  if (args.dtype == DType::F16) {
    StoreRow(values, count, out.as<uint16_t>() + at);
  } else {
    StoreRow(values, count, out.as<float>() + at);
  }
}

void MultiplyOne(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                 int64_t n, int64_t row0, const KernelArgs& args) {
  const auto finish = [&](int64_t row, int64_t col, int64_t count,
                          const float* values) {
    FinishRow(args, n, row0 + row, col, count, values);
  };
  if (CanWalk(w, m, n)) {
    MultiplyFewRows(x, w, m, k, n, finish);
  } else {
    MultiplyBlocked(x, w, m, k, n, finish);
  }
}

// No terms: every sum is 0.
void MultiplyNothing(int64_t rows, int64_t n, const KernelArgs& args) {
  constexpr int64_t kWidth = 256;
  ParallelFor(rows, 64, [&](int64_t begin, int64_t end) {
    const float zeros[kWidth] = {};
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t col = 0; col < n; col += kWidth) {
        FinishRow(args, n, row, col, std::min(kWidth, n - col), zeros);
      }
    }
  });
}

}  // namespace

void MatmulOfTarget(const MatmulProblem& problem, const KernelArgs& args) {
  const auto [m, k, n] = std::tuple(problem.m, problem.k, problem.n);
  if (m == 0 || n == 0 || problem.batch == 0) return;
  if (k == 0) return MultiplyNothing(problem.batch * m, n, args);
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      MultiplyOne(problem.XOf(i), problem.WOf(i), m, k, n, i * m, args);
    }
  };
  // Many small products share the threads as wholes, a few large ones are cut.
  constexpr int64_t kMany = 16;
  constexpr double kSmall = 1 << 20;
  const double work = static_cast<double>(m) * k * n;
  if (problem.batch >= kMany || work < kSmall) {
    const auto grain = static_cast<int64_t>(kSmall / work);
    ParallelFor(problem.batch, std::max<int64_t>(grain, 1), run);
  } else {
    run(0, problem.batch);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(MatmulOfTarget);

void Matmul(const KernelArgs& args) {
  const MatmulProblem problem = MatmulProblemOf(args.inputs[0], args.inputs[1]);
  HWY_DYNAMIC_DISPATCH(MatmulOfTarget)(problem, args);
}

}  // namespace tl::cpu
#endif
