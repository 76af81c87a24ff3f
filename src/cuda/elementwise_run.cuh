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

// An instruction on Io::kChunks times Io::kCount elements: choosing what to do
// takes longer than doing it for a few. Io has
//   Load(chunk, k, x): operand k as floats, or as ints where it computes on ints
//   Store(chunk, result): floats, not rounded; ints for an I32 result
//   HalvesOnly, a type, where operands and result are always f16
template <class Io>
struct InstructionRun {
  static constexpr int kCount = Io::kCount;
  static constexpr bool kHalvesOnly = requires { typename Io::HalvesOnly; };
  const ElementwiseGroup::Instruction& instruction;
  const Io& io;

  template <class Math>
  TL_DEVICE static typename Math::T As(uint32_t bits) {
    if constexpr (Math::kIsInt) {
      return static_cast<int32_t>(bits);
    } else {
      return __uint_as_float(bits);
    }
  }
  TL_DEVICE static uint32_t Bits(float value) { return __float_as_uint(value); }
  TL_DEVICE static uint32_t Bits(int32_t value) {
    return static_cast<uint32_t>(value);
  }

  template <class Math, int kArity, class F>
  TL_DEVICE void Each(F f) const {
    const Math m;
#pragma unroll
    for (int chunk = 0; chunk < Io::kChunks; ++chunk) {
      uint32_t x[kCount], y[kCount], z[kCount], result[kCount];
      io.Load(chunk, 0, x);
      if constexpr (kArity > 1) io.Load(chunk, 1, y);
      if constexpr (kArity > 2) io.Load(chunk, 2, z);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        result[i] = Bits(f(m, As<Math>(x[i]), As<Math>(kArity > 1 ? y[i] : x[i]),
                           As<Math>(kArity > 2 ? z[i] : x[i])));
      }
      if constexpr (!Math::kIsInt && !kHalvesOnly) {
        if (instruction.dtype == DType::I32) ToInts(result);
      }
      io.Store(chunk, result);
    }
  }

  TL_DEVICE static void ToInts(uint32_t (&values)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      values[i] =
          static_cast<uint32_t>(__float2int_rz(__uint_as_float(values[i])));
    }
  }

  // Rows that are exact on int32 operands; the others only exist on floats. Which
  // way is taken depends on types alone, so that fusing changes no bit.
  template <Domain domain, int kArity, class F>
  TL_DEVICE void Row(F f) const {
    if constexpr (kHalvesOnly) return Each<HalvesMath, kArity>(f);
    if constexpr (domain != Domain::kFloat) {
      if (instruction.int_lanes) return Each<IntMath, kArity>(f);
    }
    if (instruction.dtype == DType::F16) return Each<HalfMath, kArity>(f);
    Each<FloatMath, kArity>(f);
  }
};

template <class Io>
TL_DEVICE void RunInstruction(const ElementwiseGroup::Instruction& instruction,
                              const Io& io) {
  const InstructionRun<Io> run = {instruction, io};
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

template <class Values>
struct OneElement {
  static constexpr int kChunks = 1, kCount = 1;
  const ElementwiseGroup::Instruction& step;
  const Values& values;
  uint32_t& result;

  TL_DEVICE void Load(int, int k, uint32_t (&x)[1]) const {
    x[0] = values(step.operand[k]);
    if (!step.int_lanes && (step.int_operands >> k & 1)) {
      x[0] = __float_as_uint(__int2float_rn(static_cast<int32_t>(x[0])));
    }
  }
  TL_DEVICE void Store(int, const uint32_t (&from)[1]) const {
    result = step.dtype == DType::F16
                 ? __float_as_uint(
                       RoundToType(__uint_as_float(from[0]), step.dtype))
                 : from[0];
  }
};

// The rounded result for one element, as bits; values(v) are those of value v.
template <class Values>
TL_DEVICE uint32_t RunOnValues(const ElementwiseGroup::Instruction& step,
                               const Values& values) {
  uint32_t result = 0;
  RunInstruction(step, OneElement<Values>{step, values, result});
  return result;
}

}  // namespace tl::cuda
