// Round to nearest: the scale maps the extremes of a block to the ends of the
// integers, and each value goes to the integer next to it. Steps and roundings
// are those of ggml's reference (quantize_row_*_ref), in float32, so that the
// bytes agree. Layouts: tensor/packed.cc.

#include "format/quantize_rounding.h"

#include <cmath>

#include "tensor/decode.h"

namespace tl {
namespace {

// Bit i of 32 is the fifth bit of q[i].
TL_INLINE void StoreFifthBits(const int32_t* q, std::byte* out) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) {
    bits |= (static_cast<uint32_t>(q[i]) >> 4 & 1) << i;
  }
  std::memcpy(out, &bits, sizeof(bits));
}

// q of scale * (q - 2^(bits - 1)): the extreme lands on the lowest integer, so
// the other end may have to give way.
template <int kBits>
TL_INLINE float RoundSigned(const float* x, int32_t* q) {
  constexpr int kMiddle = 1 << (kBits - 1);
  const float scale = ExtremeOf<32>(x) / -kMiddle;
  const float inverse = InverseOf(scale);
  for (int i = 0; i < 32; ++i) {
    const float moved = x[i] * inverse + (kMiddle + 0.5f);
    q[i] = std::min(static_cast<int32_t>(moved), 2 * kMiddle - 1);
  }
  return scale;
}

struct ScaleAndMinimum {
  float scale;
  float minimum;
};

// q of scale * q + minimum.
template <int kBits>
TL_INLINE ScaleAndMinimum RoundUnsigned(const float* x, int32_t* q) {
  constexpr int kLargest = (1 << kBits) - 1;
  const Range range = RangeOf<32>(x);
  const float scale = (range.high - range.low) / kLargest;
  const float inverse = InverseOf(scale);
  for (int i = 0; i < 32; ++i) {
    const float moved = (x[i] - range.low) * inverse + 0.5f;
    q[i] = std::min(static_cast<int32_t>(moved), kLargest);
  }
  return {scale, range.low};
}

struct Q4_0Block {
  static constexpr int kElements = 32, kBytes = 18;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[32];
    StoreHalf(RoundSigned<4>(x, q), out);
    StoreNibbles<16>(q, out + 2);
  }
};

struct Q4_1Block {
  static constexpr int kElements = 32, kBytes = 20;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[32];
    const ScaleAndMinimum fit = RoundUnsigned<4>(x, q);
    StoreHalf(fit.scale, out);
    StoreHalf(fit.minimum, out + 2);
    StoreNibbles<16>(q, out + 4);
  }
};

struct Q5_0Block {
  static constexpr int kElements = 32, kBytes = 22;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[32];
    StoreHalf(RoundSigned<5>(x, q), out);
    StoreFifthBits(q, out + 2);
    StoreNibbles<16>(q, out + 6);
  }
};

struct Q5_1Block {
  static constexpr int kElements = 32, kBytes = 24;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[32];
    const ScaleAndMinimum fit = RoundUnsigned<5>(x, q);
    StoreHalf(fit.scale, out);
    StoreHalf(fit.minimum, out + 2);
    StoreFifthBits(q, out + 4);
    StoreNibbles<16>(q, out + 8);
  }
};

struct Q8_0Block {
  static constexpr int kElements = 32, kBytes = 34;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const float scale = LargestMagnitude<32>(x) / 127;
    const float inverse = InverseOf(scale);
    StoreHalf(scale, out);
    for (int i = 0; i < 32; ++i) {
      out[2 + i] = static_cast<std::byte>(RoundAway(x[i] * inverse));
    }
  }
};

// 0, 1, 2 for -1, 0, 1 times the largest magnitude, which is returned.
TL_INLINE float RoundToTrits(const float* x, int32_t* q) {
  const float scale = LargestMagnitude<256>(x);
  const float inverse = InverseOf(scale);
  for (int i = 0; i < 256; ++i) q[i] = RoundAway(x[i] * inverse) + 1;
  return scale;
}

// `digits` ternary digits q[i], q[i + count] ... as a fraction of 3^5, rounded
// up so that multiplying by powers of three brings them back.
TL_INLINE void StoreTrits(const int32_t* q, int count, int digits,
                          std::byte* out) {
  for (int i = 0; i < count; ++i) {
    int32_t number = 0;
    for (int n = 0; n < 5; ++n) {
      number = number * 3 + (n < digits ? q[n * count + i] : 0);
    }
    out[i] = static_cast<std::byte>((number * 256 + 242) / 243);
  }
}

struct TQ1_0Block {
  static constexpr int kElements = 256, kBytes = 54;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[256];
    StoreHalf(RoundToTrits(x, q), out + 52);
    StoreTrits(q, 32, 5, out);
    StoreTrits(q + 160, 16, 5, out + 32);
    StoreTrits(q + 240, 4, 4, out + 48);
  }
};

