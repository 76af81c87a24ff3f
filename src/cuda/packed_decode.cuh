// The packed types (tensor/packed.h) in device code: one struct per type says
// where the scales, the offsets and the small integers of a block are, and with
// them every element is what ggml makes of it, bit for bit: scale * q + offset,
// each rounded. DecodeEight is the common way in; products read scales and
// integers themselves. Bytes may be at any alignment.
#pragma once

#include "base/check.h"
#include "cuda/device.cuh"
#include "tensor/decode.h"
#include "tensor/packed.h"

namespace tl::cuda {

struct BlockSize {
  int elements, bytes;
};
constexpr BlockSize BlockSizeOf(DType dtype) {
  switch (dtype) {
#define TL_DTYPE(id, name, kind, elements, bytes, ...) \
  case DType::id:                                      \
    return {elements, bytes};
#include "tensor/dtype.def"
  }
  return {};
}

// What every type has: a block of kBlock elements in kBytes bytes, of which
// kGroup share Scale(block, group) and, with kHasOffset, Offset(block, group);
// and Q(block, i, j), the integer of element i + j with i a multiple of 8 and
// j < 8. Such eight share a group.
template <DType dtype, int group, bool has_offset = false>
struct PackedShape {
  static constexpr DType kDType = dtype;
  static constexpr int kBlock = BlockSizeOf(dtype).elements;
  static constexpr int kBytes = BlockSizeOf(dtype).bytes;
  static constexpr int kGroup = group;
  static constexpr bool kHasOffset = has_offset;
};

TL_DEVICE float HalfAt(const uint8_t* block, int at) {
  return FromHalf(static_cast<uint16_t>(block[at] | block[at + 1] << 8));
}

// Nibbles in ggml's usual order: all low halves, then all high ones.
TL_DEVICE int NibbleAt(const uint8_t* from, int half, int i, int j) {
  return from[i % half + j] >> (i < half ? 0 : 4) & 15;
}

// Tables of 16 int8 as words that code can hold.
constexpr uint64_t HalfTable(const std::array<int8_t, 16>& table, int first) {
  uint64_t word = 0;
  for (int i = 0; i < 8; ++i) {
    word |= uint64_t{static_cast<uint8_t>(table[first + i])} << 8 * i;
  }
  return word;
}
TL_DEVICE int InTable(uint64_t low, uint64_t high, int code) {
  return static_cast<int8_t>((code < 8 ? low : high) >> 8 * (code & 7));
}
TL_DEVICE int IQ4Value(int code) {
  constexpr uint64_t kLow = HalfTable(kIQ4Values, 0);
  constexpr uint64_t kHigh = HalfTable(kIQ4Values, 8);
  return InTable(kLow, kHigh, code);
}
TL_DEVICE int E2M1Value(int code) {
  constexpr uint64_t kLow = HalfTable(kE2M1Twice, 0);
  constexpr uint64_t kHigh = HalfTable(kE2M1Twice, 8);
  return InTable(kLow, kHigh, code);
}

template <DType dtype>
struct Packed;

template <>
struct Packed<DType::Q4_0> : PackedShape<DType::Q4_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return NibbleAt(b + 2, 16, i, j) - 8;
  }
};

template <>
struct Packed<DType::Q4_1> : PackedShape<DType::Q4_1, 32, true> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static float Offset(const uint8_t* b, int) { return HalfAt(b, 2); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return NibbleAt(b + 4, 16, i, j);
  }
};

// Bit i of 32 is the fifth bit of element i.
TL_DEVICE int FifthBit(const uint8_t* bits, int i, int j) {
  return (bits[i / 8] >> j & 1) << 4;
}

template <>
struct Packed<DType::Q5_0> : PackedShape<DType::Q5_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return (NibbleAt(b + 6, 16, i, j) | FifthBit(b + 2, i, j)) - 16;
  }
};

template <>
struct Packed<DType::Q5_1> : PackedShape<DType::Q5_1, 32, true> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static float Offset(const uint8_t* b, int) { return HalfAt(b, 2); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return NibbleAt(b + 8, 16, i, j) | FifthBit(b + 4, i, j);
  }
};

