#include "cuda/attention_problem.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tl::cuda {
namespace {

// Axes of one have any stride: what asks for alignment need not see them.
int64_t StrideOf(const View& view, int axis) {
  return view.dims[axis] == 1 ? 0 : view.strides[axis];
}

// `row` and `head`: which of the last three axes they are.
AttentionOperand OperandOf(const View& view, int row, int head) {
  const int batch_axes = view.rank - 3;
  AttentionOperand operand = {};
  operand.data = view.data;
  operand.dtype = view.dtype;
  operand.row_stride = StrideOf(view, batch_axes + row);
  operand.head_stride = StrideOf(view, batch_axes + head);
  const int last = view.rank - 1;
  operand.element_stride = view.dims[last] == 1 ? 1 : view.strides[last];
  for (int axis = 0; axis < batch_axes; ++axis) {
    operand.batch_strides[axis] = StrideOf(view, axis);
  }
  return operand;
}

void SetScale(double scale, double softcap, AttentionProblem& problem) {
  const double log2_e = 1 / std::log(2.0);
  problem.scale = static_cast<float>(
      softcap == 0 ? scale * log2_e : 2 * scale / softcap * log2_e);
  problem.cap = static_cast<float>(softcap * log2_e);
}

}  // namespace

AttentionProblem AttentionProblemOf(const KernelArgs& args) {
  const View &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
  const int rank = q.rank;
  TL_CHECK(rank >= 3 && k.rank == rank && v.rank == rank);
  TL_CHECK(args.numbers.size() == 3);
  AttentionProblem problem = {};
  problem.batch = 1;
  problem.batch_axes = rank - 3;
  for (int axis = 0; axis < rank - 3; ++axis) {
    problem.batch_dims[axis] = q.dims[axis];
    problem.batch *= q.dims[axis];
  }
  problem.queries = q.dims[rank - 3];
  problem.heads = q.dims[rank - 2];
  problem.dim = q.dims[rank - 1];
  const auto given = static_cast<int64_t>(args.numbers[2]);
  problem.keys = given > 0 ? given : k.dims[rank - 3];
  problem.kv_heads = k.dims[rank - 2];
  problem.value_dim = v.dims[rank - 1];
  TL_CHECK(problem.kv_heads > 0 && problem.heads % problem.kv_heads == 0);
  TL_CHECK(v.dims[rank - 3] == k.dims[rank - 3] &&
           problem.keys <= k.dims[rank - 3]);
  problem.group = problem.heads / problem.kv_heads;
  problem.causal = args.ints[0] != 0;
  problem.window = args.ints[2];
  SetScale(args.numbers[0], args.numbers[1], problem);
  problem.q = OperandOf(q, 0, 1);
  problem.k = OperandOf(k, 0, 1);
  problem.v = OperandOf(v, 0, 1);
  if (args.ints[1] != 0) {
    TL_CHECK(args.inputs[3].rank == rank);
    problem.mask = OperandOf(args.inputs[3], 1, 0);
  }
  problem.dtype = args.outputs[0].dtype;
  problem.out = args.outputs[0].data;
  return problem;
}

}  // namespace tl::cuda
