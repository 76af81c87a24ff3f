// A SmallGroup at one element: reading a program costs little beside what a
// step of a few thousand elements waits for.
#pragma once

#include "cuda/elementwise_run.cuh"
#include "cuda/steps.h"

namespace tl::cuda {

TL_DEVICE uint32_t LoadInput(const SmallGroup& group, int k, int index) {
  const SmallGroup::Input& x = group.input[k];
  if (group.axes == 1) {
    return LoadValue(x.data, x.dtype, int64_t{index} * x.strides[0]);
  }
  int64_t place = 0;
  int rest = index;
  for (int axis = group.axes - 1; axis >= 0; --axis) {
    place += int64_t{rest % group.dims[axis]} * x.strides[axis];
    rest /= group.dims[axis];
  }
  return LoadValue(x.data, x.dtype, place);
}

TL_DEVICE void StoreOutput(const SmallGroup& group, int k, int index,
                           uint32_t value) {
  StoreValue(group.output[k].data, group.output[k].dtype, index, value);
}

// One row of elementwise.def on halves, known at compile time.
template <OpId op>
TL_DEVICE uint32_t RunHalf(float first, float second) {
  constexpr ElementwiseGroup::Instruction kInstruction = {
      op, DType::F16, false, 2, {0, 1, 0}, 0};
  return RunOnValues(kInstruction, [&](int value) {
    return __float_as_uint(value == 0 ? first : second);
  });
}

// Not inlined: its one copy stays in the instruction cache. `first` is value 0
// where that is handed over.
__device__ TL_NOINLINE void RunGroupAt(const SmallGroup& group, int index,
                                       uint32_t first) {
  uint32_t values[SmallGroup::kMaxInputs + SmallGroup::kMaxInstructions + 1];
  if (group.handed_over != 0) values[0] = first;
  for (int k = group.handed_over; k < group.inputs; ++k) {
    values[k] = LoadInput(group, k, index);
  }
  const auto get = [&](int value) { return values[value]; };
  for (int i = 0; i < group.instructions; ++i) {
    values[group.inputs + i] = RunOnValues(group.instruction[i], get);
  }
  for (int k = 0; k < group.outputs; ++k) {
    StoreOutput(group, k, index, values[group.output[k].value]);
  }
}

}  // namespace tl::cuda
