// One instruction of a fused chain on some neighbouring elements: the rows of
// elementwise.def, each once. Who keeps a result rounds it to its type, so that
// fusing changes no bit.
#pragma once

#include "cuda/elementwise_group.h"
#include "cuda/float_math.cuh"

namespace tl::cuda {

TL_DEVICE float RoundToType(float value, DType dtype) {
  return dtype == DType::F16 ? FromHalf(ToHalf(value)) : value;
}

TL_DEVICE uint32_t LoadValue(const std::byte* data, DType dtype, int64_t at) {
  if (dtype == DType::F16) {
    return __float_as_uint(
        FromHalf(reinterpret_cast<const uint16_t*>(data)[at]));
  }
  return reinterpret_cast<const uint32_t*>(data)[at];
}

TL_DEVICE void StoreValue(std::byte* data, DType dtype, int64_t at,
                        uint32_t value) {
  if (dtype == DType::F16) {
    reinterpret_cast<uint16_t*>(data)[at] = ToHalf(__uint_as_float(value));
  } else {
    reinterpret_cast<uint32_t*>(data)[at] = value;
  }
}

TL_DEVICE int64_t PlaceIn(const ElementwiseGroup& group,
                          const ElementwiseGroup::Input& x, int64_t i) {
  int64_t place = 0;
  for (int axis = group.rank - 1; axis > 0; --axis) {
    const int64_t rest = i / group.dims[axis];
    place += (i - rest * group.dims[axis]) * x.strides[axis];
    i = rest;
  }
  return group.rank > 0 ? place + i * x.strides[0] : 0;
}

// An instruction on kCount elements. Load has operator()(k, x): operand k as
// floats, or as ints where the instruction computes on ints.
template <int kCount, class Load>
struct InstructionRun {
  const ElementwiseGroup::Instruction& instruction;
  const Load& load;
  uint32_t (&result)[kCount];  // float, not rounded; int32 for an I32 result

  template <class Math>
  TL_DEVICE static typename Math::T As(uint32_t bits) {
    if constexpr (Math::kIsInt) {
      return static_cast<int32_t>(bits);
    } else {
      return __uint_as_float(bits);
    }
  }

  TL_DEVICE void ToInts() const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      result[i] =
          static_cast<uint32_t>(__float2int_rz(__uint_as_float(result[i])));
    }
  }

  template <class Math, int kArity, class F>
  TL_DEVICE void Each(F f) const {
    uint32_t x[kCount], y[kCount], z[kCount];
    load(0, x);
    if constexpr (kArity > 1) load(1, y);
    if constexpr (kArity > 2) load(2, z);
    const Math m;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto a = As<Math>(x[i]);
      const auto b = As<Math>(kArity > 1 ? y[i] : x[i]);
      const auto c = As<Math>(kArity > 2 ? z[i] : x[i]);
      const auto value = f(m, a, b, c);
      if constexpr (Math::kIsInt) {
        result[i] = static_cast<uint32_t>(value);
      } else {
        result[i] = __float_as_uint(value);
      }
    }
    if constexpr (!Math::kIsInt) {
      if (instruction.dtype == DType::I32) ToInts();
    }
  }

  // Rows that are exact on int32 operands; the others only exist on floats.
  template <Domain domain, int kArity, class F>
  TL_DEVICE void Row(F f) const {
    if constexpr (domain != Domain::kFloat) {
      if (instruction.int_lanes) return Each<IntMath, kArity>(f);
    }
    Each<FloatMath, kArity>(f);
  }
};

template <int kCount, class Load>
TL_DEVICE void RunInstruction(const ElementwiseGroup::Instruction& instruction,
                              const Load& load, uint32_t (&result)[kCount]) {
  const InstructionRun<kCount, Load> run = {instruction, load, result};
  switch (instruction.op) {
#define TL_ROW(id, domain, arity, formula)                                  \
  case OpId::id:                                                            \
    run.template Row<Domain::domain, arity>([](auto m, auto x, auto y, auto z) { \
      (void)m, (void)x, (void)y, (void)z;                                   \
      return formula;                                                       \
    });                                                                     \
    break;
#define TL_UNARY(id, name, domain, formula) TL_ROW(id, domain, 1, formula)
#define TL_BINARY(id, name, domain, formula) TL_ROW(id, domain, 2, formula)
#define TL_TERNARY(id, name, domain, formula) TL_ROW(id, domain, 3, formula)
#include "ops/elementwise.def"
#undef TL_ROW
    default:
      break;
  }
}

}  // namespace tl::cuda
