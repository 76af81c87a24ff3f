// Stored numbers to float32, many at a time: the same values as tensor/decode.h
// gives, F16 and BF16 with the vector units of this processor.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"

namespace tl {

void Widen(DType dtype, std::span<const std::byte> bytes,
           std::span<float> values);

}  // namespace tl
