// An epilogue at one element, for kernels that hold few results.
#pragma once

#include "cuda/elementwise_run.cuh"

namespace tl::cuda {

// `bits` are those of value 0: element i of the result, rounded to its type.
// Not inlined: it is too large to be copied into each kernel that calls it.
static __device__ TL_NOINLINE void RunEpilogue(const ElementwiseGroup& group,
                                               int64_t i, uint32_t bits) {
  uint32_t values[ElementwiseGroup::kMaxValues];
  values[0] = bits;
  for (int k = group.handed_over; k < group.inputs; ++k) {
    const ElementwiseGroup::Input& x = group.input[k];
    values[k] = LoadValue(x.data, x.dtype, PlaceIn(group, x, i));
  }
  for (int at = 0; at < group.instructions; ++at) {
    const ElementwiseGroup::Instruction step = group.instruction[at];
    const auto load = [&](int k, uint32_t (&x)[1]) {
      x[0] = values[step.operand[k]];
      if (!step.int_lanes && (step.int_operands >> k & 1)) {
        x[0] = __float_as_uint(__int2float_rn(static_cast<int32_t>(x[0])));
      }
    };
    uint32_t result[1];
    RunInstruction(step, load, result);
    values[group.inputs + at] =
        step.dtype == DType::F16
            ? __float_as_uint(
                  RoundToType(__uint_as_float(result[0]), step.dtype))
            : result[0];
  }
  for (int k = 0; k < group.outputs; ++k) {
    const ElementwiseGroup::Output& out = group.output[k];
    StoreValue(out.data, out.dtype, i, values[out.value]);
  }
}

}  // namespace tl::cuda
