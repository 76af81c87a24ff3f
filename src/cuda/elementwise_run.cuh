// One instruction of a fused chain on `kCount` neighbouring elements: the rows of
// elementwise.def, each once. The values are 32 bits, a float or an int32; a
// result is rounded to its type, so that fusing changes no bit.
#pragma once

#include "cuda/elementwise_group.h"
#include "cuda/float_math.cuh"

namespace tl::cuda {

TL_DEVICE float RoundToType(float value, DType dtype) {
  return dtype == DType::F16 ? FromHalf(ToHalf(value)) : value;
}

// f(m, x, y, z) on every element; what is not an operand of the row is not used.
template <class Math, int kCount, class F>
TL_DEVICE void ForEach(const uint32_t (&x)[kCount], const uint32_t (&y)[kCount],
                       const uint32_t (&z)[kCount], uint32_t (&result)[kCount],
                       DType dtype, F f) {
  const Math m;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if constexpr (sizeof(typename Math::T) == sizeof(int32_t) &&
                  typename Math::T(0.5f) == 0) {
      result[i] = static_cast<uint32_t>(
          f(m, static_cast<int32_t>(x[i]), static_cast<int32_t>(y[i]),
            static_cast<int32_t>(z[i])));
    } else {
      const float value = f(m, __uint_as_float(x[i]), __uint_as_float(y[i]),
                            __uint_as_float(z[i]));
      result[i] = dtype == DType::I32
                      ? static_cast<uint32_t>(__float2int_rz(value))
                      : __float_as_uint(RoundToType(value, dtype));
    }
  }
}

// Rows that are exact on int32 operands; the others only exist on floats.
template <Domain domain, int kCount, class F>
TL_DEVICE void RunRow(const ElementwiseGroup::Instruction& instruction,
                      const uint32_t (&x)[kCount], const uint32_t (&y)[kCount],
                      const uint32_t (&z)[kCount], uint32_t (&result)[kCount],
                      F f) {
  if constexpr (domain != Domain::kFloat) {
    if (instruction.int_lanes) {
      ForEach<IntMath>(x, y, z, result, DType::I32, f);
      return;
    }
  }
  ForEach<FloatMath>(x, y, z, result, instruction.dtype, f);
}

// x, y and z hold floats already where the instruction computes on floats.
template <int kCount>
TL_DEVICE void RunInstruction(const ElementwiseGroup::Instruction& instruction,
                              const uint32_t (&x)[kCount],
                              const uint32_t (&y)[kCount],
                              const uint32_t (&z)[kCount],
                              uint32_t (&result)[kCount]) {
  switch (instruction.op) {
#define TL_ROW(id, domain, formula)                                     \
  case OpId::id:                                                        \
    RunRow<Domain::domain>(instruction, x, y, z, result,                \
                           [](auto m, auto x, auto y, auto z) {         \
                             (void)m, (void)x, (void)y, (void)z;        \
                             return formula;                            \
                           });                                          \
    break;
#define TL_UNARY(id, name, domain, formula) TL_ROW(id, domain, formula)
#define TL_BINARY(id, name, domain, formula) TL_ROW(id, domain, formula)
#define TL_TERNARY(id, name, domain, formula) TL_ROW(id, domain, formula)
#include "ops/elementwise.def"
#undef TL_ROW
    default:
      break;
  }
}

}  // namespace tl::cuda
