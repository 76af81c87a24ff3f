#include "cuda/attention_problem.h"

#include <cmath>

#include "base/check.h"

namespace tl::cuda {
namespace {

// Axes of one have any stride: what asks for alignment need not see them.
int64_t StrideOf(const View& view, int axis) {
  return view.dims[axis] == 1 ? 0 : view.strides[axis];
}

// The leading axes of all operands. The last of them that each operand has one
// stride along are one axis; those before are problems of their own.
struct BatchAxes {
  int outer = 0;       // how many are before it
  int innermost = -1;  // of those that are one, the last that is not 1 long
  int64_t outer_size = 1, inner_size = 1;
};

// Whether `axis` and the axes from `next` on are one.
bool IsOneAxis(const KernelArgs& args, int axis, int next) {
  for (const View& view : args.inputs) {
    const int64_t inner = StrideOf(view, next) * view.dims[next];
    if (StrideOf(view, axis) != inner) return false;
  }
  return true;
}

BatchAxes BatchAxesOf(const KernelArgs& args) {
  const View& q = args.inputs[0];
  BatchAxes axes;
  int next = -1;
  for (int axis = q.rank - 4; axis >= 0; --axis) {
    if (q.dims[axis] == 1) continue;
    if (axes.outer == 0 && (next < 0 || IsOneAxis(args, axis, next))) {
      if (next < 0) axes.innermost = axis;
      next = axis;
      axes.inner_size *= q.dims[axis];
    } else {
      if (axes.outer == 0) axes.outer = axis + 1;
      axes.outer_size *= q.dims[axis];
    }
  }
  return axes;
}

// `row` and `head`: which of the last three axes they are.
AttentionOperand OperandOf(const View& view, const BatchAxes& axes,
                           int64_t index, int row, int head) {
  const int last = view.rank - 1;
  AttentionOperand operand = {};
  operand.dtype = view.dtype;
  operand.row_stride = StrideOf(view, view.rank - 3 + row);
  operand.head_stride = StrideOf(view, view.rank - 3 + head);
  operand.element_stride = view.dims[last] == 1 ? 1 : view.strides[last];
  if (axes.innermost >= 0) {
    operand.batch_stride = StrideOf(view, axes.innermost);
  }
  int64_t offset = 0;
  for (int axis = axes.outer - 1; axis >= 0; --axis) {
    offset += index % view.dims[axis] * view.strides[axis];
    index /= view.dims[axis];
  }
  operand.data = view.data + offset * ElementBytes(view.dtype);
  return operand;
}

void SetScale(double scale, double softcap, AttentionProblem& problem) {
  const double log2_e = 1 / std::log(2.0);
  problem.scale = static_cast<float>(
      softcap == 0 ? scale * log2_e : 2 * scale / softcap * log2_e);
  problem.cap = static_cast<float>(softcap * log2_e);
}

}  // namespace

int64_t AttentionProblems(const KernelArgs& args) {
  return BatchAxesOf(args).outer_size;
}

AttentionProblem AttentionProblemOf(const KernelArgs& args, int64_t index) {
  const View &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
  const int rank = q.rank;
  TL_CHECK(rank >= 3 && k.rank == rank && v.rank == rank);
  TL_CHECK(args.numbers.size() == 3);
  const BatchAxes axes = BatchAxesOf(args);
  TL_CHECK(index < axes.outer_size);
  AttentionProblem problem = {};
  problem.batch = axes.inner_size;
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
  problem.q = OperandOf(q, axes, index, 0, 1);
  problem.k = OperandOf(k, axes, index, 0, 1);
  problem.v = OperandOf(v, axes, index, 0, 1);
  if (args.ints[1] != 0) {
    TL_CHECK(args.inputs[3].rank == rank);
    problem.mask = OperandOf(args.inputs[3], axes, index, 1, 0);
  }
  const View& out = args.outputs[0];
  problem.dtype = out.dtype;
  problem.out = out.data + index * (out.size() / axes.outer_size) *
                               ElementBytes(out.dtype);
  return problem;
}

}  // namespace tl::cuda
