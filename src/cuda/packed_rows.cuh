// The product of one row of a weight matrix, in shared memory, with x: the share
// of one lane of a warp. Packed rows are multiplied as integers, x rounded to
// int8 in groups of 32 as docs/numerics.md says. Block layouts: ggml-common.h;
// the values they stand for: tensor/packed.cc.
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

// kWords words from an address that is even.
template <int kWords>
TL_DEVICE void ReadWords(const std::byte* at, uint32_t (&words)[kWords]) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  const auto* from = reinterpret_cast<const uint32_t*>(address & ~uintptr_t{3});
  if ((address & 2) == 0) {
#pragma unroll
    for (int i = 0; i < kWords; ++i) words[i] = from[i];
    return;
  }
  uint32_t low = from[0];
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    const uint32_t high = from[i + 1];
    words[i] = low >> 16 | high << 16;
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

template <DType dtype>
struct PackedRow;

template <>
struct PackedRow<DType::Q8_0> {
  static constexpr int kUnit = 32;  // elements a lane takes at a time
  TL_DEVICE static float Dot(const std::byte* row, int unit, const Int8Row& x) {
    const std::byte* block = row + unit * 34;
    uint32_t words[8];
    ReadWords(block + 2, words);
    const uint4 low = x.q[2 * unit], high = x.q[2 * unit + 1];
    const uint32_t first[4] = {words[0], words[1], words[2], words[3]};
    const uint32_t second[4] = {words[4], words[5], words[6], words[7]};
    const int sum = Dot16(second, high, Dot16(first, low, 0));
    return FromHalf(ReadHalfWord(block)) * x.groups[unit].x *
           static_cast<float>(sum);
  }
};

template <>
struct PackedRow<DType::Q4_0> {
  static constexpr int kUnit = 32;
  TL_DEVICE static float Dot(const std::byte* row, int unit, const Int8Row& x) {
    const std::byte* block = row + unit * 18;
    uint32_t words[4], low[4], high[4];
    ReadWords(block + 2, words);
    Nibbles(words, 0, low);
    Nibbles(words, 4, high);
    const int sum = Dot16(high, x.q[2 * unit + 1], Dot16(low, x.q[2 * unit], 0));
    const float2 group = x.groups[unit];
    return FromHalf(ReadHalfWord(block)) *
           (group.x * static_cast<float>(sum) - 8.0f * group.y);
  }
};

// Of sub-block j of Q4_K and Q5_K: 6 bits of scale and 6 of minimum.
TL_DEVICE void ScaleAndMinimum(const uint8_t* scales, int j, int& scale,
                               int& minimum) {
  if (j < 4) {
    scale = scales[j] & 63;
    minimum = scales[j + 4] & 63;
  } else {
    scale = (scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4;
    minimum = scales[j + 4] >> 4 | (scales[j] >> 6) << 4;
  }
}

// Two sub-blocks of 32 share 32 bytes: one has the low nibbles.
template <>
struct PackedRow<DType::Q4_K> {
  static constexpr int kUnit = 64;
  TL_DEVICE static float Dot(const std::byte* row, int unit, const Int8Row& x) {
    const std::byte* block = row + unit / 4 * 144;
    const int pair = unit % 4;
    const auto* scales = reinterpret_cast<const uint8_t*>(block + 4);
    float total = 0;
    uint32_t words[8];
    ReadWords(block + 16 + pair * 32, words);
    const float scale = FromHalf(ReadHalfWord(block));
    const float minimum = FromHalf(ReadHalfWord(block + 2));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      int factor, offset;
      ScaleAndMinimum(scales, 2 * pair + half, factor, offset);
      uint32_t q[8];
      Nibbles(words, 4 * half, q);
      const uint32_t first[4] = {q[0], q[1], q[2], q[3]};
      const uint32_t second[4] = {q[4], q[5], q[6], q[7]};
      const int group = 2 * unit + half;
      const int sum =
          Dot16(second, x.q[2 * group + 1], Dot16(first, x.q[2 * group], 0));
      const float2 scales_of_x = x.groups[group];
      total += scale * static_cast<float>(factor) * scales_of_x.x *
                   static_cast<float>(sum) -
               minimum * static_cast<float>(offset) * scales_of_x.y;
    }
    return total;
  }
};

