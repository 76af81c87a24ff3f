// Products of a few rows of a weight matrix, in shared memory, with x: the share
// of one lane of a warp. Several rows at a time, since each waits for shared
// memory. Packed rows are multiplied as integers, x rounded to int8 in groups of
// 32 as docs/numerics.md says. Block layouts: ggml-common.h; the values they
// stand for: tensor/packed.cc.
#pragma once

#include "cuda/device.cuh"
#include "tensor/dtype.h"

namespace tl::cuda {

// x as int8: q[i] * groups[i / 32].x is about x[i]; .y is .x times the sum of q.
struct Int8Row {
  const uint4* q;
  const float2* groups;
};

TL_DEVICE uint16_t ReadHalfWord(const std::byte* at) {
  return *reinterpret_cast<const uint16_t*>(at);
}

// kWords words from an address that is even. Reads up to 4 bytes more: lanes of
// a warp are at odd and even places, and a branch would take all of them twice.
// The pointer stays one, from which the compiler sees that it is to shared memory.
template <int kWords>
TL_DEVICE void ReadWords(const std::byte* at, uint32_t (&words)[kWords]) {
  const auto odd = static_cast<unsigned>(reinterpret_cast<uintptr_t>(at)) & 2;
  const auto* from = reinterpret_cast<const uint32_t*>(at - odd);
  const unsigned shift = odd * 8;
  uint32_t low = from[0];
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    const uint32_t high = from[i + 1];
    words[i] = __funnelshift_r(low, high, shift);
    low = high;
  }
}

TL_DEVICE int Dot4(uint32_t a, uint32_t b, int sum) {
  return __dp4a(static_cast<int>(a), static_cast<int>(b), sum);
}

TL_DEVICE int Dot16(const uint32_t (&a)[4], const uint4& b, int sum) {
  sum = Dot4(a[0], b.x, sum);
  sum = Dot4(a[1], b.y, sum);
  sum = Dot4(a[2], b.z, sum);
  return Dot4(a[3], b.w, sum);
}

template <int kWords>
TL_DEVICE void Nibbles(const uint32_t (&words)[kWords], int shift,
                       uint32_t (&nibbles)[kWords]) {
#pragma unroll
  for (int i = 0; i < kWords; ++i) nibbles[i] = words[i] >> shift & 0x0f0f0f0f;
}

TL_DEVICE int Dot32(const uint32_t (&a)[8], const uint4& low, const uint4& high) {
  const uint32_t first[4] = {a[0], a[1], a[2], a[3]};
  const uint32_t second[4] = {a[4], a[5], a[6], a[7]};
  return Dot16(first, low, 0) + Dot16(second, high, 0);
}

// A type's Unit is what a lane multiplies at a time: kElements neighbours of x,
// brought once by the constructor, with as many of each row.
template <DType dtype>
struct Unit;

template <>
struct Unit<DType::Q8_0> {
  static constexpr int kElements = 32;
  uint4 low, high;
  float scale;

  TL_DEVICE Unit(const Int8Row& x, int unit)
      : low(x.q[2 * unit]), high(x.q[2 * unit + 1]), scale(x.groups[unit].x) {}
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const std::byte* block = row + unit * 34;
    uint32_t words[8];
    ReadWords(block + 2, words);
    return FromHalf(ReadHalfWord(block)) * scale *
           static_cast<float>(Dot32(words, low, high));
  }
};

template <>
struct Unit<DType::Q4_0> {
  static constexpr int kElements = 32;
  uint4 low, high;
  float2 group;

  TL_DEVICE Unit(const Int8Row& x, int unit)
      : low(x.q[2 * unit]), high(x.q[2 * unit + 1]), group(x.groups[unit]) {}
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const std::byte* block = row + unit * 18;
    uint32_t words[4], first[4], second[4];
    ReadWords(block + 2, words);
    Nibbles(words, 0, first);
    Nibbles(words, 4, second);
    const int sum = Dot16(first, low, 0) + Dot16(second, high, 0);
    return FromHalf(ReadHalfWord(block)) *
           (group.x * static_cast<float>(sum) - 8.0f * group.y);
  }
};

// Of sub-blocks 2 * pair and 2 * pair + 1 of Q4_K, whose 8 scales and 8 minima of
// 6 bits share 12 bytes: each in a byte of its own. Without a branch, since lanes
// have different pairs.
TL_DEVICE void ScalesAndMinima(const uint32_t* packed, int pair,
                               uint32_t& scales, uint32_t& minima) {
  const int shift = pair % 2 * 16;
  const uint32_t first = packed[0] >> shift, second = packed[1] >> shift;
  const uint32_t third = packed[2] >> shift;
  const bool low = pair < 2;
  scales = low ? first & 0x3f3f : (third & 0x0f0f) | (first & 0xc0c0) >> 2;
  minima =
      low ? second & 0x3f3f : (third >> 4 & 0x0f0f) | (second & 0xc0c0) >> 2;
}

// Two sub-blocks of 32 share 32 bytes: one has the low nibbles. Blocks are
// multiples of 16 bytes.
template <>
struct Unit<DType::Q4_K> {
  static constexpr int kElements = 64;
  uint4 q[4];
  float2 groups[2];

