// Reductions of x[outer, reduced, inner] over its middle, for any operation. It
// is a struct with
//   Part    what a thread adds a few dozen elements to
//   Total   what parts, threads and blocks are joined in
//   Start() the neutral Part, Add(part, element, row, center), Join(total,
//   total) Store(total, result, i)  makes element i of the result of a total
//   kIntsOnly  whether it takes int32 alone
// How work is cut, and with it every bit, depends on the shape alone. A row is
// read once; long ones, and few columns, are cut into segments that a second
// launch joins.
#pragma once

#include <algorithm>
#include <memory>
#include <type_traits>

#include "cuda/block_reduce.cuh"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"

namespace tl::cuda {

struct ReduceShape {
  int64_t outer = 1, reduced = 1, inner = 1;
  int64_t segments = 1;  // along the reduced axis
  int64_t segment = 1;   // elements of one, fewer in the last

  int64_t results() const { return outer * inner; }
};

// Packs, or rows of columns, that a thread loads before it adds the first.
inline constexpr int kReduceTogether = 4;
inline constexpr int kReduceThreads = 256;
inline constexpr int64_t kMostSegments = 1024;

template <class Op>
TL_DEVICE typename Op::Total StartTotal() {
  return static_cast<typename Op::Total>(Op::Start());
}

// inner is 1: blockDim.x threads a segment, blockDim.y segments a block.
template <class Op, class T, int kWidth, class Result>
__global__ void __launch_bounds__(kReduceThreads)
    ReduceRows(const T* x, ReduceShape shape, const float* centers,
               Result result, typename Op::Total* partial) {
  using Total = typename Op::Total;
  const int64_t unit = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const bool inside = unit < shape.outer * shape.segments;
  const int64_t row = inside ? unit / shape.segments : 0;
  const int64_t begin = unit % shape.segments * shape.segment;
  const int64_t whole = begin + shape.segment;
  const int64_t end = !inside                 ? begin
                      : whole < shape.reduced ? whole
                                              : shape.reduced;
  const float center = centers == nullptr ? 0 : centers[row];
  const int64_t step = int64_t{blockDim.x} * kWidth;
  const T* from = x + row * shape.reduced;
  Total total = StartTotal<Op>();
  for (int64_t at = begin + int64_t{threadIdx.x} * kWidth; at < end;
       at += step * kReduceTogether) {
    Pack<T, kWidth> packs[kReduceTogether] = {};
#pragma unroll
    for (int p = 0; p < kReduceTogether; ++p) {
      if (at + p * step < end)
        packs[p] = LoadPack<kWidth>(from + at + p * step);
    }
    typename Op::Part part = Op::Start();
#pragma unroll
    for (int p = 0; p < kReduceTogether; ++p) {
      if (at + p * step >= end) break;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        part = Op::Add(part, packs[p].at[i], at + p * step + i, center);
      }
    }
    total = Op::Join(total, static_cast<Total>(part));
  }
  total = RowReduce(total, [](Total a, Total b) { return Op::Join(a, b); });
  if (!inside || threadIdx.x != 0) return;
  if (partial != nullptr) {
    partial[unit] = total;
  } else {
    Op::Store(total, result, row);
  }
}

