// A SmallGroup at one element: reading a program costs little beside what a
// step of a few thousand elements waits for.
#pragma once

#include "cuda/elementwise_run.cuh"
#include "cuda/steps.h"

namespace tl::cuda {

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

// `first` is value 0 where it is handed over.
TL_DEVICE void RunGroupAt(const SmallGroup& group, int index, uint32_t first) {
  uint32_t values[SmallGroup::kMaxInputs + SmallGroup::kMaxInstructions + 1];
  if (group.handed_over != 0) values[0] = first;
  for (int k = group.handed_over; k < group.inputs; ++k) {
    const SmallGroup::Input& x = group.input[k];
    int64_t place = 0;
    int rest = index;
    for (int axis = group.axes - 1; axis >= 0; --axis) {
      place += int64_t{rest % group.dims[axis]} * x.strides[axis];
      rest /= group.dims[axis];
    }
    values[k] = LoadValue(x.data, x.dtype, place);
  }
  for (int i = 0; i < group.instructions; ++i) {
    const SmallGroup::Instruction& step = group.instruction[i];
    uint32_t operands[3][1] = {};
    for (int k = 0; k < step.operands; ++k) {
      uint32_t value = values[step.operand[k]];
      if (!step.int_lanes && (step.int_operands >> k & 1)) {
        value = __float_as_uint(__int2float_rn(static_cast<int32_t>(value)));
      }
      operands[k][0] = value;
    }
    uint32_t result[1];
    RunInstruction(ElementwiseGroup::Instruction{
                       step.op, step.dtype, step.int_lanes, step.operands,
                       {}, step.int_operands},
                   operands[0], operands[1], operands[2], result);
    values[group.inputs + i] = result[0];
  }
  for (int k = 0; k < group.outputs; ++k) {
    const SmallGroup::Output& out = group.output[k];
    StoreValue(out.data, out.dtype, index, values[out.value]);
  }
}

}  // namespace tl::cuda
