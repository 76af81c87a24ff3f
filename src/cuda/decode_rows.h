// Packed weights as f16 or f32 in the card's memory, for products of many rows.
#pragma once

#include "exec/backend.h"

namespace tl::cuda {

// `rows` rows of k elements, `row_bytes` apart, to dense ones of `to_dtype`,
// rounded once. k is a multiple of the type's block.
void DecodePackedRows(DType dtype, const std::byte* from, int64_t row_bytes,
                      int64_t rows, int64_t k, DType to_dtype, std::byte* to);

}  // namespace tl::cuda