struct TQ2_0Block {
  static constexpr int kElements = 256, kBytes = 66;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t q[256];
    StoreHalf(RoundToTrits(x, q), out + 64);
    for (int h = 0; h < 2; ++h) {
      const int32_t* half = q + 128 * h;
      for (int l = 0; l < 32; ++l) {
        out[32 * h + l] =
            static_cast<std::byte>(half[l] | half[32 + l] << 2 |
                                   half[64 + l] << 4 | half[96 + l] << 6);
      }
    }
  }
};

// The code of E2M1 next to value * inverse, where the numbers of the type are
// doubled to 0 1 2 3 4 6 8 12. A tie goes to the smaller; minus zero is zero.
TL_INLINE int32_t E2M1Code(float value, float inverse) {
  const float magnitude = std::abs(value) * inverse;
  int32_t code = 0;
  code += magnitude > 0.5f ? 1 : 0;
  code += magnitude > 1.5f ? 1 : 0;
  code += magnitude > 2.5f ? 1 : 0;
  code += magnitude > 3.5f ? 1 : 0;
  code += magnitude > 5 ? 1 : 0;
  code += magnitude > 7 ? 1 : 0;
  code += magnitude > 10 ? 1 : 0;
  const int32_t sign = (value < 0 ? 8 : 0) & (code != 0 ? 8 : 0);
  return code | sign;
}

// The exponent byte for a block of this largest magnitude: it comes to lie
// between 4 and 8 on the scale of E2M1, whose largest number is 6. The
// reference takes the logarithm in float32, where a number just below a power
// of two has the logarithm of that power.
TL_INLINE int SharedExponent(float largest) {
  if (largest == 0) return 0;
  const auto log = static_cast<float>(std::log2(double{largest}));
  return std::max(static_cast<int>(std::floor(log)) - 2 + 127, 0);
}

struct MXFP4Block {
  static constexpr int kElements = 32, kBytes = 17;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const int exponent = SharedExponent(LargestMagnitude<32>(x));
    // 2^(128 - exponent): powers of two, so nothing is rounded. Exponent 0 is
    // of zeros, and of what is as good as zero.
    const float inverse =
        exponent == 0
            ? 0
            : std::bit_cast<float>(static_cast<uint32_t>(255 - exponent) << 23);
    int32_t q[32];
    for (int i = 0; i < 32; ++i) q[i] = E2M1Code(x[i], inverse);
    out[0] = static_cast<std::byte>(exponent);
    StoreNibbles<16>(q, out + 1);
  }
};

// The nearest code of E4M3 without sign, at most 448.
TL_INLINE uint8_t UnsignedE4M3(float value) {
  if (!(value < 448)) return 0x7e;
  // Below 2^-6 the steps are even.
  if (value < 0x1p-6f) return static_cast<uint8_t>(value * 512 + 0.5f);
  const uint32_t bits = std::bit_cast<uint32_t>(value) + (1u << 19);
  return static_cast<uint8_t>((bits >> 20) - ((127 - 7) << 3));
}

struct NVFP4Block {
  static constexpr int kElements = 64, kBytes = 36;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    for (int g = 0; g < 4; ++g) {
      const float* group = x + 16 * g;
      const uint8_t code = UnsignedE4M3(LargestMagnitude<16>(group) / 6);
      out[g] = static_cast<std::byte>(code);
      const float inverse = InverseOf(DecodeF8E4M3(code) * 0.5f);
      int32_t q[16];
      for (int i = 0; i < 16; ++i) q[i] = E2M1Code(group[i], inverse);
      StoreNibbles<8>(q, out + 4 + 8 * g);
    }
  }
};

// One bit: the sign. The mean magnitude is the scale of least squared error.
struct Q1_0Block {
  static constexpr int kElements = 128, kBytes = 18;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    Floats sums = {};
    for (int i = 0; i < kElements; i += kLanes) {
      const Floats v = LoadFloats(x + i);
      sums += v < 0 ? -v : v;
    }
    StoreHalf(SumLanes(sums) / kElements, out);
    for (int i = 0; i < kElements / 8; ++i) {
      int bits = 0;
      for (int b = 0; b < 8; ++b) bits |= (x[8 * i + b] >= 0 ? 1 : 0) << b;
      out[2 + i] = static_cast<std::byte>(bits);
    }
  }
};

}  // namespace

void QuantizeQ4_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q4_0Block>(x, blocks, out);
}
void QuantizeQ4_1(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q4_1Block>(x, blocks, out);
}
void QuantizeQ5_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q5_0Block>(x, blocks, out);
}
void QuantizeQ5_1(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q5_1Block>(x, blocks, out);
}
void QuantizeQ8_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q8_0Block>(x, blocks, out);
}
void QuantizeTQ1_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<TQ1_0Block>(x, blocks, out);
}
void QuantizeTQ2_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<TQ2_0Block>(x, blocks, out);
}
void QuantizeMXFP4(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<MXFP4Block>(x, blocks, out);
}
void QuantizeNVFP4(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<NVFP4Block>(x, blocks, out);
}
void QuantizeQ1_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q1_0Block>(x, blocks, out);
}

}  // namespace tl
