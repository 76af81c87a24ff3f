// IQ4_NL and IQ4_XS: four bits choose one of sixteen levels that lie closer
// together near zero, as weights do. Q2_0: -1, 0, 1 or 2 times a scale. The
// scale is searched as in quantize_fit.h, with levels in the place of integers.

#include <array>
#include <cmath>

#include "format/quantize_fit.h"
#include "format/quantize_search.h"
#include "tensor/packed.h"

namespace tl {
namespace {

constexpr int kLevelCount = kIQ4Values.size();
constexpr auto kLevels = [] {
  std::array<float, kLevelCount> levels;
  for (int i = 0; i < kLevelCount; ++i) levels[i] = kIQ4Values[i];
  return levels;
}();

struct Nearest {
  Floats level = Floats{} + kLevels[0];
  Ints code = {};
};

// The level next to each value, and its number.
TL_INLINE Nearest NearestLevels(const Floats& v) {
  Nearest nearest;
  for (int k = 1; k < kLevelCount; ++k) {
    const Ints above = v > (kLevels[k - 1] + kLevels[k]) / 2;
    nearest.level = above ? Floats{} + kLevels[k] : nearest.level;
    nearest.code -= above;  // a true lane is -1
  }
  return nearest;
}

struct LevelSums {
  float level_level = 0, value_level = 0;
};

TL_INLINE LevelSums SumsOfLevels(const float* x, float inverse) {
  Floats ll = {}, vl = {};
  for (int i = 0; i < 32; i += kLanes) {
    const Floats v = LoadFloats(x + i);
    const Floats level = NearestLevels(v * inverse).level;
    ll += level * level;
    vl += v * level;
  }
  return {SumLanes(ll), SumLanes(vl)};
}

// The scale of 32 values, of either sign: the levels reach further below zero.
TL_INLINE float FitLevels(const float* x) {
  const float extreme = ExtremeOf<32>(x);
  if (InverseOf(extreme) == 0) return 0;
  constexpr int kTries = 15;
  float best = 0, best_gain = 0;
  for (int side = 0; side < 2; ++side) {
    const float end = side == 0 ? kLevels[0] : kLevels[kLevelCount - 1];
    for (int i = 0; i < kTries; ++i) {
      const float inverse =
          end * (0.86f + 0.02f * static_cast<float>(i)) / extreme;
      const LevelSums sums = SumsOfLevels(x, inverse);
      const float gain = sums.value_level * sums.value_level;
      if (sums.level_level > 0 && gain > best_gain * sums.level_level) {
        best_gain = gain / sums.level_level;
        best = sums.value_level / sums.level_level;
      }
    }
  }
  return best;
}

TL_INLINE void StoreLevels(const float* x, float scale, std::byte* out) {
  const float inverse = InverseOf(scale);
  int32_t q[32];
  for (int i = 0; i < 32; i += kLanes) {
    const Ints code = NearestLevels(LoadFloats(x + i) * inverse).code;
    std::memcpy(q + i, &code, sizeof(code));
  }
  StoreNibbles<16>(q, out);
}

struct IQ4_NLBlock {
  static constexpr int kElements = 32, kBytes = 18;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    const float scale = StoredHalf(FitLevels(x));
    StoreHalf(scale, out);
    StoreLevels(x, scale, out + 2);
  }
};

struct IQ4_XSBlock {
  static constexpr int kElements = 256, kBytes = 136;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    float fits[8];
    for (int g = 0; g < 8; ++g) fits[g] = FitLevels(x + 32 * g);
    const float unit = StoredHalf(ExtremeOf<8>(fits) / -32);
    const float inverse = InverseOf(unit);
    int high = 0, low[4] = {};
    for (int g = 0; g < 8; ++g) {
      const int scale = std::clamp(
          static_cast<int>(std::nearbyint(fits[g] * inverse)), -32, 31);
      StoreLevels(x + 32 * g, unit * static_cast<float>(scale),
                  out + 8 + 16 * g);
      low[g / 2] |= ((scale + 32) & 15) << 4 * (g % 2);
      high |= (scale + 32) >> 4 << 2 * g;
    }
    StoreHalf(unit, out);
    out[2] = static_cast<std::byte>(high & 255);
    out[3] = static_cast<std::byte>(high >> 8);
    for (int i = 0; i < 4; ++i) out[4 + i] = static_cast<std::byte>(low[i]);
  }
};

struct Q2_0Block {
  static constexpr int kElements = 64, kBytes = 18;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    // -1, 0, 1, 2: the longer side is the positive one, so the search of the
    // negative integers is turned around.
    const float scale = StoredHalf(-FitScale<64, -2, 3>(x));
    StoreHalf(scale, out);
    int32_t q[64];
    RoundAffine<64>(x, {scale, scale}, 3, q);
    for (int i = 0; i < 16; ++i) {
      out[2 + i] = static_cast<std::byte>(
          q[4 * i] | q[4 * i + 1] << 2 | q[4 * i + 2] << 4 | q[4 * i + 3] << 6);
    }
  }
};

}  // namespace

void QuantizeIQ4_NL(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<IQ4_NLBlock>(x, blocks, out);
}
void QuantizeIQ4_XS(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<IQ4_XSBlock>(x, blocks, out);
}
void QuantizeQ2_0(const float* x, int64_t blocks, std::byte* out) {
  PackBlocks<Q2_0Block>(x, blocks, out);
}

}  // namespace tl
