// TopK: the first k of a sorted last axis, the whole of it where k is its size.
//
// An element and its place become one 64-bit number that sorts like them: the
// element's value above, its index below. Equal values then keep their order
// and all numbers of a row differ. Chunks of a row are sorted in shared memory,
// then pairs of chunks are merged until one is left, each cut to k on the way.
#include <algorithm>
#include <limits>
#include <utility>

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/sort_key.cuh"

namespace tl::cuda {
namespace {

using Number = unsigned long long;

constexpr int kChunk = 2048;  // 16 KB of numbers
constexpr int kMostThreads = 512;

// Behind all others.
constexpr Number kNothing = ~0ull;

struct SortShape {
  int64_t rows, n, k;
  int64_t chunks;  // of a row, each of `chunk` elements, a power of two
  int chunk;
  bool descending;
};

// Batcher's bitonic sorter over the `count` numbers of a block, a power of two.
TL_DEVICE void SortShared(Number* numbers, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int apart = size / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < count / 2;
           i += static_cast<int>(blockDim.x)) {
        const int low = 2 * i - i % apart, high = low + apart;
        const bool up = (low & size) == 0;
        const Number a = numbers[low], b = numbers[high];
        if ((a > b) == up) {
          numbers[low] = b;
          numbers[high] = a;
        }
      }
    }
  }
  __syncthreads();
}

// The first `keep` of every chunk, in order.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    SortChunks(const T* x, SortShape shape, int keep, Number* sorted) {
  auto* numbers = reinterpret_cast<Number*>(DynamicShared());
  const int64_t row = blockIdx.x / shape.chunks;
  const int64_t begin = blockIdx.x % shape.chunks * shape.chunk;
  const uint32_t flip = shape.descending ? ~uint32_t{0} : 0;
  for (int i = static_cast<int>(threadIdx.x); i < shape.chunk;
       i += static_cast<int>(blockDim.x)) {
    const int64_t at = begin + i;
    numbers[i] = at < shape.n
                     ? Number{SortKey(x[row * shape.n + at]) ^ flip} << 32 |
                           static_cast<uint32_t>(at)
                     : kNothing;
  }
  SortShared(numbers, shape.chunk);
  for (int i = static_cast<int>(threadIdx.x); i < keep;
       i += static_cast<int>(blockDim.x)) {
    sorted[int64_t{blockIdx.x} * keep + i] = numbers[i];
  }
}

// How many of `count` sorted numbers are below `number`.
TL_DEVICE int64_t CountBelow(const Number* numbers, int64_t count,
                             Number number) {
  int64_t low = 0;
  while (count > 0) {
    const int64_t half = count / 2;
    if (numbers[low + half] < number) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return low;
}

// Pairs of neighbouring runs of `length` become runs of `merged`. A number's
// place is its place in its run and how many of the other run are below it.
__global__ void MergeRuns(const Number* from, int64_t rows, int64_t runs,
                          int64_t length, int64_t merged, Number* to) {
  const int64_t size = rows * runs * length;
  const int64_t pairs = (runs + 1) / 2;
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    const int64_t run = at / length, in_run = at % length;
    const int64_t row = run / runs, number_of_run = run % runs;
    const int64_t other = number_of_run ^ 1;
    const Number number = from[at];
    int64_t place = in_run;
    if (other < runs) {
      const Number* others = from + (row * runs + other) * length;
      // Those that stand for nothing are equal: the first run's come first.
      place += number == kNothing && number_of_run > other
                   ? length
                   : CountBelow(others, length, number);
    }
    if (place < merged) {
      to[(row * pairs + number_of_run / 2) * merged + place] = number;
    }
  }
}

template <class T>
__global__ void WriteValues(const T* x, const Number* sorted, SortShape shape,
                            T* to) {
  const int64_t size = shape.rows * shape.k;
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    const auto index = static_cast<uint32_t>(sorted[at]);
    to[at] = x[at / shape.k * shape.n + index];
  }
}

__global__ void WriteIndices(const Number* sorted, int64_t size, int32_t* to) {
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    to[at] = static_cast<int32_t>(static_cast<uint32_t>(sorted[at]));
  }
}

std::shared_ptr<std::byte> Numbers(int64_t count) {
  return Allocate(count * static_cast<int64_t>(sizeof(Number)));
}

Number* AsNumbers(const std::shared_ptr<std::byte>& memory) {
  return reinterpret_cast<Number*>(memory.get());
}

// The numbers of every row's first k elements.
template <class T>
std::shared_ptr<std::byte> SortRows(const T* x, const SortShape& shape) {
  int64_t runs = shape.chunks;
  int64_t length = std::min<int64_t>(shape.k, shape.chunk);
  auto sorted = Numbers(shape.rows * runs * length);
  const int threads = std::clamp(shape.chunk / 2, kWarpSize, kMostThreads);
  Launch(SortChunks<T>,
         {dim3{static_cast<unsigned>(shape.rows * runs)},
          dim3{static_cast<unsigned>(threads)},
          shape.chunk * static_cast<int>(sizeof(Number))},
         x, shape, static_cast<int>(length), AsNumbers(sorted));
  while (runs > 1) {
    const int64_t merged = std::min(2 * length, shape.k);
    const int64_t pairs = CeilDiv(runs, 2);
    auto to = Numbers(shape.rows * pairs * merged);
    if (runs % 2 == 1) {  // the last one has no partner
      Fill(to.get(), 0xff,
           shape.rows * pairs * merged * static_cast<int64_t>(sizeof(Number)));
    }
    Launch(MergeRuns, ShapeFor(shape.rows * runs * length), AsNumbers(sorted),
           shape.rows, runs, length, merged, AsNumbers(to));
    sorted = std::move(to);
    runs = pairs;
    length = merged;
  }
  return sorted;
}

}  // namespace

void TopK(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  const int64_t n = x.dims[x.rank - 1], k = args.ints[0];
  TL_CHECK(0 <= k && k <= n && n <= std::numeric_limits<int32_t>::max());
  if (result.size() == 0) return;
  const int chunk = static_cast<int>(
      std::min<int64_t>(kChunk, std::max<int64_t>(2, PowerOfTwoFrom(n))));
  const SortShape shape = {x.size() / n,      n,     k,
                           CeilDiv(n, chunk), chunk, args.ints[1] != 0};
  WithElements(x.dtype, [&]<class T>(T) {
    const auto sorted = SortRows(x.as<const T>(), shape);
    const LaunchShape launch = ShapeFor(result.size());
    if (args.ints[2] != 0) {
      Launch(WriteIndices, launch, AsNumbers(sorted), result.size(),
             result.as<int32_t>());
    } else {
      Launch(WriteValues<T>, launch, x.as<const T>(), AsNumbers(sorted), shape,
             result.as<T>());
    }
  });
}

}  // namespace tl::cuda
