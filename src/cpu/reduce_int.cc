#include "cpu/reduce_int.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "base/parallel.h"
#include "cpu/reduce_cut.h"

namespace tl::cpu {
namespace {

// Unsigned arithmetic wraps; signed overflow is undefined.
int32_t Wrap(uint32_t bits) { return static_cast<int32_t>(bits); }
uint32_t Bits(int32_t value) { return static_cast<uint32_t>(value); }

struct SumOf {
  static constexpr int32_t kStart = 0;
  static int32_t Take(int32_t sum, int32_t x) {
    return Wrap(Bits(sum) + Bits(x));
  }
  static constexpr auto Join = Take;
};
struct SquaresOf {
  static constexpr int32_t kStart = 0;
  static int32_t Take(int32_t sum, int32_t x) {
    return Wrap(Bits(sum) + Bits(x) * Bits(x));
  }
  static constexpr auto Join = SumOf::Take;
};
struct ProductOf {
  static constexpr int32_t kStart = 1;
  static int32_t Take(int32_t product, int32_t x) {
    return Wrap(Bits(product) * Bits(x));
  }
  static constexpr auto Join = Take;
};
struct LargestOf {
  static constexpr int32_t kStart = std::numeric_limits<int32_t>::min();
  static int32_t Take(int32_t a, int32_t b) { return std::max(a, b); }
  static constexpr auto Join = Take;
};
struct SmallestOf {
  static constexpr int32_t kStart = std::numeric_limits<int32_t>::max();
  static int32_t Take(int32_t a, int32_t b) { return std::min(a, b); }
  static constexpr auto Join = Take;
};

// The order in which units are joined does not matter: all of these are
// associative and commutative.
template <class Op>
void Reduce(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const ReduceCut cut = ReduceCut::Of(x, args.ints[0], args.ints[1]);
  const int32_t* data = x.as<int32_t>();
  int32_t* results = args.outputs[0].as<int32_t>();
  std::fill_n(results, cut.outer * cut.inner, Op::kStart);
  std::mutex mutex;
  ParallelFor(
      cut.tasks * cut.segments, cut.Grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t task = i / cut.segments;
          const ReduceCut::Unit unit = cut.UnitAt(task, i % cut.segments);
          int32_t partial[kMaxColumns];
          std::fill_n(partial, unit.columns, Op::kStart);
          for (int64_t row = 0; row < unit.rows; ++row) {
            const int32_t* from = data + unit.first + row * cut.inner;
            for (int64_t c = 0; c < unit.columns; ++c) {
              partial[c] = Op::Take(partial[c], from[c]);
            }
          }
          int32_t* to = results + cut.ResultAt(task);
          std::unique_lock lock(mutex, std::defer_lock);
          if (cut.segments > 1) lock.lock();
          for (int64_t c = 0; c < unit.columns; ++c) {
            to[c] = Op::Join(to[c], partial[c]);
          }
        }
      });
}

}  // namespace

void ReduceInt(const KernelArgs& args, IntReduction reduction) {
  switch (reduction) {
    case IntReduction::kSum:
      return Reduce<SumOf>(args);
    case IntReduction::kProduct:
      return Reduce<ProductOf>(args);
    case IntReduction::kLargest:
      return Reduce<LargestOf>(args);
    case IntReduction::kSmallest:
      return Reduce<SmallestOf>(args);
    case IntReduction::kSumSquares:
      return Reduce<SquaresOf>(args);
  }
}

}  // namespace tl::cpu
