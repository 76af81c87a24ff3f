// What a random number is, bit for bit, so that every SIMD target, thread count
// and device draws the same ones. Element i of a tensor is made of lane i % 4
// of block i / 4 of the stream of base/philox.h.
//
// The float formulas use only +, -, *, / and sqrt, each rounded to nearest in
// f32 and never contracted, in the order written: another backend that does the
// same gets the same bits. No library function is called, for those differ.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/philox.h"

namespace tl {

// The same number rounded toward zero to f16's precision, so that f16 never
// reaches 1 either. Above 2^-14 f16 keeps 10 of f32's 23 mantissa bits; below,
// its step is 2^-24, and those 13 bits are already 0.
constexpr float UniformHalf(uint32_t word) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(UniformFloat(word)) &
                              ~uint32_t{0x1fff});
}

// ln(u) for u in [2^-24, 1]: u = 2^e * m with m in [sqrt(1/2), sqrt(2)), and
// ln(m) = 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.172, by its series;
// the first term left out is below 2^-28 of the sum.
constexpr float LogOfUniform(float u) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const uint32_t bits = std::bit_cast<uint32_t>(u);
  const int32_t e = static_cast<int32_t>(bits - kSqrtHalf) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(e) << 23));
  const float s = (m - 1.0f) / (m + 1.0f);
  const float t = s * s;
  float series = 1.0f / 9.0f;
  series = series * t + 1.0f / 7.0f;
  series = series * t + 1.0f / 5.0f;
  series = series * t + 1.0f / 3.0f;
  series = series * t + 1.0f;
  return static_cast<float>(e) * 0.693147180559945f + (s + s) * series;
}

struct CosSin {
  float cos;
  float sin;
};

// Of `turn` / 2^24 of a full turn, 0 <= turn < 2^24. Quarter turns come off in
// integers; the rest is an angle within pi/4 of 0, where Taylor's series to
// a^10 and a^11 are below half a step of f32.
constexpr CosSin CosSinOfTurn(uint32_t turn) {
  const uint32_t quarter = (turn + 0x200000) >> 22;
  const int32_t rest = static_cast<int32_t>(turn - (quarter << 22));
  const float a = static_cast<float>(rest) * 3.74507028e-7f;  // 2 pi / 2^24
  const float t = a * a;
  float c = -1.0f / 3628800.0f;
  c = c * t + 1.0f / 40320.0f;
  c = c * t - 1.0f / 720.0f;
  c = c * t + 1.0f / 24.0f;
  c = c * t - 0.5f;
  c = c * t + 1.0f;
  float s = -1.0f / 39916800.0f;
  s = s * t + 1.0f / 362880.0f;
  s = s * t - 1.0f / 5040.0f;
  s = s * t + 1.0f / 120.0f;
  s = s * t - 1.0f / 6.0f;
  s = s * t + 1.0f;
  s = s * a;
  switch (quarter & 3) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

// Two standard normal numbers from two words, by Box and Muller: the radius
// from u = ((first >> 8) + 1) / 2^24, the angle from second >> 8. The largest
// radius is sqrt(48 ln 2), about 5.77.
constexpr float NormalRadiusSquared(uint32_t first) {
  const float u = static_cast<float>((first >> 8) + 1) * 0x1p-24f;
  return -2.0f * LogOfUniform(u);
}
inline std::array<float, 2> NormalPair(uint32_t first, uint32_t second) {
  const float radius = std::sqrt(NormalRadiusSquared(first));
  const CosSin angle = CosSinOfTurn(second >> 8);
  return {radius * angle.cos, radius * angle.sin};
}

}  // namespace tl
