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
    const auto get = [&](int value) { return values[value]; };
    values[group.inputs + at] = RunOnValues(step, get);
  }
  for (int k = 0; k < group.outputs; ++k) {
    const ElementwiseGroup::Output& out = group.output[k];
    StoreValue(out.data, out.dtype, i, values[out.value]);
  }
}

}  // namespace tl::cuda
