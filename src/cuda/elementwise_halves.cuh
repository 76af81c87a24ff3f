// Instructions of a fused chain whose operands and result are all f16: the bits
// that elementwise_run.cuh gives, with less that has to be decided for each.
#pragma once

#include "cuda/elementwise_run.cuh"

namespace tl::cuda {

// Two neighbours at once. A sum or product rounded to f32 first has the same
// bits: f32 has more than twice the digits.
struct PairSum {
  TL_DEVICE uint32_t operator()(uint32_t x, uint32_t y) const {
#ifdef TL_CUDA_EMULATED
    const float2 a = UnpackHalves(x), b = UnpackHalves(y);
    return PackHalves(a.x + b.x, a.y + b.y);
#else
    const __half2 sum = __hadd2_rn(*reinterpret_cast<const __half2*>(&x),
                                   *reinterpret_cast<const __half2*>(&y));
    return *reinterpret_cast<const uint32_t*>(&sum);
#endif
  }
};

struct PairDifference {
  TL_DEVICE uint32_t operator()(uint32_t x, uint32_t y) const {
#ifdef TL_CUDA_EMULATED
    const float2 a = UnpackHalves(x), b = UnpackHalves(y);
    return PackHalves(a.x - b.x, a.y - b.y);
#else
    const __half2 rest = __hsub2_rn(*reinterpret_cast<const __half2*>(&x),
                                    *reinterpret_cast<const __half2*>(&y));
    return *reinterpret_cast<const uint32_t*>(&rest);
#endif
  }
};

struct PairProduct {
  TL_DEVICE uint32_t operator()(uint32_t x, uint32_t y) const {
#ifdef TL_CUDA_EMULATED
    const float2 a = UnpackHalves(x), b = UnpackHalves(y);
    return PackHalves(a.x * b.x, a.y * b.y);
#else
    const __half2 product = __hmul2_rn(*reinterpret_cast<const __half2*>(&x),
                                       *reinterpret_cast<const __half2*>(&y));
    return *reinterpret_cast<const uint32_t*>(&product);
#endif
  }
};

// Io has besides what RunInstruction asks for
//   HalvesOnly
//   Pairs(f): the result is f(pair of operand 0, pair of operand 1)
template <class Io>
TL_DEVICE void RunOnHalves(const ElementwiseGroup::Instruction& instruction,
                           const Io& io) {
  switch (instruction.op) {
    case OpId::Add:
      return io.Pairs(PairSum{});
    case OpId::Sub:
      return io.Pairs(PairDifference{});
    case OpId::Mul:
      return io.Pairs(PairProduct{});
    default:
      return RunInstruction(instruction, io);
  }
}

}  // namespace tl::cuda
