// Values of many threads joined into one that all of them get. Joins are done
// in an order that depends on the number of threads alone. `join` must give the
// same bits with its operands swapped, or the threads of a warp would disagree.
#pragma once

#include "cuda/device.cuh"

namespace tl::cuda {

// Of any type that is made of 32-bit words.
template <class T>
TL_DEVICE T ShuffleXor(const T& value, int mask) {
  static_assert(sizeof(T) % 4 == 0);
  constexpr int kWords = sizeof(T) / 4;
  unsigned words[kWords];
  memcpy(words, &value, sizeof(T));
  for (int i = 0; i < kWords; ++i) {
    words[i] = __shfl_xor_sync(kFullWarp, words[i], mask);
  }
  T result;
  memcpy(&result, words, sizeof(T));
  return result;
}

// Of each `lanes` neighbours, a power of two. Every lane of the warp takes
// part.
template <class T, class Join>
TL_DEVICE T WarpReduce(T value, Join join, int lanes = kWarpSize) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) {
    value = join(value, ShuffleXor(value, mask));
  }
  return value;
}

// Of a block of one dimension, whole warps.
template <class T, class Join>
TL_DEVICE T BlockReduce(T value, Join join) {
  constexpr int kMostWarps = 32;
  __shared__ T parts[kMostWarps];
  value = WarpReduce(value, join);
  if (Lane() == 0) parts[WarpOf()] = value;
  __syncthreads();
  value = parts[0];
  const int warps = static_cast<int>(blockDim.x) / kWarpSize;
  for (int i = 1; i < warps; ++i) value = join(value, parts[i]);
  __syncthreads();
  return value;
}

// Of the threads that differ in threadIdx.x alone: a power of two of at most a
// warp, or a block of one dimension.
template <class T, class Join>
TL_DEVICE T RowReduce(T value, Join join) {
  const int threads = static_cast<int>(blockDim.x);
  if (threads <= kWarpSize) return WarpReduce(value, join, threads);
  return BlockReduce(value, join);
}

struct Plus {
  template <class T>
  TL_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};

// Of two numbers; a NaN is ignored.
struct Larger {
  TL_DEVICE float operator()(float a, float b) const { return fmaxf(a, b); }
};

}  // namespace tl::cuda
