// Reductions, sums along an axis, and order of values.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

MilResult ReduceBy(const LayerCall& call, std::string_view name,
                   const spec::ReduceAxes& layer) {
  if (layer.reduce_all()) {
    return call.Mil(
        name, {{"x", call.x()}, call.Flag("keep_dims", layer.keep_dims())});
  }
  return call.Mil(name, {{"x", call.x()},
                         call.Ints("axes", layer.axes()),
                         call.Flag("keep_dims", layer.keep_dims())});
}

MilResult ReduceL1(const LayerCall& call) {
  return ReduceBy(call, "reduce_l1_norm", call.layer().reduce_l1());
}
MilResult ReduceL2(const LayerCall& call) {
  return ReduceBy(call, "reduce_l2_norm", call.layer().reduce_l2());
}
MilResult ReduceLogSum(const LayerCall& call) {
  return ReduceBy(call, "reduce_log_sum", call.layer().reduce_log_sum());
}
MilResult ReduceLogSumExp(const LayerCall& call) {
  return ReduceBy(call, "reduce_log_sum_exp",
                  call.layer().reduce_log_sum_exp());
}
MilResult ReduceMax(const LayerCall& call) {
  return ReduceBy(call, "reduce_max", call.layer().reduce_max());
}
MilResult ReduceMean(const LayerCall& call) {
  return ReduceBy(call, "reduce_mean", call.layer().reduce_mean());
}
MilResult ReduceMin(const LayerCall& call) {
  return ReduceBy(call, "reduce_min", call.layer().reduce_min());
}
MilResult ReduceProd(const LayerCall& call) {
  return ReduceBy(call, "reduce_prod", call.layer().reduce_prod());
}
MilResult ReduceSum(const LayerCall& call) {
  return ReduceBy(call, "reduce_sum", call.layer().reduce_sum());
}
MilResult ReduceSumSquare(const LayerCall& call) {
  return ReduceBy(call, "reduce_sum_square", call.layer().reduce_sum_square());
}

std::vector<int> AxesOf(const LayerCall& call, spec::Reduce::Axis axis) {
  const auto last = [&](std::initializer_list<int> axes) {
    std::vector<int> found;
    for (const int i : axes) found.push_back(call.Axis(i));
    return found;
  };
  switch (axis) {
    case spec::Reduce::CHW:
      return last({-3, -2, -1});
    case spec::Reduce::HW:
      return last({-2, -1});
    case spec::Reduce::C:
      return last({-3});
    case spec::Reduce::H:
      return last({-2});
    case spec::Reduce::W:
      return last({-1});
    default:
      Fail(ErrorKind::kInput, "a reduction over axes of number {}", int(axis));
  }
}

// sum(log(x + epsilon))
TensorRef SumOfLogs(Builder& lo, const TensorRef& x,
                    const std::vector<int>& axes, double epsilon) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef logs =
        Unary(lo, OpId::Log, With(lo, OpId::Add, y, epsilon));
    return ReduceOver(lo, OpId::Sum, logs, axes, Kept::kYes);
  });
}

// The older layer, whose axes stay.
MilResult ReduceLayer(const LayerCall& call) {
  const spec::Reduce& layer = call.layer().reduce();
  const std::vector<int> axes = AxesOf(call, layer.axis());
  Builder& lo = call.lo();
  const TensorRef& x = call.x();
  const auto over = [&](OpId op) {
    return ReduceOver(lo, op, x, axes, Kept::kYes);
  };
  switch (layer.mode()) {
    case spec::Reduce::SUM:
      return over(OpId::Sum);
    case spec::Reduce::AVG:
      return over(OpId::Mean);
    case spec::Reduce::PROD:
      return over(OpId::Prod);
    case spec::Reduce::LOGSUM:
      return SumOfLogs(lo, x, axes,
                       layer.epsilon() == 0 ? 1e-6 : layer.epsilon());
    case spec::Reduce::SUMSQUARE:
      return over(OpId::SumSquares);
    case spec::Reduce::L1:
      return InFloat32(lo, x, [&](const TensorRef& y) {
        return ReduceOver(lo, OpId::Sum, Unary(lo, OpId::Abs, y), axes,
                          Kept::kYes);
      });
    case spec::Reduce::L2:
      return over(OpId::Norm);
    case spec::Reduce::MAX:
      return over(OpId::Max);
    case spec::Reduce::MIN:
      return over(OpId::Min);
    case spec::Reduce::ARGMAX:
      if (axes.size() != 1) {
        Fail(ErrorKind::kInput, "an argmax over {} axes; expected one",
             axes.size());
      }
      return over(OpId::Argmax);
    default:
      Fail(ErrorKind::kInput, "a reduction of number {}", int(layer.mode()));
  }
}

// Of a vector the result has one element still.
MilResult Extreme(const LayerCall& call, std::string_view name,
                  const spec::ArgReduce& layer) {
  const bool keep = !layer.remove_dim() || call.x()->rank() == 1;
  return call.Mil(name, {{"x", call.x()},
                         call.Int("axis", layer.axis()),
                         call.Flag("keep_dims", keep)});
}
MilResult ArgMax(const LayerCall& call) {
  return Extreme(call, "reduce_argmax", call.layer().arg_max());
}
MilResult ArgMin(const LayerCall& call) {
  return Extreme(call, "reduce_argmin", call.layer().arg_min());
}

MilResult TopKLayer(const LayerCall& call) {
  const spec::TopK& layer = call.layer().top_k();
  return call.Mil("topk",
                  {{"x", call.x()},
                   call.inputs().size() > 1 ? LayerCall::Input("k", call.x(1))
                                            : call.Int("k", int64_t(layer.k())),
                   call.Int("axis", layer.axis()),
                   call.Flag("ascending", layer.use_bottom_k())});
}

MilResult ArgSortLayer(const LayerCall& call) {
  const spec::ArgSort& layer = call.layer().arg_sort();
  return call.Mil("argsort", {{"x", call.x()},
                              call.Int("axis", layer.axis()),
                              call.Flag("ascending", !layer.descending())});
}

MilResult CumSumLayer(const LayerCall& call) {
  const spec::CumSum& layer = call.layer().cum_sum();
  return call.Mil(
      "cumsum", {{"x", call.x()},
                 call.inputs().size() > 1 ? LayerCall::Input("axis", call.x(1))
                                          : call.Int("axis", layer.axis()),
                 call.Flag("exclusive", layer.exclude_final_sum()),
                 call.Flag("reverse", layer.reverse())});
}

constexpr LayerOp kLayers[] = {
    {Kind::kArgMax, ArgMax},
    {Kind::kArgMin, ArgMin},
    {Kind::kArgSort, ArgSortLayer},
    {Kind::kCumSum, CumSumLayer},
    {Kind::kReduce, ReduceLayer},
    {Kind::kReduceL1, ReduceL1},
    {Kind::kReduceL2, ReduceL2},
    {Kind::kReduceLogSum, ReduceLogSum},
    {Kind::kReduceLogSumExp, ReduceLogSumExp},
    {Kind::kReduceMax, ReduceMax},
    {Kind::kReduceMean, ReduceMean},
    {Kind::kReduceMin, ReduceMin},
    {Kind::kReduceProd, ReduceProd},
    {Kind::kReduceSum, ReduceSum},
    {Kind::kReduceSumSquare, ReduceSumSquare},
    {Kind::kTopK, TopKLayer},
};

}  // namespace

std::span<const LayerOp> ReduceLayers() { return kLayers; }

}  // namespace tl::coreml
