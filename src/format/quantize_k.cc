// The K types: 256 weights in groups of 16 or 32, whose scales (and minima) are
// small integers times one float16 each. First every group gets the scale that
// suits it (quantize_fit.h); those are rounded to integers; then the weights
// are rounded to the scales as they will be read. Layouts: tensor/packed.cc.

#include <cmath>

#include "format/quantize_fit.h"
#include "format/quantize_search.h"

namespace tl {
namespace {

constexpr int kBlock = 256;

TL_INLINE int32_t RoundTo(float value, int32_t low, int32_t high) {
  const auto nearest = static_cast<int32_t>(std::nearbyint(value));
  return std::clamp(nearest, low, high);
}

// Of the groups of one block: float16 units and the integers that count them.
template <int kGroups>
struct AffineScales {
  float scale_unit;
  float minimum_unit;
  int32_t scales[kGroups];
  int32_t minima[kGroups];

  TL_INLINE AffineFit fit(int g) const {
    return {scale_unit * static_cast<float>(scales[g]),
            minimum_unit * static_cast<float>(minima[g])};
  }
};

template <int kGroups, int kLargestScale, int kLargestQ>
TL_INLINE AffineScales<kGroups> FitGroups(const float* x) {
  constexpr int kGroup = kBlock / kGroups;
  AffineFit fits[kGroups];
  float scale = 0, minimum = 0;
  for (int g = 0; g < kGroups; ++g) {
    fits[g] = FitAffine<kGroup, kLargestQ>(x + g * kGroup);
    scale = std::max(scale, fits[g].scale);
    minimum = std::max(minimum, fits[g].minimum);
  }
  AffineScales<kGroups> result;
  result.scale_unit = StoredHalf(scale / kLargestScale);
  result.minimum_unit = StoredHalf(minimum / kLargestScale);
  const float scale_inverse = InverseOf(result.scale_unit);
  const float minimum_inverse = InverseOf(result.minimum_unit);
  for (int g = 0; g < kGroups; ++g) {
    result.scales[g] = RoundTo(fits[g].scale * scale_inverse, 0, kLargestScale);
    result.minima[g] =
        RoundTo(fits[g].minimum * minimum_inverse, 0, kLargestScale);
  }
  return result;
}

template <int kGroups>
TL_INLINE void RoundGroups(const float* x, const AffineScales<kGroups>& scales,
                           int largest, int32_t* q) {
  constexpr int kGroup = kBlock / kGroups;
  for (int g = 0; g < kGroups; ++g) {
    RoundAffine<kGroup>(x + g * kGroup, scales.fit(g), largest, q + g * kGroup);
  }
}

// Two bits of each: in a half of 128 the runs of 32 share their bytes.
TL_INLINE void StorePairsOfBits(const int32_t* q, std::byte* out) {
  for (int h = 0; h < 2; ++h) {
    const int32_t* run = q + 128 * h;
    for (int l = 0; l < 32; ++l) {
      out[32 * h + l] = static_cast<std::byte>(
          (run[l] & 3) | (run[32 + l] & 3) << 2 | (run[64 + l] & 3) << 4 |
          (run[96 + l] & 3) << 6);
    }
  }
}

struct Q2_KBlock {
  static constexpr int kElements = 256, kBytes = 84;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const auto scales = FitGroups<16, 15, 3>(x);
    int32_t q[kBlock];
    RoundGroups(x, scales, 3, q);
    for (int g = 0; g < 16; ++g) {
      out[g] = static_cast<std::byte>(scales.scales[g] | scales.minima[g] << 4);
    }
    StorePairsOfBits(q, out + 16);
    StoreHalf(scales.scale_unit, out + 80);
    StoreHalf(scales.minimum_unit, out + 82);
  }
};

// Eight pairs of six bits in twelve bytes.
TL_INLINE void StoreScalesAndMinima(const AffineScales<8>& scales,
                                    std::byte* out) {
  StoreHalf(scales.scale_unit, out);
  StoreHalf(scales.minimum_unit, out + 2);
  const int32_t* s = scales.scales;
  const int32_t* m = scales.minima;
  for (int g = 0; g < 4; ++g) {
    out[4 + g] = static_cast<std::byte>(s[g] | s[g + 4] >> 4 << 6);
    out[8 + g] = static_cast<std::byte>(m[g] | m[g + 4] >> 4 << 6);
    out[12 + g] =
        static_cast<std::byte>((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
  }
}

struct Q4_KBlock {
  static constexpr int kElements = 256, kBytes = 144;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const auto scales = FitGroups<8, 63, 15>(x);
    int32_t q[kBlock];
    RoundGroups(x, scales, 15, q);
    StoreScalesAndMinima(scales, out);
    for (int pair = 0; pair < 4; ++pair) {
      StoreNibbles<32>(q + 64 * pair, out + 16 + 32 * pair);
    }
  }
};

struct Q5_KBlock {
  static constexpr int kElements = 256, kBytes = 176;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const auto scales = FitGroups<8, 63, 31>(x);
    int32_t q[kBlock];
    RoundGroups(x, scales, 31, q);
    StoreScalesAndMinima(scales, out);
    for (int l = 0; l < 32; ++l) {
      int32_t fifth = 0;
      for (int k = 0; k < 8; ++k) fifth |= (q[32 * k + l] >> 4) << k;
      out[16 + l] = static_cast<std::byte>(fifth);
    }
    for (int pair = 0; pair < 4; ++pair) {
      StoreNibbles<32>(q + 64 * pair, out + 48 + 32 * pair);
    }
  }
};

struct SignedScales {
  float unit;
  int32_t scales[16];
};

// Of 16 groups of 16. The largest scale becomes kLowest, so the unit may be
// negative.
template <int kLowest, int kLowQ, int kSpanQ>
TL_INLINE SignedScales FitSignedGroups(const float* x) {
  float fits[16];
  for (int g = 0; g < 16; ++g) {
    fits[g] = FitScale<16, kLowQ, kSpanQ>(x + 16 * g);
  }
  SignedScales result;
  result.unit = StoredHalf(ExtremeOf<16>(fits) / kLowest);
  const float inverse = InverseOf(result.unit);
  for (int g = 0; g < 16; ++g) {
    result.scales[g] = RoundTo(fits[g] * inverse, kLowest, -kLowest - 1);
  }
  return result;
}

// q - kLowQ, from zero.
template <int kLowQ, int kSpanQ>
TL_INLINE void RoundSignedGroups(const float* x, const SignedScales& scales,
                                 int32_t* q) {
  for (int g = 0; g < 16; ++g) {
    const float inverse =
        InverseOf(scales.unit * static_cast<float>(scales.scales[g]));
    for (int i = 16 * g; i < 16 * g + 16; ++i) {
      const float moved = x[i] * inverse + (0.5f - kLowQ);
      q[i] = static_cast<int32_t>(
          std::min(std::max(moved, 0.0f), static_cast<float>(kSpanQ)));
    }
  }
}

struct Q3_KBlock {
  static constexpr int kElements = 256, kBytes = 110;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const SignedScales scales = FitSignedGroups<-32, -4, 7>(x);
    int32_t q[kBlock];
    RoundSignedGroups<-4, 7>(x, scales, q);
    for (int l = 0; l < 32; ++l) {
      int32_t third = 0;
      for (int k = 0; k < 8; ++k) third |= (q[32 * k + l] >> 2) << k;
      out[l] = static_cast<std::byte>(third);
    }
    StorePairsOfBits(q, out + 32);
    StoreSixBits(scales.scales, out + 96);
    StoreHalf(scales.unit, out + 108);
  }

