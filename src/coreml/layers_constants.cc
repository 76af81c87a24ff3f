// Layers that hold numbers, or fill a shape with them.
#include <cmath>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

MilResult Constant(const LayerCall& call, const spec::LoadConstant& layer) {
  std::vector<int64_t> shape = ListOf(layer.shape());
  const TensorRef data = call.WeightOf(layer.data(), shape);
  if (!data) Fail(ErrorKind::kInput, "the layer has no data");
  if (!call.rank5()) return data;
  // [channels, height, width] of every image of the sequence.
  shape.insert(shape.begin(), {1, 1});
  return Reshape(call.lo(), data, ShapeOf(shape));
}

MilResult LoadConstantLayer(const LayerCall& call) {
  return Constant(call, call.layer().load_constant());
}
MilResult LoadConstantNd(const LayerCall& call) {
  const spec::LoadConstant& layer = call.layer().load_constant_nd();
  const TensorRef data = call.WeightOf(layer.data(), ListOf(layer.shape()));
  if (!data) Fail(ErrorKind::kInput, "the layer has no data");
  return data;
}

// Weights over the channels, or of one image.
TensorRef Spread(const LayerCall& call, const spec::WeightParams& weights,
                 std::vector<int64_t> shape) {
  if (shape.size() == 1 && call.x()->rank() >= 3) {
    shape.insert(shape.end(), {1, 1});
  }
  const TensorRef w = call.WeightOf(weights, shape);
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  return w;
}

MilResult ScaleLayer(const LayerCall& call) {
  const spec::Scale& layer = call.layer().scale();
  Builder& lo = call.lo();
  return InFloat32(lo, call.x(), [&](const TensorRef& x) {
    const TensorRef y =
        Binary(lo, OpId::Mul, x,
               Spread(call, layer.scale(), ListOf(layer.shape_scale())));
    return layer.with_bias()
               ? Binary(lo, OpId::Add, y,
                        Spread(call, layer.bias(), ListOf(layer.shape_bias())))
               : y;
  });
}

MilResult BiasLayer(const LayerCall& call) {
  const spec::Bias& layer = call.layer().bias();
  return Binary(call.lo(), OpId::Add, call.x(),
                Spread(call, layer.bias(), ListOf(layer.shape())));
}

MilResult Filled(const LayerCall& call, double value, LayerCall::Input shape) {
  return call.Mil("fill", {std::move(shape), call.Number("value", value)});
}

MilResult FillStatic(const LayerCall& call) {
  const spec::Fill& layer = call.layer().fill_static();
  return Filled(call, layer.value(), call.Ints("shape", layer.target_shape()));
}
MilResult FillDynamic(const LayerCall& call) {
  return Filled(call, call.layer().fill_dynamic().value(), {"shape", call.x()});
}
MilResult FillLikeLayer(const LayerCall& call) {
  return call.Mil("fill_like",
                  {{"ref_tensor", call.x()},
                   call.Number("value", call.layer().fill_like().value())});
}

MilResult BroadcastToLike(const LayerCall& call) {
  return BroadcastTo(call.lo(), call.x(0), call.x(1)->shape());
}
MilResult BroadcastToStatic(const LayerCall& call) {
  const auto& shape = call.layer().broadcast_to_static().target_shape();
  return BroadcastTo(call.lo(), call.x(), ShapeOf(ListOf(shape)));
}
MilResult BroadcastToDynamic(const LayerCall& call) {
  return BroadcastTo(call.lo(), call.x(0),
                     ShapeOf(ReadInts(call.host(), call.x(1))));
}

// Whole numbers stay so: they are mostly indices, which float16 would round.
LayerCall::Input RangeNumber(const LayerCall& call, std::string_view name,
                             double value, bool whole) {
  return whole ? call.Int(name, static_cast<int64_t>(value))
               : call.Number(name, value);
}

MilResult Range(const LayerCall& call, double start, double end, double step) {
  const auto is_whole = [](double x) {
    return x == std::floor(x) && std::fabs(x) < INT32_MAX;
  };
  const bool whole = is_whole(start) && is_whole(step);
  return call.Mil("range_1d", {RangeNumber(call, "start", start, whole),
                               call.Number("end", end),
                               RangeNumber(call, "step", step, whole)});
}

MilResult RangeStaticLayer(const LayerCall& call) {
  const spec::RangeStatic& layer = call.layer().range_static();
  return Range(call, layer.start_value(), layer.end_value(),
               layer.step_size_value());
}

// The end, then the start and the step where they are not the layer's own.
MilResult RangeDynamicLayer(const LayerCall& call) {
  const spec::RangeDynamic& layer = call.layer().range_dynamic();
  const auto given = [&](size_t i, double otherwise) {
    if (i > 0 && i >= call.inputs().size()) return otherwise;
    const std::vector<double> numbers = ReadNumbers(call.host(), call.x(i));
    if (numbers.size() != 1) {
      Fail(ErrorKind::kInput, "a range of {} numbers in input {}",
           numbers.size(), i);
    }
    return numbers[0];
  };
  const double end = given(0, 0);
  return Range(call, given(1, layer.start_value()), end,
               given(2, layer.step_size_value()));
}

constexpr LayerOp kLayers[] = {
    {Kind::kBias, BiasLayer},
    {Kind::kBroadcastToDynamic, BroadcastToDynamic},
    {Kind::kBroadcastToLike, BroadcastToLike},
    {Kind::kBroadcastToStatic, BroadcastToStatic},
    {Kind::kFillDynamic, FillDynamic},
    {Kind::kFillLike, FillLikeLayer},
    {Kind::kFillStatic, FillStatic},
    {Kind::kLoadConstant, LoadConstantLayer},
    {Kind::kLoadConstantNd, LoadConstantNd},
    {Kind::kRangeDynamic, RangeDynamicLayer},
    {Kind::kRangeStatic, RangeStaticLayer},
    {Kind::kScale, ScaleLayer},
};

}  // namespace

std::span<const LayerOp> ConstantLayers() { return kLayers; }

}  // namespace tl::coreml
