// For the quantisers (format/quantize.h): how a block's packing becomes a
// function over many blocks, compiled for the vector units of this processor,
// and the small steps that they share. A packing is a struct with kElements,
// kBytes and
//   static void Pack(const float* x, std::byte* out)     TL_INLINE
// Loops are plain and of constant length, so that the compiler vectorises them;
// sums go through Floats, whose eight lanes are added in one order everywhere.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"

// Inlined into each of the versions below, and compiled as they are.
#define TL_INLINE [[gnu::always_inline]] inline

// Vectors of 32 bytes never cross a call here, whatever the ABI does to them.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace tl {

using QuantizeFunction = void (*)(const float* x, int64_t blocks,
                                  std::byte* out);

template <class Block>
TL_INLINE void PackEach(const float* x, int64_t blocks, std::byte* out) {
  for (int64_t i = 0; i < blocks; ++i) {
    Block::Pack(x + i * Block::kElements, out + i * Block::kBytes);
  }
}

#if defined(__x86_64__)
// The narrowing of integers is one instruction there.
template <class Block>
[[gnu::target("avx512bw,avx512dq,avx512vl")]] void
PackEachAvx512(const float* x, int64_t blocks, std::byte* out) {
  PackEach<Block>(x, blocks, out);
}

template <class Block>
[[gnu::target("avx2")]] void PackEachAvx2(const float* x, int64_t blocks,
                                          std::byte* out) {
  PackEach<Block>(x, blocks, out);
}
#endif

template <class Block>
void PackBlocks(const float* x, int64_t blocks, std::byte* out) {
#if defined(__x86_64__)
  static const bool avx512 = __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vl");
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx512) return PackEachAvx512<Block>(x, blocks, out);
  if (avx2) return PackEachAvx2<Block>(x, blocks, out);
#endif
  PackEach<Block>(x, blocks, out);
}

// Eight lanes, whatever registers the processor has.
using Floats = float __attribute__((vector_size(32)));
using Ints = int32_t __attribute__((vector_size(32)));
inline constexpr int kLanes = 8;

TL_INLINE Floats LoadFloats(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

TL_INLINE float SumLanes(const Floats& v) {
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

TL_INLINE int32_t FloatBits(float value) {
  return std::bit_cast<int32_t>(value);
}

// The largest magnitude. Without their sign, floats are ordered as their bits.
template <int kCount>
TL_INLINE float LargestMagnitude(const float* x) {
  int32_t largest = 0;
  for (int i = 0; i < kCount; ++i) {
    largest = std::max(largest, FloatBits(x[i]) & 0x7fffffff);
  }
  return std::bit_cast<float>(largest);
}

struct Range {
  float low;
  float high;
};

template <int kCount>
TL_INLINE Range RangeOf(const float* x) {
  // Turning the bits of negative numbers around orders them as integers; the
  // same step turns them back.
  const auto key = [](int32_t bits) {
    return bits ^ ((bits >> 31) & 0x7fffffff);
  };
  int32_t low = INT32_MAX, high = INT32_MIN;
  for (int i = 0; i < kCount; ++i) {
    const int32_t bits = FloatBits(x[i]);
    const int32_t ordered = bits ^ ((bits >> 31) & 0x7fffffff);
    low = std::min(low, ordered);
    high = std::max(high, ordered);
  }
  return {std::bit_cast<float>(key(low)), std::bit_cast<float>(key(high))};
}

// The first value of the largest magnitude, with its sign. As a signed integer
// the largest positive number has the largest bits, as an unsigned one the most
// negative number has.
template <int kCount>
TL_INLINE float ExtremeOf(const float* x) {
  int32_t positive = 0;
  uint32_t negative = 0;
  for (int i = 0; i < kCount; ++i) {
    const int32_t bits = FloatBits(x[i]);
    positive = std::max(positive, bits);
    negative = std::max(negative, static_cast<uint32_t>(bits));
  }
  const float high = std::bit_cast<float>(positive);
  const float low = negative >> 31 != 0 ? std::bit_cast<float>(negative) : 0;
  if (high > -low) return high;
  if (high < -low) return low;
  for (int i = 0; i < kCount; ++i) {
    if (x[i] == high || x[i] == low) return x[i];
  }
  return 0;
}

// Zero where there is none: also for a scale so small that 1 / scale would be
// infinite, which is zero as a float16.
TL_INLINE float InverseOf(float scale) {
  const float inverse = 1 / scale;
  return scale == 0 || inverse - inverse != 0 ? 0 : inverse;
}

// The nearest float16. Numbers that are normal there take three operations.
TL_INLINE uint16_t HalfBits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffff;
  constexpr uint32_t kSmallest = std::bit_cast<uint32_t>(0x1p-14f);
  constexpr uint32_t kLargest = std::bit_cast<uint32_t>(kHalfMax);
  if (magnitude < kSmallest || magnitude > kLargest) return FloatToHalf(value);
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  const uint32_t half = (rounded >> 13) - (uint32_t{127 - 15} << 10);
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | half);
}

TL_INLINE void StoreHalf(float value, std::byte* out) {
  const uint16_t bits = HalfBits(value);
  std::memcpy(out, &bits, sizeof(bits));
}

// A scale as it will be read, so that what is rounded after it fits it. What is
// beyond float16 becomes its largest number.
TL_INLINE float StoredHalf(float value) {
  return HalfToFloat(HalfBits(std::clamp(value, -kHalfMax, kHalfMax)));
}

// Bytes from the low halves of q[0 .. kHalf) and the high of the next.
template <int kHalf>
TL_INLINE void StoreNibbles(const int32_t* q, std::byte* out) {
  for (int i = 0; i < kHalf; ++i) {
    out[i] = static_cast<std::byte>((q[i] & 15) | (q[i + kHalf] & 15) << 4);
  }
}

// Half away from zero, exact: adding 0.5 first would move 0.49999997 up.
TL_INLINE int32_t RoundAway(float value) {
  const auto whole = static_cast<int32_t>(value);
  const float rest = value - static_cast<float>(whole);
  return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

}  // namespace tl
