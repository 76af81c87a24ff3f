// The quantisers whose scale follows from the extremes of a block alone; the
// rows of quantize.cc name them.
#pragma once

#include "format/quantize_blocks.h"

namespace tl {

void QuantizeQ4_0(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ4_1(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ5_0(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ5_1(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ8_0(const float* x, int64_t blocks, std::byte* out);
void QuantizeTQ1_0(const float* x, int64_t blocks, std::byte* out);
void QuantizeTQ2_0(const float* x, int64_t blocks, std::byte* out);
void QuantizeMXFP4(const float* x, int64_t blocks, std::byte* out);
void QuantizeNVFP4(const float* x, int64_t blocks, std::byte* out);
void QuantizeQ1_0(const float* x, int64_t blocks, std::byte* out);

}  // namespace tl