template <>
struct Packed<DType::Q8_0> : PackedShape<DType::Q8_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return static_cast<int8_t>(b[2 + i + j]);
  }
};

// The K types cut 256 elements into halves of 128, and each into four runs of
// 32 whose bits lie two (or four) apart in the same bytes: the two bits of
// element i.
TL_DEVICE int TwoBits(const uint8_t* from, int i, int j) {
  return from[32 * (i / 128) + i % 32 + j] >> 2 * (i % 128 / 32) & 3;
}

template <>
struct Packed<DType::Q2_K> : PackedShape<DType::Q2_K, 16, true> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    return __fmul_rn(HalfAt(b, 80), static_cast<float>(b[g] & 15));
  }
  TL_DEVICE static float Offset(const uint8_t* b, int g) {
    return -__fmul_rn(HalfAt(b, 82), static_cast<float>(b[g] >> 4));
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return TwoBits(b + 16, i, j);
  }
};

template <>
struct Packed<DType::Q3_K> : PackedShape<DType::Q3_K, 16> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    const int low = b[96 + g % 8] >> 4 * (g / 8) & 15;
    const int high = b[104 + g % 4] >> 2 * (g / 4) & 3;
    return __fmul_rn(HalfAt(b, 108),
                     static_cast<float>((low | high << 4) - 32));
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    const int high = b[i % 32 + j] >> i / 32 & 1;
    return TwoBits(b + 32, i, j) - (high ? 0 : 4);
  }
};

// Q4_K and Q5_K: d, m and eight pairs of 6-bit scales and minima in 12 bytes.
TL_DEVICE float SixBitScale(const uint8_t* b, int g) {
  const uint8_t* s = b + 4;
  const int scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
  return __fmul_rn(HalfAt(b, 0), static_cast<float>(scale));
}
TL_DEVICE float SixBitMinimum(const uint8_t* b, int g) {
  const uint8_t* s = b + 4;
  const int minimum = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
  return -__fmul_rn(HalfAt(b, 2), static_cast<float>(minimum));
}

template <>
struct Packed<DType::Q4_K> : PackedShape<DType::Q4_K, 32, true> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    return SixBitScale(b, g);
  }
  TL_DEVICE static float Offset(const uint8_t* b, int g) {
    return SixBitMinimum(b, g);
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return NibbleAt(b + 16 + 32 * (i / 64), 32, i % 64, j);
  }
};

template <>
struct Packed<DType::Q5_K> : PackedShape<DType::Q5_K, 32, true> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    return SixBitScale(b, g);
  }
  TL_DEVICE static float Offset(const uint8_t* b, int g) {
    return SixBitMinimum(b, g);
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    const int high = b[16 + i % 32 + j] >> i / 32 & 1;
    return NibbleAt(b + 48 + 32 * (i / 64), 32, i % 64, j) | high << 4;
  }
};

template <>
struct Packed<DType::Q6_K> : PackedShape<DType::Q6_K, 16> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    return __fmul_rn(HalfAt(b, 208),
                     static_cast<float>(static_cast<int8_t>(b[192 + g])));
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    const int run = i % 128 / 32;
    const uint8_t* from = b + 64 * (i / 128) + 32 * (run % 2);
    const int low = from[i % 32 + j] >> 4 * (run / 2) & 15;
    return (low | TwoBits(b + 128, i, j) << 4) - 32;
  }
};

template <>
struct Packed<DType::IQ4_NL> : PackedShape<DType::IQ4_NL, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return IQ4Value(NibbleAt(b + 2, 16, i, j));
  }
};

template <>
struct Packed<DType::IQ4_XS> : PackedShape<DType::IQ4_XS, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    const int low = b[4 + g / 2] >> 4 * (g % 2) & 15;
    const int high = (b[2] | b[3] << 8) >> 2 * g & 3;
    return __fmul_rn(HalfAt(b, 0), static_cast<float>((low | high << 4) - 32));
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return IQ4Value(NibbleAt(b + 8 + 16 * (i / 32), 16, i % 32, j));
  }
};

