// Instructions of a fused chain whose operands and result are all f16: the bits
// that elementwise_run.cuh gives, with less that has to be decided for each.
#pragma once

#include "cuda/elementwise_run.cuh"

namespace tl::cuda {

#ifdef TL_CUDA_EMULATED
using Half2 = float2;  // f32 has more than twice the digits: rounded, it is the same
TL_DEVICE float2 ToHalf2(uint32_t bits) { return UnpackHalves(bits); }
TL_DEVICE uint32_t BitsOf(float2 pair) { return PackHalves(pair.x, pair.y); }
TL_DEVICE float2 __hadd2_rn(float2 x, float2 y) { return {x.x + y.x, x.y + y.y}; }
TL_DEVICE float2 __hsub2_rn(float2 x, float2 y) { return {x.x - y.x, x.y - y.y}; }
TL_DEVICE float2 __hmul2_rn(float2 x, float2 y) { return {x.x * y.x, x.y * y.y}; }
#else
using Half2 = __half2;
TL_DEVICE Half2 ToHalf2(uint32_t bits) { return *reinterpret_cast<Half2*>(&bits); }
TL_DEVICE uint32_t BitsOf(Half2 pair) { return *reinterpret_cast<uint32_t*>(&pair); }
#endif

// f on two neighbours at once, as bits.
template <class F>
struct OnPairs {
  F f;
  TL_DEVICE uint32_t operator()(uint32_t x, uint32_t y) const {
    return BitsOf(f(ToHalf2(x), ToHalf2(y)));
  }
};
template <class F>
OnPairs(F) -> OnPairs<F>;

// Io has besides what RunInstruction asks for
//   HalvesOnly
//   Pairs(f): the result is f(pair of operand 0, pair of operand 1)
template <class Io>
TL_DEVICE void RunOnHalves(const ElementwiseGroup::Instruction& instruction,
                           const Io& io) {
  switch (instruction.op) {
    case OpId::Add:
      return io.Pairs(OnPairs{[](Half2 x, Half2 y) { return __hadd2_rn(x, y); }});
    case OpId::Sub:
      return io.Pairs(OnPairs{[](Half2 x, Half2 y) { return __hsub2_rn(x, y); }});
    case OpId::Mul:
      return io.Pairs(OnPairs{[](Half2 x, Half2 y) { return __hmul2_rn(x, y); }});
    default:
      return RunInstruction(instruction, io);
  }
}

}  // namespace tl::cuda