  TL_DEVICE Unit(const Int8Row& x, int unit) {
#pragma unroll
    for (int i = 0; i < 4; ++i) q[i] = x.q[4 * unit + i];
    groups[0] = x.groups[2 * unit];
    groups[1] = x.groups[2 * unit + 1];
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const std::byte* block = row + unit / 4 * 144;
    const int pair = unit % 4;
    const auto* head = reinterpret_cast<const uint32_t*>(block);
    const auto* quants = reinterpret_cast<const uint4*>(block) + 1 + 2 * pair;
    const uint4 a = quants[0], b = quants[1];
    const uint32_t words[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
    uint32_t scales, minima, low[8], high[8];
    ScalesAndMinima(head + 1, pair, scales, minima);
    Nibbles(words, 0, low);
    Nibbles(words, 4, high);
    const int first = Dot32(low, q[0], q[1]) * static_cast<int>(scales & 0xff);
    const int second = Dot32(high, q[2], q[3]) * static_cast<int>(scales >> 8);
    const float scaled = groups[0].x * static_cast<float>(first) +
                         groups[1].x * static_cast<float>(second);
    const float lifted = groups[0].y * static_cast<float>(minima & 0xff) +
                         groups[1].y * static_cast<float>(minima >> 8);
    const float2 factors = UnpackHalves(head[0]);
    return factors.x * scaled - factors.y * lifted;
  }
};

// Elements l, l + 32, l + 64 and l + 96 of half a block share their bytes; a
// unit is 8 such l, which have one scale for each of the four.
template <>
struct Unit<DType::Q6_K> {
  static constexpr int kElements = 32;
  uint2 q[4];
  float scale[4];

  TL_DEVICE Unit(const Int8Row& x, int unit) {
    const int eighth = unit / 8 * 32 + unit / 4 % 2 * 16 + unit % 4;
    const int group = unit / 4 * 4;
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      q[part] = reinterpret_cast<const uint2*>(x.q)[eighth + 4 * part];
      scale[part] = x.groups[group + part].x;
    }
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const std::byte* block = row + unit / 8 * 210;
    const int half = unit / 4 % 2, eight = unit % 4;
    uint32_t low[2], high[2], top[2];
    ReadWords(block + 64 * half + 8 * eight, low);
    ReadWords(block + 64 * half + 32 + 8 * eight, high);
    ReadWords(block + 128 + 32 * half + 8 * eight, top);
    const auto* scales =
        reinterpret_cast<const int8_t*>(block + 192) + 8 * half + eight / 2;
    float total = 0;
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      int sum = 0;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint32_t nibble =
            (part % 2 == 0 ? low[i] : high[i]) >> (part / 2 * 4) & 0x0f0f0f0f;
        const uint32_t bits = (top[i] >> (2 * part) & 0x03030303) << 4;
        // Minus 32 in each byte, none of which borrows from the next.
        const uint32_t value =
            (((nibble | bits) | 0x80808080) - 0x20202020) ^ 0x80808080;
        sum = Dot4(value, i == 0 ? q[part].x : q[part].y, sum);
      }
      total += scale[part] * static_cast<float>(scales[2 * part] * sum);
    }
    return FromHalf(ReadHalfWord(block + 208)) * total;
  }
};

// kRows rows, one every row_bytes.
template <DType dtype, int kRows>
TL_DEVICE void PackedDots(const std::byte* rows, int row_bytes,
                          const Int8Row& x, int k, float (&sums)[kRows]) {
  const int units = k / Unit<dtype>::kElements;
#pragma unroll 2
  for (int unit = Lane(); unit < units; unit += kWarpSize) {
    const Unit<dtype> part(x, unit);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      sums[r] += part.Times(rows + r * row_bytes, unit);
    }
  }
}

// 16-byte aligned, k a multiple of 8. Two sums a row: one would wait for itself.
template <int kRows>
TL_DEVICE void HalfDots(const std::byte* rows, int row_bytes, const uint4* x,
                        int k, float (&sums)[kRows]) {
  float odd[kRows] = {};
#pragma unroll 2
  for (int at = Lane(); at < k / 8; at += kWarpSize) {
    const uint4 b = x[at];
    const uint32_t bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const uint4 a =
          reinterpret_cast<const uint4*>(rows + r * row_bytes)[at];
      const uint32_t as[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 w = UnpackHalves(as[i]), v = UnpackHalves(bs[i]);
        sums[r] = fmaf(w.x, v.x, sums[r]);
        odd[r] = fmaf(w.y, v.y, odd[r]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) sums[r] += odd[r];
}

// x as the type of the rows wants it.
struct RowOperand {
  const uint4* halves;
  Int8Row int8;
};

template <int kRows>
TL_DEVICE void RowDots(DType dtype, const std::byte* rows, int row_bytes,
                       const RowOperand& x, int k, float (&sums)[kRows]) {
  switch (dtype) {
    case DType::F16:
      return HalfDots(rows, row_bytes, x.halves, k, sums);
    case DType::Q8_0:
      return PackedDots<DType::Q8_0>(rows, row_bytes, x.int8, k, sums);
    case DType::Q4_0:
      return PackedDots<DType::Q4_0>(rows, row_bytes, x.int8, k, sums);
    case DType::Q4_K:
      return PackedDots<DType::Q4_K>(rows, row_bytes, x.int8, k, sums);
    case DType::Q6_K:
      return PackedDots<DType::Q6_K>(rows, row_bytes, x.int8, k, sums);
    default:
      return;
  }
}

}  // namespace tl::cuda
