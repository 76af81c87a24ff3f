// Softmax and its logarithm, f32 inside a row. A row that fits the registers of
// a block is read once; many of which a block holds few go through shared
// memory, fetched while others are worked on. Of a longer one the largest
// element and the sum are found first: by one block, which then reads it again
// from the cache, or by several where there are few rows.
#include <memory>

#include "cuda/float_math.cuh"
#include "cuda/kernels.h"
#include "cuda/row_ring.cuh"
#include "cuda/rows.cuh"

namespace tl::cuda {
namespace {

// Results in f16 do not show what the quicker one is off by.
TL_DEVICE float ExpFor(uint16_t, float x) { return QuickExp(x); }
TL_DEVICE float ExpFor(float, float x) { return expf(x); }

// A sum of exponentials of which at least one is 1. Those are counted: beside
// them the rest would lose its digits, which the logarithm of a sum near 1 is
// made of.
struct CountedSum {
  float rest, ones;

  TL_DEVICE void Add(float exponential) {
    rest += exponential == 1 ? 0 : exponential;
    ones += exponential == 1 ? 1 : 0;
  }
  TL_DEVICE float Log() const { return log1pf(ones - 1 + rest); }
};

struct JoinCounted {
  TL_DEVICE CountedSum operator()(CountedSum a, CountedSum b) const {
    return {a.rest + b.rest, a.ones + b.ones};
  }
};

template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    SoftmaxRows(const T* x, To* y, int64_t rows, int count, bool log) {
  const auto [row, inside] = RowOfThread(rows);
  float values[kRowFloats<kWidth>];
  LoadRow<kWidth>(x + row * count, count, -INFINITY, values);
  float largest = values[0];
#pragma unroll
  for (float value : values) largest = fmaxf(largest, value);
  largest = RowReduce(largest, Larger{});
  CountedSum sum = {0, 0};
#pragma unroll
  for (float& value : values) {
    const float exponential = ExpFor(To{}, value - largest);
    sum.Add(exponential);
    value = log ? value - largest : exponential;
  }
  sum = RowReduce(sum, JoinCounted{});
  const float scale = 1 / (sum.ones + sum.rest), lower = sum.Log();
  if (!inside) return;
  StoreRow<kWidth>(values, count, y + row * count, [&](float value, int) {
    return log ? value - lower : value * scale;
  });
}

// As SoftmaxRows. Exponentials are taken twice: room to keep them would be room
// for fewer rows on their way.
template <class T, class To>
__global__ void __launch_bounds__(kMostRowThreads)
    SoftmaxRing(RowRing<T> ring, To* y, bool log) {
  constexpr int kWidth = RowRing<T>::kWidth;
  RingReduce reduce;
  ring.ForEachRow([&](int64_t row, int stage) {
    float largest = -INFINITY;
    ring.ForEachPack(stage, [&](const float(&values)[kWidth], int, int) {
#pragma unroll
      for (float value : values) largest = fmaxf(largest, value);
    });
    largest = reduce(largest, Larger{}, -INFINITY);
    CountedSum sum = {0, 0};
    ring.ForEachPack(stage, [&](const float(&values)[kWidth], int, int) {
#pragma unroll
      for (float value : values) {
        const float exponential = ExpFor(To{}, value - largest);
        if (log) {
          sum.Add(exponential);
        } else {
          sum.rest += exponential;  // only the logarithm needs them apart
        }
      }
    });
    sum = reduce(sum, JoinCounted{}, CountedSum{0, 0});
    const float scale = 1 / sum.rest, lower = log ? sum.Log() : 0;
    ring.ForEachPack(stage, [&](float(&values)[kWidth], int, int at) {
#pragma unroll
      for (float& value : values) {
        const float apart = value - largest;
        value = log ? apart - lower : ExpFor(To{}, apart) * scale;
      }
      StoreFloats(values, y + row * ring.count + at);
    });
  });
}

// Of some elements: the largest, and the sum of exp(element - largest).
struct Spread {
  float largest;
  float sum;
};

// What exponents are taken from: nothing larger than -inf was seen yet, and
// -inf - -inf would be NaN.
TL_DEVICE float ShiftOf(float largest) {
  return largest == -INFINITY ? 0 : largest;
}

struct JoinSpreads {
  TL_DEVICE Spread operator()(Spread a, Spread b) const {
    const float largest = fmaxf(a.largest, b.largest);
    const float shift = ShiftOf(largest);
    return {largest, __fadd_rn(__fmul_rn(a.sum, expf(a.largest - shift)),
                               __fmul_rn(b.sum, expf(b.largest - shift)))};
  }
};

template <class To, int kWidth, class T>
TL_DEVICE Spread SpreadOf(const T* row, int64_t begin, int64_t end) {
  Spread spread = {-INFINITY, 0};
  const int64_t whole = int64_t{blockDim.x} * kRowFloats<kWidth>;
  for (int64_t at = begin; at < end; at += whole) {
    const int count = static_cast<int>(end - at < whole ? end - at : whole);
    float values[kRowFloats<kWidth>];
    LoadRow<kWidth>(row + at, count, -INFINITY, values);
    float largest = spread.largest;
#pragma unroll
    for (float value : values) largest = fmaxf(largest, value);
    const float shift = ShiftOf(largest);
    float sum = spread.sum * expf(spread.largest - shift);
#pragma unroll
    for (float value : values) sum += ExpFor(To{}, value - shift);
    spread = {largest, sum};
  }
  return BlockReduce(spread, JoinSpreads{});
}

template <int kWidth, class T, class To>
TL_DEVICE void WriteSoftmax(const T* from, int64_t begin, int64_t end,
                            Spread spread, bool log, To* to) {
  const float scale = 1 / spread.sum, lower = logf(spread.sum);
  const int64_t whole = int64_t{blockDim.x} * kRowFloats<kWidth>;
  for (int64_t at = begin; at < end; at += whole) {
    const int count = static_cast<int>(end - at < whole ? end - at : whole);
    float values[kRowFloats<kWidth>];
    LoadRow<kWidth>(from + at, count, -INFINITY, values);
    StoreRow<kWidth>(values, count, to + at, [&](float value, int) {
      const float apart = value - spread.largest;
      return log ? apart - lower : ExpFor(To{}, apart) * scale;
    });
  }
}

// A block a row.
template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    SoftmaxLongRows(const T* x, To* y, RowCut cut, bool log) {
  const RowPart part = PartOfBlock(cut);
  const int64_t at = part.row * cut.count;
  const Spread spread = SpreadOf<To, kWidth>(x + at, part.begin, part.end);
  WriteSoftmax<kWidth>(x + at, part.begin, part.end, spread, log, y + at);
}

template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    SpreadsOfSegments(const T* x, RowCut cut, Spread* spreads) {
  const RowPart part = PartOfBlock(cut);
  const Spread spread =
      SpreadOf<To, kWidth>(x + part.row * cut.count, part.begin, part.end);
  if (threadIdx.x == 0) spreads[blockIdx.x] = spread;
}

template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    SoftmaxSegments(const T* x, To* y, RowCut cut, const Spread* spreads,
                    bool log) {
  const RowPart part = PartOfBlock(cut);
  const int64_t at = part.row * cut.count;
  Spread spread = {-INFINITY, 0};
  for (int64_t i = threadIdx.x; i < cut.segments; i += blockDim.x) {
    spread = JoinSpreads{}(spread, spreads[part.row * cut.segments + i]);
  }
  spread = BlockReduce(spread, JoinSpreads{});
  WriteSoftmax<kWidth>(x + at, part.begin, part.end, spread, log, y + at);
}

template <class T, class To, int kWidth>
void RunLong(const T* x, To* y, int64_t rows, int64_t count, bool log) {
  constexpr int64_t kManyRows = 64;
  constexpr int64_t kThreads = 512;
  constexpr int64_t kFewBlocks = 128;
  if (rows >= kManyRows) {
    const RowCut cut = {rows, count, count, 1};
    return Launch(SoftmaxLongRows<T, To, kWidth>, cut.shape(kMostRowThreads), x,
                  y, cut, log);
  }
  int64_t segment = kThreads * kRowFloats<kWidth>;
  if (rows * CeilDiv(count, segment) < kFewBlocks) segment = kThreads * kWidth;
  const RowCut cut = {rows, count, segment, CeilDiv(count, segment)};
  const auto memory = Allocate(rows * cut.segments * int64_t{sizeof(Spread)});
  auto* spreads = reinterpret_cast<Spread*>(memory.get());
  Launch(SpreadsOfSegments<T, To, kWidth>, cut.shape(kThreads), x, cut,
         spreads);
  Launch(SoftmaxSegments<T, To, kWidth>, cut.shape(kThreads), x, y, cut,
         spreads, log);
}

template <class T, class To, int kWidth>
void RunRows(const T* x, To* y, int64_t rows, int64_t count, bool log) {
  if (count > kRowCapacity<kWidth>) {
    return RunLong<T, To, kWidth>(x, y, rows, count, log);
  }
  if constexpr (kWidth > 1) {
    constexpr int64_t kShortBytes = 16 << 10;
    if (const auto shape = RingShape<T>(rows, count, kShortBytes)) {
      const RowRing<T> ring = {x, rows, static_cast<int>(count)};
      return Launch(SoftmaxRing<T, To>, *shape, ring, y, log);
    }
  }
  Launch(SoftmaxRows<T, To, kWidth>, RowsShape<kWidth>(rows, count), x, y, rows,
         static_cast<int>(count), log);
}

void RunSoftmax(const KernelArgs& args, bool log) {
  const View& x = args.inputs[0];
  const View& y = args.outputs[0];
  if (y.size() == 0) return;
  const int64_t count = x.dims[x.rank - 1];
  const int64_t rows = y.size() / count;
  WithElements(x.dtype, [&]<class T>(T) {
    WithFloats(y.dtype, [&]<class To>(To) {
      constexpr int kWidth = std::is_same_v<T, int32_t> ? 1 : kWide<T>;
      if (IsAligned(x.data) && IsAligned(y.data) && count % kWidth == 0) {
        RunRows<T, To, kWidth>(x.as<T>(), y.as<To>(), rows, count, log);
      } else {
        RunRows<T, To, 1>(x.as<T>(), y.as<To>(), rows, count, log);
      }
    });
  });
}

}  // namespace

void Softmax(const KernelArgs& args) { RunSoftmax(args, false); }
void LogSoftmax(const KernelArgs& args) { RunSoftmax(args, true); }

}  // namespace tl::cuda
