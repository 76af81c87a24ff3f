#include "cuda/elementwise_group.h"

#include <algorithm>

namespace tl::cuda {
namespace {

using Access = ElementwiseGroup::Access;

// The stride of a view along an axis of the result, whose last axes are its own.
int64_t StrideAlong(const View& view, const View& result, int axis) {
  const int own = axis - (result.rank - view.rank);
  return own < 0 || view.dims[own] == 1 ? 0 : view.strides[own];
}

int OperandsOf(OpId op) { return Info(op).arity; }

}  // namespace

bool IsCopy(const ElementwiseProgram& program) {
  return program.inputs == 1 && program.instructions.size() == 1 &&
         program.instructions[0].op == OpId::Identity &&
         program.instructions[0].dtype == program.input_dtypes[0];
}

// Axes of one element go; neighbours that every operand walks over as over one
// axis become one.
void ElementwiseGroup::Join(std::span<const View> operands, const View& result) {
  size = result.size();
  rank = 0;
  for (int axis = 0; axis < result.rank; ++axis) {
    if (result.dims[axis] == 1) continue;
    bool joins = rank > 0;
    for (size_t k = 0; k < operands.size() && joins; ++k) {
      const int64_t outer = input[handed_over + k].strides[rank - 1];
      joins = outer ==
              StrideAlong(operands[k], result, axis) * result.dims[axis];
    }
    if (joins) {
      dims[rank - 1] *= result.dims[axis];
    } else {
      dims[rank++] = result.dims[axis];
    }
    for (size_t k = 0; k < operands.size(); ++k) {
      input[handed_over + k].strides[rank - 1] =
          StrideAlong(operands[k], result, axis);
    }
  }
}

void ElementwiseGroup::Classify(Input& x) const {
  const bool one = std::all_of(x.strides, x.strides + rank,
                               [](int64_t stride) { return stride == 0; });
  if (one) {
    x.access = Access::kScalar;
  } else if (rank == 1 && x.strides[0] == 1) {
    x.access = Access::kFlat;
  } else {
    const int64_t last = x.strides[rank - 1];
    x.access = last == 1 || last == 0 ? Access::kRows : Access::kStrided;
    // Dense over several axes that only another operand keeps apart.
    int64_t expected = 1;
    bool dense = true;
    for (int axis = rank - 1; axis >= 0; --axis) {
      dense = dense && x.strides[axis] == expected;
      expected *= dims[axis];
    }
    if (dense) x.access = Access::kFlat;
  }
}

ElementwiseGroup::ElementwiseGroup(const ElementwiseProgram& program,
                                   std::span<const View> operands,
                                   std::span<const View> results)
    : inputs(program.inputs),
      handed_over(program.inputs - static_cast<int>(operands.size())),
      instructions(static_cast<int>(program.instructions.size())),
      outputs(static_cast<int>(results.size())) {
  for (int i = 0; i < inputs; ++i) dtypes[i] = program.input_dtypes[i];
  Join(operands, results[0]);
  for (size_t k = 0; k < operands.size(); ++k) {
    Input& x = input[handed_over + k];
    x.data = operands[k].data;
    x.dtype = operands[k].dtype;
    Classify(x);
  }
  for (int i = 0; i < instructions; ++i) {
    const ElementwiseProgram::Instruction& from = program.instructions[i];
    Instruction& to = instruction[i];
    to = {from.op, from.dtype, from.int_lanes,
          static_cast<uint8_t>(OperandsOf(from.op)),
          {from.operand[0], from.operand[1], from.operand[2]}, 0};
    for (int k = 0; k < to.operands; ++k) {
      if (dtypes[to.operand[k]] == DType::I32) to.int_operands |= 1 << k;
    }
    dtypes[inputs + i] = from.dtype;
  }
  slots[0] = 0;
  for (int i = 0; i < inputs + instructions; ++i) {
    slots[i + 1] = slots[i] + (dtypes[i] == DType::F16 ? 1 : 2);
  }
  for (int i = 0; i < outputs; ++i) {
    output[i] = {results[i].data, results[i].dtype, program.outputs[i]};
  }
}

}  // namespace tl::cuda
