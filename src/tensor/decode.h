// The value of stored elements, one at a time: the reference that the vector
// kernels of room cpu are tested against, fast enough for statistics. Types
// that are only listed and saved (F6, F4, C64, IQ2_XS, ...) have no value here.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/half.h"
#include "tensor/dtype.h"

namespace tl {

// sign 1, exponent 5, mantissa 2: the upper byte of a float16.
constexpr float DecodeF8E5M2(uint8_t byte) {
  return HalfToFloat(static_cast<uint16_t>(byte << 8));
}

// The small types share their shape: a sign, an exponent with a bias, a
// mantissa, and numbers below the first exponent in even steps.
constexpr float DecodeSmallFloat(uint8_t byte, int mantissa_bits, int bias) {
  const uint32_t exponent = (byte & 0x7f) >> mantissa_bits;
  const uint32_t mantissa = byte & ((1u << mantissa_bits) - 1);
  const auto power = [](int exponent_of_two) {
    return std::bit_cast<float>(static_cast<uint32_t>(exponent_of_two + 127)
                                << 23);
  };
  const float magnitude =
      exponent == 0
          ? static_cast<float>(mantissa) * power(1 - bias - mantissa_bits)
          : static_cast<float>(mantissa | 1u << mantissa_bits) *
                power(static_cast<int>(exponent) - bias - mantissa_bits);
  return byte & 0x80 ? -magnitude : magnitude;
}

// No infinity; all ones is NaN.
constexpr float DecodeF8E4M3(uint8_t byte) {
  if ((byte & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  return DecodeSmallFloat(byte, 3, 7);
}

// FNUZ: no infinity, no negative zero; its code is the only NaN.
constexpr float DecodeF8E4M3FNUZ(uint8_t byte) {
  if (byte == 0x80) return std::numeric_limits<float>::quiet_NaN();
  return DecodeSmallFloat(byte, 3, 8);
}

constexpr float DecodeF8E5M2FNUZ(uint8_t byte) {
  if (byte == 0x80) return std::numeric_limits<float>::quiet_NaN();
  return DecodeSmallFloat(byte, 2, 16);
}

// A power of two from 2^-127 to 2^127.
constexpr float DecodeF8E8M0(uint8_t byte) {
  if (byte == 0xff) return std::numeric_limits<float>::quiet_NaN();
  if (byte == 0) return 0x1p-127f;
  return std::bit_cast<float>(uint32_t{byte} << 23);
}

// Whether elements of this type have one value each.
bool CanDecode(DType dtype);

// values[i] = element i, exact but for 64-bit integers above 2^53. `bytes`
// holds exactly values.size() elements, whole blocks, at any alignment.
void Decode(DType dtype, std::span<const std::byte> bytes,
            std::span<double> values);

// The same as float: F64 and integers above 2^24 round to nearest.
void Decode(DType dtype, std::span<const std::byte> bytes,
            std::span<float> values);

}  // namespace tl
