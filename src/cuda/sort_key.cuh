// Numbers that order as elements do, NaN above all else and -0 equal to 0, so
// that sorting and searching compare integers whatever the type.
#pragma once

#include "cuda/device.cuh"

namespace tl::cuda {

// Floats order like their bits read as sign and magnitude.
TL_DEVICE uint32_t SortKey(uint16_t half) {
  if ((half & 0x7fff) > 0x7c00) return ~uint32_t{0};
  if (half == 0x8000) half = 0;
  return half & 0x8000 ? 0xffffu - half : half | 0x8000u;
}
TL_DEVICE uint32_t SortKey(float value) {
  if (value != value) return ~uint32_t{0};
  const uint32_t bits = __float_as_uint(value);
  if (bits == 0x80000000) return 0x80000000;
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}
TL_DEVICE uint32_t SortKey(int32_t value) {
  return static_cast<uint32_t>(value) ^ 0x80000000;
}

TL_DEVICE bool IsNaN(uint16_t half) { return (half & 0x7fff) > 0x7c00; }
TL_DEVICE bool IsNaN(float value) { return value != value; }
TL_DEVICE bool IsNaN(int32_t) { return false; }

}  // namespace tl::cuda
