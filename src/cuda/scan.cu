// Cumsum: the running sum along an axis, f32 for floats, wrapping for integers.
// Many short lanes are a thread's each; otherwise a block walks along a lane,
// and long lanes are cut into segments whose sums are found first.
#include <algorithm>

#include "cuda/block_reduce.cuh"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 8;  // elements of a thread at a time
constexpr int64_t kTile = kThreads * kEach;
constexpr int64_t kSegment = 8 * kTile;

// Elements of x[outer, count, inner] as what they are summed in.
template <class T>
struct SumOf {
  using Type = float;
};
template <>
struct SumOf<int32_t> {
  using Type = uint32_t;
};
TL_DEVICE float Widen(uint16_t x) { return FromHalf(x); }
TL_DEVICE float Widen(float x) { return x; }
TL_DEVICE uint32_t Widen(int32_t x) { return static_cast<uint32_t>(x); }
TL_DEVICE void Narrow(float x, uint16_t& to) { to = ToHalf(x); }
TL_DEVICE void Narrow(float x, float& to) { to = x; }
TL_DEVICE void Narrow(uint32_t x, int32_t& to) { to = static_cast<int32_t>(x); }

struct ScanShape {
  int64_t outer, count, inner;
  int64_t segments;  // of a lane

  int64_t lanes() const { return outer * inner; }
};

template <class T>
__global__ void ScanLanes(const T* x, T* to, ScanShape shape) {
  const int64_t lanes = shape.outer * shape.inner;
  for (int64_t lane = GridThread(); lane < lanes; lane += GridThreads()) {
    int64_t at =
        lane / shape.inner * shape.count * shape.inner + lane % shape.inner;
    typename SumOf<T>::Type sum = 0;
    for (int64_t i = 0; i < shape.count; ++i, at += shape.inner) {
      sum += Widen(x[at]);
      Narrow(sum, to[at]);
    }
  }
}

// A block's part of a lane: element i is at[i * step], of `count`.
template <class T>
struct Stretch {
  T* at;
  int64_t step, count;
};
template <class T>
TL_DEVICE Stretch<T> StretchOfBlock(T* x, const ScanShape& shape) {
  const int64_t lane = blockIdx.x / shape.segments;
  const int64_t begin = blockIdx.x % shape.segments * kSegment;
  const int64_t left = shape.count - begin;
  return {x + (lane / shape.inner * shape.count + begin) * shape.inner +
              lane % shape.inner,
          shape.inner, left < kSegment ? left : kSegment};
}

template <class T, class Sum>
__global__ void __launch_bounds__(kThreads)
    SumSegments(const T* x, ScanShape shape, Sum* sums) {
  const Stretch<const T> stretch = StretchOfBlock(x, shape);
  Sum sum = 0;
  for (int64_t i = threadIdx.x; i < stretch.count; i += kThreads) {
    sum += Widen(stretch.at[i * stretch.step]);
  }
  sum = BlockReduce(sum, Plus{});
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The sum of what the threads before this one have; `all`: of every thread.
template <class Sum>
TL_DEVICE Sum SumBefore(Sum own, Sum& all) {
  constexpr int kWarps = kThreads / kWarpSize;
  __shared__ Sum sums[kWarps];
  Sum up_to = own;
  for (unsigned step = 1; step < kWarpSize; step *= 2) {
    const Sum other = __shfl_up_sync(kFullWarp, up_to, step);
    if (Lane() >= static_cast<int>(step)) up_to += other;
  }
  if (Lane() == kWarpSize - 1) sums[WarpOf()] = up_to;
  __syncthreads();
  // Not up_to - own: that would lose digits, and make NaN of infinities.
  const Sum neighbour = __shfl_up_sync(kFullWarp, up_to, 1);
  Sum before = 0;
  all = 0;
  for (int warp = 0; warp < kWarps; ++warp) {
    if (warp == WarpOf()) before = all;
    all += sums[warp];
  }
  __syncthreads();
  return Lane() == 0 ? before : before + neighbour;
}

// `sums`: of the segments, or null where a lane has one.
template <class T, class Sum>
__global__ void __launch_bounds__(kThreads)
    ScanSegments(const T* x, T* to, ScanShape shape, const Sum* sums) {
  const Stretch<const T> from = StretchOfBlock(x, shape);
  const Stretch<T> result = StretchOfBlock(to, shape);
  Sum carried = 0;
  if (sums != nullptr) {
    const int64_t segment = blockIdx.x % shape.segments;
    for (int64_t i = threadIdx.x; i < segment; i += kThreads) {
      carried += sums[blockIdx.x - segment + i];
    }
    carried = BlockReduce(carried, Plus{});
  }
  for (int64_t tile = 0; tile < from.count; tile += kTile) {
    const int64_t first = tile + int64_t{threadIdx.x} * kEach;
    Sum running[kEach];
    Sum own = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      if (first + i < from.count) {
        own += Widen(from.at[(first + i) * from.step]);
      }
      running[i] = own;
    }
    Sum all;
    const Sum before = carried + SumBefore(own, all);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      if (first + i < from.count) {
        Narrow(before + running[i], result.at[(first + i) * from.step]);
      }
    }
    carried += all;
  }
}

template <class T>
void RunScan(const View& x, const View& result, ScanShape shape) {
  constexpr int64_t kManyLanes = 4096;
  constexpr int64_t kShort = 32;
  const auto* from = x.as<const T>();
  if (shape.count <= kShort ||
      (shape.inner > 1 && shape.lanes() >= kManyLanes)) {
    return Launch(ScanLanes<T>, ShapeFor(shape.lanes()), from, result.as<T>(),
                  shape);
  }
  using Sum = typename SumOf<T>::Type;
  shape.segments = CeilDiv(shape.count, kSegment);
  const int64_t blocks = shape.lanes() * shape.segments;
  const LaunchShape launch = {dim3{static_cast<unsigned>(blocks)},
                              dim3{kThreads}};
  std::shared_ptr<std::byte> memory;
  if (shape.segments > 1) memory = Allocate(blocks * int64_t{sizeof(Sum)});
  auto* sums = reinterpret_cast<Sum*>(memory.get());
  if (sums != nullptr) Launch(SumSegments<T, Sum>, launch, from, shape, sums);
  Launch(ScanSegments<T, Sum>, launch, from, result.as<T>(), shape, sums);
}

}  // namespace

void Cumsum(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  if (x.size() == 0) return;
  ScanShape shape = {1, x.dims[axis], 1, 1};
  for (int i = 0; i < axis; ++i) shape.outer *= x.dims[i];
  for (int i = axis + 1; i < x.rank; ++i) shape.inner *= x.dims[i];
  WithElements(x.dtype,
               [&]<class T>(T) { RunScan<T>(x, args.outputs[0], shape); });
}

}  // namespace tl::cuda