  // The low halves of 16 scales in eight bytes, their high pairs in four.
  TL_INLINE static void StoreSixBits(const int32_t* scales, std::byte* out) {
    for (int k = 0; k < 8; ++k) {
      const int32_t a = scales[k] + 32, b = scales[k + 8] + 32;
      out[k] = static_cast<std::byte>((a & 15) | (b & 15) << 4);
    }
    for (int k = 0; k < 4; ++k) {
      int32_t bits = 0;
      for (int n = 0; n < 4; ++n) {
        bits |= ((scales[4 * n + k] + 32) >> 4) << 2 * n;
      }
      out[8 + k] = static_cast<std::byte>(bits);
    }
  }
};

struct Q6_KBlock {
  static constexpr int kElements = 256, kBytes = 210;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const SignedScales scales = FitSignedGroups<-128, -32, 63>(x);
    int32_t q[kBlock];
    RoundSignedGroups<-32, 63>(x, scales, q);
    for (int h = 0; h < 2; ++h) StoreNibbles<64>(q + 128 * h, out + 64 * h);
    int32_t high[kBlock];
    for (int i = 0; i < kBlock; ++i) high[i] = q[i] >> 4;
    StorePairsOfBits(high, out + 128);
    for (int g = 0; g < 16; ++g) {
      out[192 + g] = static_cast<std::byte>(scales.scales[g]);
    }
    StoreHalf(scales.unit, out + 208);
  }
};

}  // namespace

void QuantizeQ2_K(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q2_KBlock>(x, blocks, out);
}
void QuantizeQ3_K(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q3_KBlock>(x, blocks, out);
}
void QuantizeQ4_K(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q4_KBlock>(x, blocks, out);
}
void QuantizeQ5_K(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q5_KBlock>(x, blocks, out);
}
void QuantizeQ6_K(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q6_KBlock>(x, blocks, out);
}

}  // namespace tl