// Five ternary digits in a byte as a fraction of 3^5: multiplying by 3^digit
// (mod 256) brings one to the front.
TL_DEVICE int Trit(uint8_t byte, int digit) {
  constexpr uint64_t kPowers = 0x511b090301;  // 1, 3, 9, 27, 81
  const auto power = static_cast<unsigned>(kPowers >> 8 * digit & 0xff);
  return static_cast<int>((byte * power & 0xff) * 3 >> 8) - 1;
}

template <>
struct Packed<DType::TQ1_0> : PackedShape<DType::TQ1_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 52); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    if (i < 160) return Trit(b[i % 32 + j], i / 32);
    if (i < 240) return Trit(b[32 + i % 16 + j], (i - 160) / 16);
    return Trit(b[48 + j % 4], (i - 240 + j) / 4);
  }
};

template <>
struct Packed<DType::TQ2_0> : PackedShape<DType::TQ2_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 64); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return TwoBits(b, i, j) - 1;
  }
};

template <>
struct Packed<DType::MXFP4> : PackedShape<DType::MXFP4, 32> {
  // Half of 2^(e - 127), exact down to the denormals.
  TL_DEVICE static float Scale(const uint8_t* b, int) {
    return __fmul_rn(DecodeF8E8M0(b[0]), 0.5f);
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return E2M1Value(NibbleAt(b + 1, 16, i, j));
  }
};

template <>
struct Packed<DType::NVFP4> : PackedShape<DType::NVFP4, 16> {
  // E4M3 without sign and NaN: the codes that would be NaN are zero.
  TL_DEVICE static float Scale(const uint8_t* b, int g) {
    const auto code = static_cast<uint8_t>(b[g] & 0x7f);
    return code == 0x7f ? 0 : __fmul_rn(DecodeF8E4M3(code), 0.5f);
  }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return E2M1Value(NibbleAt(b + 4 + 8 * (i / 16), 8, i % 16, j));
  }
};

template <>
struct Packed<DType::Q1_0> : PackedShape<DType::Q1_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return b[2 + i / 8] >> j & 1 ? 1 : -1;
  }
};

template <>
struct Packed<DType::Q2_0> : PackedShape<DType::Q2_0, 32> {
  TL_DEVICE static float Scale(const uint8_t* b, int) { return HalfAt(b, 0); }
  TL_DEVICE static int Q(const uint8_t* b, int i, int j) {
    return (b[2 + (i + j) / 4] >> 2 * (j % 4) & 3) - 1;
  }
};

// Elements i .. i + 7 of a block, i a multiple of 8.
template <class Type>
TL_DEVICE void DecodeEight(const uint8_t* block, int i, float (&values)[8]) {
  const float scale = Type::Scale(block, i / Type::kGroup);
  float offset = 0;
  if constexpr (Type::kHasOffset)
    offset = Type::Offset(block, i / Type::kGroup);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    values[j] = __fmul_rn(scale, static_cast<float>(Type::Q(block, i, j)));
    if constexpr (Type::kHasOffset) values[j] = __fadd_rn(values[j], offset);
  }
}

// Calls f with the struct of a packed type.
template <class F>
void WithPacked(DType dtype, F f) {
  switch (dtype) {
#define TL_PACKED_kFloat(id)
#define TL_PACKED_kScale(id)
#define TL_PACKED_kOther(id)
#define TL_PACKED_kPacked(id) \
  case DType::id:             \
    return f(Packed<DType::id>{});
#define TL_DTYPE(id, name, kind, ...) TL_PACKED_##kind(id)
#include "tensor/dtype.def"
#undef TL_PACKED_kFloat
#undef TL_PACKED_kScale
#undef TL_PACKED_kOther
#undef TL_PACKED_kPacked
    default:
      TL_CHECK(false);
  }
}

}  // namespace tl::cuda