// blockDim.x packs of columns, counted through all outer places, and
// blockDim.y rows at a time; blockIdx.y is the segment.
template <class Op, class T, int kWidth, class Result>
__global__ void __launch_bounds__(kReduceThreads)
    ReduceColumns(const T* x, ReduceShape shape, const float* centers,
                  Result result, typename Op::Total* partial) {
  using Total = typename Op::Total;
  __shared__ Total parts[kReduceThreads * kWidth];
  const int64_t packs = shape.inner / kWidth;
  const int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const bool inside = unit < shape.outer * packs;
  const int64_t place = inside ? unit / packs : 0;
  const int64_t column = inside ? unit % packs * kWidth : 0;
  const int64_t begin = int64_t{blockIdx.y} * shape.segment;
  const int64_t whole = begin + shape.segment;
  const int64_t end = !inside                 ? begin
                      : whole < shape.reduced ? whole
                                              : shape.reduced;
  const T* from = x + place * shape.reduced * shape.inner + column;
  float center[kWidth] = {};
  if (centers != nullptr) {
    for (int i = 0; i < kWidth; ++i) {
      center[i] = centers[place * shape.inner + column + i];
    }
  }
  Total totals[kWidth];
  for (int i = 0; i < kWidth; ++i) totals[i] = StartTotal<Op>();
  for (int64_t row = begin + threadIdx.y; row < end;
       row += int64_t{blockDim.y} * kReduceTogether) {
    Pack<T, kWidth> rows[kReduceTogether] = {};
#pragma unroll
    for (int r = 0; r < kReduceTogether; ++r) {
      const int64_t at = row + r * int64_t{blockDim.y};
      if (at < end) rows[r] = LoadPack<kWidth>(from + at * shape.inner);
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      typename Op::Part part = Op::Start();
#pragma unroll
      for (int r = 0; r < kReduceTogether; ++r) {
        const int64_t at = row + r * int64_t{blockDim.y};
        if (at < end) part = Op::Add(part, rows[r].at[i], at, center[i]);
      }
      totals[i] = Op::Join(totals[i], static_cast<Total>(part));
    }
  }
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int i = 0; i < kWidth; ++i) parts[thread * kWidth + i] = totals[i];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    const int other = thread + static_cast<int>(half * blockDim.x);
    for (int i = 0; i < kWidth; ++i) {
      parts[thread * kWidth + i] =
          Op::Join(parts[thread * kWidth + i], parts[other * kWidth + i]);
    }
  }
  if (!inside || threadIdx.y != 0) return;
  for (int i = 0; i < kWidth; ++i) {
    const Total total = parts[thread * kWidth + i];
    if (partial != nullptr) {
      const int64_t segment = place * shape.segments + blockIdx.y;
      partial[segment * shape.inner + column + i] = total;
    } else {
      Op::Store(total, result, place * shape.inner + column + i);
    }
  }
}

// blockDim.x lanes a result, blockDim.y results a block.
template <class Op, class Result>
__global__ void __launch_bounds__(kReduceThreads)
    JoinSegments(const typename Op::Total* partial, ReduceShape shape,
                 Result result) {
  using Total = typename Op::Total;
  const int64_t at = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const bool inside = at < shape.outer * shape.inner;
  const int64_t place = inside ? at / shape.inner : 0;
  const int64_t column = inside ? at % shape.inner : 0;
  Total total = StartTotal<Op>();
  for (int64_t i = threadIdx.x; inside && i < shape.segments; i += blockDim.x) {
    total = Op::Join(
        total, partial[(place * shape.segments + i) * shape.inner + column]);
  }
  total = RowReduce(total, [](Total a, Total b) { return Op::Join(a, b); });
  if (inside && threadIdx.x == 0) Op::Store(total, result, at);
}

// Axes first..last of x go.
inline ReduceShape ReduceShapeOf(const View& x, int64_t first, int64_t last) {
  ReduceShape shape;
  for (int axis = 0; axis < x.rank; ++axis) {
    int64_t& part = axis < first   ? shape.outer
                    : axis <= last ? shape.reduced
                                   : shape.inner;
    part *= x.dims[axis];
  }
  return shape;
}

inline void CutInto(int64_t segments, int64_t multiple, ReduceShape& shape) {
  segments = std::clamp<int64_t>(segments, 1, kMostSegments);
  shape.segment =
      CeilDiv(CeilDiv(shape.reduced, segments), multiple) * multiple;
  shape.segment = std::max(shape.segment, multiple);
  shape.segments = std::max<int64_t>(1, CeilDiv(shape.reduced, shape.segment));
}

inline unsigned BlocksFor(int64_t units, int64_t per_block) {
  return static_cast<unsigned>(CeilDiv(units, per_block));
}

// Two packs of a short row to a thread, a block to a long one.
inline dim3 RowThreads(int64_t count, int width) {
  const int64_t lanes = PowerOfTwoFrom(CeilDiv(count, 2 * width));
  if (lanes <= kWarpSize) {
    return dim3{static_cast<unsigned>(lanes),
                static_cast<unsigned>(kReduceThreads / lanes)};
  }
  const int64_t threads = PowerOfTwoFrom(CeilDiv(count, 4 * width));
  return dim3{
      static_cast<unsigned>(std::clamp<int64_t>(threads, 64, kReduceThreads))};
}

