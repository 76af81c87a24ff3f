// Packing: float32 values to the blocks of a storage type, the way back from
// tensor/decode.h. For the types that the `gguf` package can quantise (F16 BF16
// Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 TQ1_0 TQ2_0 MXFP4) the bytes are the same as its
// own; for the others each scale is searched for the least squared error.
// The same bytes on every processor. Tensors and files: format/recode.h.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"

namespace tl {

// F32, F16, BF16 and every packed type.
bool CanQuantize(DType dtype);

// `values` are whole blocks and finite; `out` is exactly their bytes. Values
// beyond MaxMagnitude() give infinite scales.
void Quantize(DType dtype, std::span<const float> values,
              std::span<std::byte> out);

// The largest magnitude that `dtype` holds: the scales of most packed types
// are float16.
float MaxMagnitude(DType dtype);

}  // namespace tl
