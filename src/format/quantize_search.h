// The quantisers that search their scales for the least squared error; the rows
// of quantize.cc name them, quantize_fit.h has the search.
#pragma once

#include "format/quantize_blocks.h"

namespace tl {

void QuantizeQ2_K(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ3_K(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ4_K(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ5_K(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ6_K(const float* x, int64_t blocks, std::byte* out);
void QuantizeIQ4_NL(const float* x, int64_t blocks, std::byte* out);
void QuantizeIQ4_XS(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ2_0(const float* x, int64_t blocks, std::byte* out);

}  // namespace tl
