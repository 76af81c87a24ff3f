// CUDA's kernel language on the processor: what a machine without a card runs
// and tests the kernels of this room with. Every thread of a block is a fiber
// of one operating-system thread; blocks run one after another, or all together
// where the launch asks for it. Races are not seen (bench/gpu.sh has racecheck
// for that), addresses outside of what was allocated are, under ASan. All threads
// take turns; TL_EMULATED_ORDER=first or last lets the first or the last block get
// as far ahead of the others as it can, and with last a warp of the other warps, which
// shows where it should have waited.
// Only what our kernels use is here, under CUDA's names: CUDA C++ Programming
// Guide, chapters 10 (language extensions) and the CUDA Math API.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/half.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}

// Of the fiber that runs.
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace tl::cuda::emulator {

// Calls `thread` once for each thread of the grid. `together`: blocks may wait
// for each other.
void Run(dim3 grid, dim3 block, int shared_bytes, bool together,
         const std::function<void()>& thread);

std::byte* DynamicShared();
void SyncBlock();
void SyncWarp();
// Barrier `id` of the block, for `threads` of its threads.
void SyncSome(int id, int threads);
void Yield();  // lets others run: for loops that wait
unsigned Ballot(bool vote);
int LaneOf();

// Room for what each lane of this warp gives in its next exchange.
inline constexpr size_t kMostGiven = 64;
std::byte* NextGiven();

// What each lane of this warp gives, until the lane's next exchange.
template <class T>
const T* Exchange(const T& mine) {
  static_assert(sizeof(T) <= kMostGiven);
  T* given = reinterpret_cast<T*>(NextGiven());
  given[LaneOf()] = mine;
  SyncWarp();
  return given;
}

template <class T>
T Shuffle(T value, int lane) {
  return Exchange(value)[lane];
}

template <class To, class From>
To Bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &value, sizeof(to));
  return to;
}

}  // namespace tl::cuda::emulator

inline void __syncthreads() { tl::cuda::emulator::SyncBlock(); }
inline void __syncwarp(unsigned = ~0u) { tl::cuda::emulator::SyncWarp(); }
inline void __threadfence() {}
inline void __nanosleep(unsigned) { tl::cuda::emulator::Yield(); }

// Whole warps only: the mask is not looked at.
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return tl::cuda::emulator::Shuffle(value, lane & 31);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return tl::cuda::emulator::Shuffle(value, tl::cuda::emulator::LaneOf() ^ mask);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta) {
  const int lane = tl::cuda::emulator::LaneOf() + static_cast<int>(delta);
  return tl::cuda::emulator::Shuffle(
      value, lane < 32 ? lane : tl::cuda::emulator::LaneOf());
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned delta) {
  const int lane = tl::cuda::emulator::LaneOf() - static_cast<int>(delta);
  return tl::cuda::emulator::Shuffle(
      value, lane >= 0 ? lane : tl::cuda::emulator::LaneOf());
}
inline unsigned __ballot_sync(unsigned, bool vote) {
  return tl::cuda::emulator::Ballot(vote);
}
inline bool __any_sync(unsigned, bool vote) {
  return tl::cuda::emulator::Ballot(vote) != 0;
}
inline bool __all_sync(unsigned, bool vote) {
  return tl::cuda::emulator::Ballot(!vote) == 0;
}

// Fibers change hands only where they wait: plain reads and writes are atomic.
template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
T atomicMin(T* at, T value) {
  const T old = *at;
  if (value < old) *at = value;
  return old;
}
template <class T>
T atomicMax(T* at, T value) {
  const T old = *at;
  if (old < value) *at = value;
  return old;
}
template <class T>
T atomicExch(T* at, T value) {
  const T old = *at;
  *at = value;
  return old;
}
template <class T>
T atomicCAS(T* at, T expected, T value) {
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}
template <class T>
T atomicOr(T* at, T value) {
  const T old = *at;
  *at = old | value;
  return old;
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
void __stcs(T* at, T value) {
  *at = value;
}

inline int __float_as_int(float x) { return tl::cuda::emulator::Bits<int>(x); }
inline unsigned __float_as_uint(float x) {
  return tl::cuda::emulator::Bits<unsigned>(x);
}
inline float __int_as_float(int x) { return tl::cuda::emulator::Bits<float>(x); }
inline float __uint_as_float(unsigned x) {
  return tl::cuda::emulator::Bits<float>(x);
}
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
// Toward zero; what does not fit becomes the nearest int32, NaN becomes 0.
inline int __float2int_rz(float x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p31f) return INT32_MAX;
  return x < -0x1p31f ? INT32_MIN : static_cast<int>(x);
}
inline int __float2int_rn(float x) { return __float2int_rz(std::nearbyint(x)); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(uint64_t{x} * y >> 32);
}
// Sums the products of four int8 to an int32.
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) {
    sum += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  }
  return sum;
}
inline int min(int x, int y) { return x < y ? x : y; }
inline int max(int x, int y) { return x > y ? x : y; }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= unsigned(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  }
  return result;
}