template <class Op, class Result>
class Reducer {
 public:
  Reducer(const View& x, const ReduceShape& shape, const float* centers,
          const Result& result)
      : x_(x), shape_(shape), centers_(centers), result_(result) {}

  void Run() {
    if (shape_.results() == 0) return;
    WithElements(x_.dtype, [&]<class T>(T) {
      if constexpr (Op::kIntsOnly && !std::is_same_v<T, int32_t>) {
        TL_CHECK(false);
      } else {
        constexpr int kWidth = kWide<T>;
        const int64_t along = shape_.inner == 1 ? shape_.reduced : shape_.inner;
        if (IsAligned(x_.data) && along % kWidth == 0) {
          RunOn<T, kWidth>();
        } else {
          RunOn<T, 1>();
        }
      }
    });
  }

 private:
  using Total = typename Op::Total;

  template <class T, int kWidth>
  void RunOn() {
    if (shape_.inner == 1) {
      RunRows<T, kWidth>();
    } else {
      RunColumns<T, kWidth>();
    }
  }

  template <class T, int kWidth>
  void RunRows() {
    constexpr int64_t kFewRows = 64;  // whose segments have to fill the card
    const int64_t segment = shape_.outer < kFewRows ? 4 << 10 : 16 << 10;
    CutInto(CeilDiv(shape_.reduced, segment), kWidth, shape_);
    const dim3 block = RowThreads(shape_.segment, kWidth);
    const dim3 grid = {BlocksFor(shape_.outer * shape_.segments, block.y)};
    Total* partial = Partials();
    Launch(ReduceRows<Op, T, kWidth, Result>, {grid, block}, x_.as<const T>(),
           shape_, centers_, result_, partial);
    Finish(partial);
  }

  template <class T, int kWidth>
  void RunColumns() {
    constexpr int64_t kFewRows = 32;  // of a thread, before more help
    constexpr int64_t kManyBlocks = 1024;
    const int64_t packs = shape_.inner / kWidth;
    int64_t across = kReduceThreads;
    if (shape_.reduced >= kFewRows) {
      across = std::min<int64_t>(PowerOfTwoFrom(packs), kWarpSize);
    }
    const int64_t down = kReduceThreads / across;
    const int64_t blocks = CeilDiv(shape_.outer * packs, across);
    CutInto(std::min(CeilDiv(shape_.reduced, down * kFewRows),
                     CeilDiv(kManyBlocks, blocks)),
            1, shape_);
    Total* partial = Partials();
    Launch(ReduceColumns<Op, T, kWidth, Result>,
           {dim3{static_cast<unsigned>(blocks),
                 static_cast<unsigned>(shape_.segments)},
            dim3{static_cast<unsigned>(across), static_cast<unsigned>(down)}},
           x_.as<const T>(), shape_, centers_, result_, partial);
    Finish(partial);
  }

  Total* Partials() {
    if (shape_.segments == 1) return nullptr;
    memory_ = Allocate(shape_.results() * shape_.segments *
                       static_cast<int64_t>(sizeof(Total)));
    return reinterpret_cast<Total*>(memory_.get());
  }

  void Finish(const Total* partial) {
    if (partial == nullptr) return;
    const int64_t lanes =
        std::min<int64_t>(PowerOfTwoFrom(shape_.segments), kWarpSize);
    const int64_t down = kReduceThreads / lanes;
    Launch(JoinSegments<Op, Result>,
           {dim3{BlocksFor(shape_.results(), down)},
            dim3{static_cast<unsigned>(lanes), static_cast<unsigned>(down)}},
           partial, shape_, result_);
  }

  const View& x_;
  ReduceShape shape_;
  const float* centers_;
  Result result_;
  std::shared_ptr<std::byte> memory_;
};

// One result for each outer and inner place of x. `centers`: null, or one float
// for each, in device memory.
template <class Op, class Result>
void Reduce(const View& x, const ReduceShape& shape, const float* centers,
            const Result& result) {
  Reducer<Op, Result>(x, shape, centers, result).Run();
}

}  // namespace tl::cuda
