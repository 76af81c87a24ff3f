// float16 and bfloat16 bits to and from float, one number at a time, rounding
// to nearest, ties to even. These are the reference for the vector kernels and
// agree with the processor's own instructions bit for bit: a NaN keeps the top
// of its payload and becomes quiet. Arrays are converted in room cpu.
#pragma once

#include <bit>
#include <cstdint>

namespace tl {

inline constexpr float kHalfMax = 65504;
inline constexpr uint16_t kHalfInfinity = 0x7c00;
// The first magnitude that rounds to infinity: kHalfMax and half a step.
inline constexpr double kHalfOverflow = 65520;
// The largest magnitude that rounds to zero: a tie, and zero is even.
inline constexpr double kHalfFlush = 0x1p-25;

constexpr bool IsHalfNaN(uint16_t half) { return (half & 0x7fff) > 0x7c00; }

constexpr float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  if (exponent == 31) {
    const uint32_t quiet = mantissa == 0 ? 0 : 0x400000;
    return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13 | quiet);
  }
  return std::bit_cast<float>(sign | (exponent + 127 - 15) << 23 |
                              mantissa << 13);
}

// Rounds once. Through float it would round twice, and 1 + 2^-11 + 2^-40 would
// lose its last bit before it could break the tie.
constexpr uint16_t DoubleToHalf(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 48 & 0x8000);
  const uint64_t magnitude = bits & ~(uint64_t{1} << 63);
  if (magnitude > uint64_t{0x7ff} << 52) {
    return sign | 0x7e00 | static_cast<uint16_t>(magnitude >> 42 & 0x1ff);
  }
  if (magnitude >= std::bit_cast<uint64_t>(kHalfOverflow)) {
    return sign | kHalfInfinity;
  }
  if (magnitude <= std::bit_cast<uint64_t>(kHalfFlush)) return sign;

  const int exponent = static_cast<int>(magnitude >> 52) - 1023;
  const uint64_t mantissa =
      (magnitude & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  // 52 mantissa bits become 10; below 2^-14 one fewer with each halving.
  const int drop = exponent >= -14 ? 42 : 42 + (-14 - exponent);
  const uint64_t kept = mantissa >> drop;
  const uint64_t rest = mantissa & ((uint64_t{1} << drop) - 1);
  const uint64_t tie = uint64_t{1} << (drop - 1);
  const uint64_t up = rest > tie || (rest == tie && (kept & 1)) ? 1 : 0;
  // The mantissa's leading one, or a carry, steps the exponent by itself.
  const uint64_t base =
      exponent >= -14 ? static_cast<uint64_t>(exponent + 14) << 10 : 0;
  return static_cast<uint16_t>(sign | (base + kept + up));
}

constexpr uint16_t FloatToHalf(float value) {
  return DoubleToHalf(static_cast<double>(value));  // exact
}

constexpr float BFloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

constexpr uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  }
  const uint32_t odd = bits >> 16 & 1;
  return static_cast<uint16_t>((bits + 0x7fff + odd) >> 16);
}

}  // namespace tl
