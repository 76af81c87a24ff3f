// The words that kernels are written with, for nvcc and for the emulator alike.
// Device code includes no other header of this project that is not a .cuh or a
// plain struct.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef TL_CUDA_EMULATED
#include "cuda/emulator.h"
#else
#include <cuda_fp16.h>
#endif

#define TL_DEVICE __device__ __forceinline__
#define TL_NOINLINE __attribute__((noinline))

namespace tl::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullWarp = 0xffffffffu;

#ifdef TL_CUDA_EMULATED
TL_DEVICE std::byte* DynamicShared() { return emulator::DynamicShared(); }
TL_DEVICE float FromHalf(uint16_t bits) { return HalfToFloat(bits); }
TL_DEVICE uint16_t ToHalf(float value) { return FloatToHalf(value); }
TL_DEVICE uint16_t ToHalfFromDouble(double value) { return DoubleToHalf(value); }
#else
TL_DEVICE std::byte* DynamicShared() {
  extern __shared__ __align__(128) unsigned char tl_dynamic_shared[];
  return reinterpret_cast<std::byte*>(tl_dynamic_shared);
}
TL_DEVICE float FromHalf(uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}
TL_DEVICE uint16_t ToHalf(float value) {
  return __half_as_ushort(__float2half_rn(value));
}
TL_DEVICE uint16_t ToHalfFromDouble(double value) {
  return __half_as_ushort(__double2half(value));
}
#endif

// Two neighbours of f16 in a word, the first in its low half.
TL_DEVICE uint32_t PackHalves(float first, float second) {
#ifdef TL_CUDA_EMULATED
  return ToHalf(first) | uint32_t{ToHalf(second)} << 16;
#else
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const uint32_t*>(&pair);
#endif
}
TL_DEVICE float2 UnpackHalves(uint32_t pair) {
  return make_float2(FromHalf(static_cast<uint16_t>(pair)),
                     FromHalf(static_cast<uint16_t>(pair >> 16)));
}

TL_DEVICE int Lane() { return static_cast<int>(threadIdx.x % kWarpSize); }
TL_DEVICE int WarpOf() { return static_cast<int>(threadIdx.x / kWarpSize); }

// The first of this thread's elements and the distance to the next, where a
// grid of one dimension walks over a range.
TL_DEVICE int64_t GridThread() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
TL_DEVICE int64_t GridThreads() { return int64_t{gridDim.x} * blockDim.x; }

TL_DEVICE float WarpSum(float value) {
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    value += __shfl_xor_sync(kFullWarp, value, mask);
  }
  return value;
}

}  // namespace tl::cuda
