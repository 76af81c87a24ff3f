// Random numbers of a shape that the layer has, that it is given, or that
// another tensor has.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

LayerCall::Input LikeX(const LayerCall& call) {
  std::vector<int64_t> sizes;
  for (const Dim dim : call.x()->shape()) sizes.push_back(dim.value());
  return call.Ints("shape", sizes);
}
LayerCall::Input AsX(const LayerCall& call) { return {"shape", call.x()}; }
template <class Layer>
LayerCall::Input Static(const LayerCall& call, const Layer& layer) {
  return call.Ints("shape", layer.output_shape());
}

MilResult Draw(const LayerCall& call, const spec::RandomNormal& layer,
               LayerCall::Input shape) {
  return call.Mil(
      "random_normal",
      {std::move(shape), call.Number("mean", layer.mean()),
       call.Number("stddev", layer.std_dev()), call.Int("seed", layer.seed())});
}

MilResult Draw(const LayerCall& call, const spec::RandomUniform& layer,
               LayerCall::Input shape) {
  return call.Mil(
      "random_uniform",
      {std::move(shape), call.Number("low", layer.min_val()),
       call.Number("high", layer.max_val()), call.Int("seed", layer.seed())});
}

MilResult Draw(const LayerCall& call, const spec::RandomBernoulli& layer,
               LayerCall::Input shape) {
  return call.Mil("random_bernoulli",
                  {std::move(shape), call.Number("prob", layer.prob()),
                   call.Int("seed", layer.seed())});
}

MilResult NormalLike(const LayerCall& call) {
  return Draw(call, call.layer().random_normal_like(), LikeX(call));
}
MilResult NormalStatic(const LayerCall& call) {
  const auto& layer = call.layer().random_normal_static();
  return Draw(call, layer, Static(call, layer));
}
MilResult NormalDynamic(const LayerCall& call) {
  return Draw(call, call.layer().random_normal_dynamic(), AsX(call));
}
MilResult UniformLike(const LayerCall& call) {
  return Draw(call, call.layer().random_uniform_like(), LikeX(call));
}
MilResult UniformStatic(const LayerCall& call) {
  const auto& layer = call.layer().random_uniform_static();
  return Draw(call, layer, Static(call, layer));
}
MilResult UniformDynamic(const LayerCall& call) {
  return Draw(call, call.layer().random_uniform_dynamic(), AsX(call));
}
MilResult BernoulliLike(const LayerCall& call) {
  return Draw(call, call.layer().random_bernoulli_like(), LikeX(call));
}
MilResult BernoulliStatic(const LayerCall& call) {
  const auto& layer = call.layer().random_bernoulli_static();
  return Draw(call, layer, Static(call, layer));
}
MilResult BernoulliDynamic(const LayerCall& call) {
  return Draw(call, call.layer().random_bernoulli_dynamic(), AsX(call));
}

MilResult Categorical(const LayerCall& call) {
  const spec::CategoricalDistribution& layer =
      call.layer().categorical_distribution();
  const double temperature = layer.temperature() == 0 ? 1 : layer.temperature();
  if (!layer.is_logits() && temperature != 1) {
    Fail(ErrorKind::kInput,
         "probabilities with a temperature of {} do not run "
         "here; logits do",
         temperature);
  }
  const TensorRef x = temperature == 1
                          ? call.x()
                          : With(call.lo(), OpId::Div, call.x(), temperature);
  return call.Mil("random_categorical",
                  {{"x", x},
                   {"mode", layer.is_logits() ? "logits" : "probs"},
                   call.Int("size", layer.num_samples()),
                   call.Int("seed", layer.seed())});
}

constexpr LayerOp kLayers[] = {
    {Kind::kCategoricalDistribution, Categorical},
    {Kind::kRandomBernoulliDynamic, BernoulliDynamic},
    {Kind::kRandomBernoulliLike, BernoulliLike},
    {Kind::kRandomBernoulliStatic, BernoulliStatic},
    {Kind::kRandomNormalDynamic, NormalDynamic},
    {Kind::kRandomNormalLike, NormalLike},
    {Kind::kRandomNormalStatic, NormalStatic},
    {Kind::kRandomUniformDynamic, UniformDynamic},
    {Kind::kRandomUniformLike, UniformLike},
    {Kind::kRandomUniformStatic, UniformStatic},
};

}  // namespace

std::span<const LayerOp> RandomLayers() { return kLayers; }

}  // namespace tl::coreml
