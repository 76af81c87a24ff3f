// Stored numbers to float32, many at a time: the same values as tensor/decode.h
// gives, F16 and BF16 with the vector units of this processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace tl {

void Widen(DType dtype, std::span<const std::byte> bytes,
           std::span<float> values);

// The largest magnitude, as the bits of a float32, so that NaN and inf are the
// largest of all.
uint32_t LargestMagnitudeBits(std::span<const float> values);

}  // namespace tl
