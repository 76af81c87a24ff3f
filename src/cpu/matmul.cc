// Matrix products: which way, and what happens to a row of results. The ways
// are matmul_few_rows-inl.h (memory-bound) and matmul_blocked-inl.h; for packed
// weights matmul_int8_walk-inl.h and matmul_int8_tile-inl.h, or by way of
// float32 matmul_packed-inl.h.
#include <algorithm>
#include <optional>

#include "base/parallel.h"
#include "cpu/elementwise.h"
#include "cpu/kernels.h"
#include "exec/matmul_problem.h"

// foreach_target.h includes this file for the other targets, so it comes before
// what differs by target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/matmul.cc"
#include "hwy/foreach_target.h"
#include "cpu/float_rows-inl.h"
#include "cpu/matmul_blocked-inl.h"
#include "cpu/matmul_few_rows-inl.h"
#include "cpu/matmul_int8_tile-inl.h"
#include "cpu/matmul_int8_walk-inl.h"
#include "cpu/matmul_packed-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

// Where results go: rounded once, then through the epilogue if there is one.
class ResultWriter {
 public:
  ResultWriter(const KernelArgs& args, const ElementwiseGroup* epilogue)
      : out_(args.outputs[0]), dtype_(args.dtype), epilogue_(epilogue) {}

  // `count` products, the first of which is element `at` of the result.
  void Write(int64_t at, int64_t count, const float* values) const {
    if (dtype_ == DType::F16) {
      WriteAs<uint16_t>(at, count, values);
    } else {
      WriteAs<float>(at, count, values);
    }
  }

 private:
  template <class T>
  void WriteAs(int64_t at, int64_t count, const float* values) const {
    if (epilogue_ == nullptr) {
      return StoreRow(values, count, out_.as<T>() + at);
    }
    constexpr int64_t kStep = 512;
    alignas(64) T rounded[kStep];
    for (int64_t i = 0; i < count; i += kStep) {
      const int64_t some = std::min(kStep, count - i);
      StoreRow(values + i, some, rounded);
      epilogue_->RunFrom(reinterpret_cast<const std::byte*>(rounded), at + i,
                         at + i + some);
    }
  }

  const View& out_;
  DType dtype_;
  const ElementwiseGroup* epilogue_;
};

// Where a product's results begin, and how far apart its rows are.
struct Place {
  int64_t at;
  int64_t row_length;
};

// One product of F16 or F32 matrices.
void MultiplyFloats(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                    int64_t n, Place place, const ResultWriter& writer) {
  const auto finish = [&](int64_t row, int64_t col, int64_t count,
                          const float* values) {
    writer.Write(place.at + row * place.row_length + col, count, values);
  };
  if (CanWalk(w, m, n)) return MultiplyFewRows(x, w, m, k, n, finish);
  if (n == 1 && place.row_length == 1 && CanWalk(x.Transposed(), 1, m)) {
    // A matrix times a vector: the vector times the transposed matrix.
    return MultiplyFloats(w.Transposed(), x.Transposed(), 1, k, m,
                          {place.at, m}, writer);
  }
  MultiplyBlocked(x, w, m, k, n, finish);
}

// x @ w for packed w, in float32: strips of weights are decoded.
void MultiplyExactly(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                     int64_t n, int64_t at, const ResultWriter& writer) {
  MultiplyDecoded(w, k, n,
                  [&](const Matrix& strip, int64_t columns, int64_t col) {
                    MultiplyFloats(x, strip, m, k, columns, {at + col, n},
                                   writer);
                  });
}

// x @ w for packed w, in int8: nothing is decoded.
void MultiplyInInt8(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                    int64_t n, int64_t at, const ResultWriter& writer) {
  const auto finish = [&](int64_t row, int64_t col, int64_t count,
                          const float* values) {
    writer.Write(at + row * n + col, count, values);
  };
  if (m <= kWalkRows) {
    WalkInt8(x, w, m, k, n, finish);
  } else {
    MultiplyInt8(x, w, m, k, n, finish);
  }
}

// No terms: every sum is 0.
void WriteZeros(int64_t size, const ResultWriter& writer) {
  constexpr int64_t kStep = 4096;
  static constexpr float kZeros[kStep] = {};
  ParallelFor(size, kStep, [&](int64_t begin, int64_t end) {
    writer.Write(begin, end - begin, kZeros);
  });
}

}  // namespace

void MatmulOfTarget(const MatmulProblem& problem, const KernelArgs& args,
                    const ElementwiseGroup* epilogue) {
  const int64_t m = problem.m, k = problem.k, n = problem.n;
  const ResultWriter writer(args, epilogue);
  if (m == 0 || n == 0 || problem.batch == 0) return;
  if (k == 0) return WriteZeros(problem.batch * m * n, writer);
  const bool packed = IsPacked(problem.w.dtype);
  const bool exact = args.ints.size() > 1 && args.ints[1] == 1;
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Matrix x = problem.XOf(i), w = problem.WOf(i);
      const int64_t at = i * m * n;
      if (!packed) {
        MultiplyFloats(x, w, m, k, n, {at, n}, writer);
      } else if (exact) {
        MultiplyExactly(x, w, m, k, n, at, writer);
      } else {
        MultiplyInInt8(x, w, m, k, n, at, writer);
      }
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
  std::optional<ElementwiseGroup> epilogue;
  if (args.program != nullptr) {
    epilogue.emplace(*args.program, args.inputs.subspan(2), args.outputs);
  }
  HWY_DYNAMIC_DISPATCH(MatmulOfTarget)
  (problem, args, epilogue ? &*epilogue : nullptr);
}

}  // namespace tl::cpu
#endif
