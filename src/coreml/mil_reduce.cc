// Reductions, scans and sorts.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

Kept KeepOf(const MilCall& call) {
  return call.Flag("keep_dims", false) ? Kept::kYes : Kept::kNo;
}

template <OpId op>
MilResult Reduction(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return ReduceOver(call.lo(), op, x, call.Axes("axes", x->rank()),
                    KeepOf(call));
}

template <OpId op>
MilResult Extreme(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return ReduceOver(call.lo(), op, x, {call.Axis("axis", x->rank(), -1)},
                    KeepOf(call));
}

// The sum of f(x), in float32 between the two.
TensorRef SumOf(const MilCall& call, const TensorRef& x) {
  return ReduceOver(call.lo(), OpId::Sum, x, call.Axes("axes", x->rank()),
                    KeepOf(call));
}

MilResult ReduceL1Norm(const MilCall& call) {
  return InFloat32(call.lo(), call.Tensor("x"), [&](const TensorRef& x) {
    return SumOf(call, Unary(call.lo(), OpId::Abs, x));
  });
}

MilResult ReduceLogSum(const MilCall& call) {
  return InFloat32(call.lo(), call.Tensor("x"), [&](const TensorRef& x) {
    return Unary(call.lo(), OpId::Log, SumOf(call, x));
  });
}

// log(sum(exp(x - max))) + max, so that nothing overflows.
MilResult ReduceLogSumExp(const MilCall& call) {
  Builder& lo = call.lo();
  return InFloat32(lo, call.Tensor("x"), [&](const TensorRef& x) {
    const std::vector<int> axes = call.Axes("axes", x->rank());
    const TensorRef top = ReduceOver(lo, OpId::Max, x, axes, Kept::kYes);
    const TensorRef sum =
        SumOf(call, Unary(lo, OpId::Exp, Binary(lo, OpId::Sub, x, top)));
    const TensorRef shift = Reshape(lo, top, sum->shape());
    return Binary(lo, OpId::Add, Unary(lo, OpId::Log, sum), shift);
  });
}

TensorRef Reversed(Lowering& lo, const TensorRef& x, int axis) {
  const int64_t length = x->shape().dim(axis);
  return length > 1 ? Slice(lo, x, axis, length - 1, length, -1) : x;
}

MilResult Cumsum(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), 0);
  const bool reverse = call.Flag("reverse", false);
  const TensorRef source = reverse ? Reversed(lo, x, axis) : x;
  TensorRef sum = lo.Lowering::Apply(OpId::Cumsum, {source}, {{axis}, {}});
  if (call.Flag("exclusive", false)) {
    sum = Binary(lo, OpId::Sub, sum, source);
  }
  return reverse ? Reversed(lo, sum, axis) : sum;
}

// The `k` first of a sort along `axis`: values and indices.
std::vector<TensorRef> Sorted(const MilCall& call, const TensorRef& x,
                              int axis, int64_t k, bool descending) {
  Builder& lo = call.lo();
  if (k < 0 || k > x->shape().dim(axis)) {
    Fail(ErrorKind::kInput, "the first {} of {} along axis {} are wanted", k,
         x->shape().dim(axis), axis);
  }
  std::vector<TensorRef> results;
  for (int64_t which : {0, 1}) {
    results.push_back(OnLastAxis(lo, x, axis, [&](const TensorRef& y) {
      return lo.Lowering::Apply(OpId::TopK, {y}, {{k, descending, which}, {}});
    }));
  }
  return results;
}

MilResult Argsort(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), -1);
  return Sorted(call, x, axis, x->shape().dim(axis),
                !call.Flag("ascending", false))[1];
}

MilResult TopK(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), -1);
  std::vector<TensorRef> both = Sorted(call, x, axis, call.Int("k", 1),
                                       !call.Flag("ascending", false));
  both.resize(std::min(both.size(), call.outputs()));
  return both;
}

constexpr MilOp kOps[] = {
    {"argsort", Argsort},
    {"cumsum", Cumsum},
    {"reduce_argmax", Extreme<OpId::Argmax>},
    {"reduce_argmin", Extreme<OpId::Argmin>},
    {"reduce_l1_norm", ReduceL1Norm},
    {"reduce_l2_norm", Reduction<OpId::Norm>},
    {"reduce_log_sum", ReduceLogSum},
    {"reduce_log_sum_exp", ReduceLogSumExp},
    {"reduce_max", Reduction<OpId::Max>},
    {"reduce_mean", Reduction<OpId::Mean>},
    {"reduce_min", Reduction<OpId::Min>},
    {"reduce_prod", Reduction<OpId::Prod>},
    {"reduce_sum", Reduction<OpId::Sum>},
    {"reduce_sum_square", Reduction<OpId::SumSquares>},
    {"topk", TopK},
};

}  // namespace

std::span<const MilOp> ReduceOps() { return kOps; }

}  // namespace tl::coreml