// Elements l, l + 32, l + 64 and l + 96 of half a block share their bytes; a
// unit is 8 such l, which have one scale for each of the four.
template <>
struct PackedRow<DType::Q6_K> {
  static constexpr int kUnit = 32;
  TL_DEVICE static float Dot(const std::byte* row, int unit, const Int8Row& x) {
    const std::byte* block = row + unit / 8 * 210;
    const int half = unit / 4 % 2, eight = unit % 4;
    uint32_t low[2], high[2], top[2];
    ReadWords(block + 64 * half + 8 * eight, low);
    ReadWords(block + 64 * half + 32 + 8 * eight, high);
    ReadWords(block + 128 + 32 * half + 8 * eight, top);
    const auto* scales =
        reinterpret_cast<const int8_t*>(block + 192) + 8 * half + eight / 2;
    const auto* q = reinterpret_cast<const uint2*>(x.q) +
                    (unit / 8 * 256 + 128 * half) / 8 + eight;
    const float2* groups = x.groups + unit / 8 * 8 + 4 * half;
    float total = 0;
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      int sum = 0;
      const uint2 xs = q[4 * part];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint32_t nibble =
            (part % 2 == 0 ? low[i] : high[i]) >> (part / 2 * 4) & 0x0f0f0f0f;
        const uint32_t bits = (top[i] >> (2 * part) & 0x03030303) << 4;
        // Minus 32 in each byte, none of which borrows from the next.
        const uint32_t value =
            (((nibble | bits) | 0x80808080) - 0x20202020) ^ 0x80808080;
        sum = Dot4(value, i == 0 ? xs.x : xs.y, sum);
      }
      total += static_cast<float>(scales[2 * part]) * groups[part].x *
               static_cast<float>(sum);
    }
    return FromHalf(ReadHalfWord(block + 208)) * total;
  }
};

template <DType dtype>
TL_DEVICE float PackedDot(const std::byte* row, const Int8Row& x, int k) {
  float sum = 0;
  const int units = k / PackedRow<dtype>::kUnit;
#pragma unroll 2
  for (int unit = Lane(); unit < units; unit += kWarpSize) {
    sum += PackedRow<dtype>::Dot(row, unit, x);
  }
  return sum;
}

// 16-byte aligned, k a multiple of 8.
TL_DEVICE float HalfDot(const std::byte* row, const uint4* x, int k) {
  const auto* w = reinterpret_cast<const uint4*>(row);
  float sum = 0;
#pragma unroll 4
  for (int at = Lane(); at < k / 8; at += kWarpSize) {
    const uint4 a = w[at], b = x[at];
    const uint32_t as[4] = {a.x, a.y, a.z, a.w};
    const uint32_t bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      sum = fmaf(FromHalf(static_cast<uint16_t>(as[i])),
                 FromHalf(static_cast<uint16_t>(bs[i])), sum);
      sum = fmaf(FromHalf(static_cast<uint16_t>(as[i] >> 16)),
                 FromHalf(static_cast<uint16_t>(bs[i] >> 16)), sum);
    }
  }
  return sum;
}

TL_DEVICE float RowProduct(DType dtype, const std::byte* row, const uint4* halves,
                           const Int8Row& x, int k) {
  switch (dtype) {
    case DType::F16:
      return HalfDot(row, halves, k);
    case DType::Q8_0:
      return PackedDot<DType::Q8_0>(row, x, k);
    case DType::Q4_0:
      return PackedDot<DType::Q4_0>(row, x, k);
    case DType::Q4_K:
      return PackedDot<DType::Q4_K>(row, x, k);
    case DType::Q6_K:
      return PackedDot<DType::Q6_K>(row, x, k);
    default:
      return 0;
  }
}

}  // namespace tl::cuda
