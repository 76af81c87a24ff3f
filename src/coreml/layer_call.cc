#include "coreml/layer_call.h"

#include <unordered_map>

#include "base/error.h"
#include "ops/build.h"

namespace tl::coreml {

const TensorRef& LayerCall::x(size_t i) const {
  if (i >= inputs_.size()) {
    Fail(ErrorKind::kInput, "the layer has {} inputs; expected {} or more",
         inputs_.size(), i + 1);
  }
  return inputs_[i];
}

TensorRef LayerCall::Weight(const spec::WeightParams& weights) const {
  const std::string_view name = coreml_.TensorOf(weights);
  return name.empty() ? TensorRef() : host_.Weight(name);
}

TensorRef LayerCall::WeightOf(const spec::WeightParams& weights,
                              std::span<const int64_t> shape) const {
  const TensorRef w = Weight(weights);
  return w ? Reshape(lo(), w, ShapeOf(shape)) : w;
}

MilResult LayerCall::Mil(std::string_view operation,
                         std::initializer_list<Input> inputs) const {
  const MilFunction function = FindMilFunction(operation);
  TL_CHECK(function != nullptr);
  std::vector<MilInput> named;
  for (const Input& input : inputs) {
    MilInput& to = named.emplace_back(MilInput{input.name, {}});
    for (const Value& value : input.values) {
      // A weight that a layer does not have is an input that is not given.
      if (value.is_tensor() || value.is_text) to.values.push_back(&value);
    }
  }
  return function(MilCall(host_, named, outputs()));
}

LayerCall::Input LayerCall::Int(std::string_view name, int64_t value) const {
  return {name, lo().Number(double(value), DType::I32)};
}

LayerCall::Input LayerCall::Flag(std::string_view name, bool value) const {
  return {name, lo().Number(value, DType::I32)};
}

LayerCall::Input LayerCall::Number(std::string_view name, double value) const {
  return {name, lo().Number(value, DType::F32)};
}

LayerFunction FindLayerFunction(spec::Layer::KindCase kind) {
  static const auto& functions = *[] {
    auto* made = new std::unordered_map<int, LayerFunction>;
    for (std::span<const LayerOp> layers :
         {NetLayers(), NormLayers(), WindowLayers(), ImageLayers(),
          ElementwiseLayers(), ReduceLayers(), ShapeLayers(), ConstantLayers(),
          IndexLayers(), RecurrentLayers(), RandomLayers()}) {
      for (const LayerOp& op : layers) made->emplace(op.kind, op.function);
    }
    return made;
  }();
  const auto found = functions.find(kind);
  return found == functions.end() ? nullptr : found->second;
}

}  // namespace tl::coreml
