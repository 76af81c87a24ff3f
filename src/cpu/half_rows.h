// Arrays of f16 to f32 and back with the processor's own instructions, for
// kernels that are otherwise plain loops. One number at a time: base/half.h,
// with the same bits. SIMD kernels convert in registers instead: simd-inl.h.
#pragma once

#include <cstdint>

namespace tl::cpu {

void HalvesToFloats(const uint16_t* from, float* to, int64_t count);
void FloatsToHalves(const float* from, uint16_t* to, int64_t count);

}  // namespace tl::cpu
