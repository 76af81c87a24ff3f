#include "coreml/network.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "coreml/compose.h"

namespace tl::coreml {
namespace {

std::string Describe(const spec::Layer& layer) {
  return fmt::format("layer {} ({})", QuoteName(layer.name()),
                     CoreMlLayerKind(layer));
}

std::vector<LayerFunction> FunctionsOf(const spec::NeuralNetwork& network) {
  std::vector<LayerFunction> functions;
  const spec::Layer* first = nullptr;
  std::set<std::string> missing;
  for (const spec::Layer& layer : network.layers()) {
    functions.push_back(FindLayerFunction(layer.kind_case()));
    if (functions.back()) continue;
    if (!first) first = &layer;
    missing.insert(CoreMlLayerKind(layer));
  }
  if (first) FailMissing(Describe(*first), CoreMlLayerKind(*first), missing);
  return functions;
}

TensorRef FloatLeaf(Builder& lo, const auto& numbers, const Shape& shape) {
  Tensor tensor = MakeTensor(DType::F32, shape);
  if (tensor.size() != static_cast<int64_t>(numbers.size())) {
    Fail(ErrorKind::kInput, "{} numbers for shape {}", numbers.size(),
         shape.ToString());
  }
  std::copy(numbers.begin(), numbers.end(), tensor.as<float>());
  return lo.Leaf(std::move(tensor));
}

// One for each channel of the image.
std::vector<float> BiasOf(const spec::ImageScaler& scaler,
                          const std::string& color) {
  if (color == "grayscale") return {scaler.gray_bias()};
  std::vector<float> bias = {scaler.red_bias(), scaler.green_bias(),
                             scaler.blue_bias()};
  if (color == "bgr") std::reverse(bias.begin(), bias.end());
  return bias;
}

Value LabelsOf(Host& host, const spec::NeuralNetwork& network) {
  if (!network.has_string_class_labels()) {
    const auto& labels = network.int64_class_labels().vector();
    return IntVector(host, {labels.begin(), labels.end()});
  }
  std::vector<Value> texts;
  for (const std::string& text : network.string_class_labels().vector()) {
    texts.push_back(Value::Text(text));
  }
  return Value::List(std::move(texts));
}

}  // namespace

Network::Network(const CoreMl& coreml, const spec::NeuralNetwork& network,
                 const spec::Model& member, Host& host)
    : coreml_(coreml),
      network_(network),
      description_(member.description()),
      host_(host),
      inputs_(InputsOf(member)),
      outputs_(OutputsOf(member)),
      rank5_(network.array_input_shape_mapping() == spec::RANK5_ARRAY_MAPPING),
      functions_(FunctionsOf(network)),
      released_(functions_.size()) {
  std::set<std::string> kept = {ProbabilityName()};
  for (const Feature& output : outputs_) kept.insert(output.name);
  for (int i = network.layers_size() - 1; i >= 0; --i) {
    for (const std::string& name : network.layers(i).input()) {
      if (kept.insert(name).second) released_[i].push_back(name);
    }
  }
}

// The layer output that a classifier's labels belong to.
std::string Network::ProbabilityName() const {
  if (!network_.label_probability_layer_name().empty()) {
    return network_.label_probability_layer_name();
  }
  if (network_.layers().empty()) return "";
  const spec::Layer& last = network_.layers(network_.layers_size() - 1);
  return last.output().empty() ? "" : last.output(0);
}

// Of an image: x * scale + the channel's bias, or minus the mean image.
TensorRef Network::Preprocessed(const Feature& input,
                                const TensorRef& x) const {
  Builder& lo = host_.builder();
  TensorRef y = x;
  for (const spec::Preprocessing& step : network_.preprocessing()) {
    const bool first = step.feature_name().empty() && &input == &inputs_[0];
    if (!first && step.feature_name() != input.name) continue;
    if (step.has_mean_image()) {
      const auto& mean = step.mean_image().mean_image();
      y = Cast(lo, Binary(lo, OpId::Sub, y, FloatLeaf(lo, mean, y->shape())),
               host_.dtype());
    } else if (step.has_scaler()) {
      const spec::ImageScaler& scaler = step.scaler();
      const std::vector<float> bias = BiasOf(scaler, input.color);
      const Shape channels{static_cast<int64_t>(bias.size()), 1, 1};
      // A scale that is not written is 0, which means 1.
      const double scale =
          scaler.channel_scale() == 0 ? 1 : scaler.channel_scale();
      y = Cast(lo,
               Binary(lo, OpId::Add, With(lo, OpId::Mul, y, scale),
                      FloatLeaf(lo, bias, channels)),
               host_.dtype());
    }
  }
  return y;
}

TensorRef Network::Mapped(const Feature& input, const TensorRef& x) const {
  Builder& lo = host_.builder();
  const bool image = input.kind == Feature::Kind::kImage;
  const bool five = image ? network_.image_input_shape_mapping() ==
                                spec::RANK5_IMAGE_MAPPING
                          : rank5_;
  if (!five || x->rank() >= 5) return x;
  const Shape& s = x->shape();
  switch (x->rank()) {
    case 1:
      return Reshape(lo, x, Shape{1, 1, s[0], 1, 1});
    case 2:
      return Reshape(lo, x, Shape{s[0], 1, s[1], 1, 1});
    case 3:
      return Reshape(lo, x, Shape{1, 1, s[0], s[1], s[2]});
    default:
      return Reshape(lo, x, Shape{1, s[0], s[1], s[2], s[3]});
  }
}

TensorRef Network::AsDescribed(const Feature& output,
                               const TensorRef& x) const {
  if (output.kind != Feature::Kind::kArray || output.shape.empty()) return x;
  const Shape shape = ShapeOf(output.shape);
  return shape.size() == x->shape().size()
             ? Reshape(host_.builder(), x, shape)
             : x;
}

// The label and the probabilities by label.
void Network::AddLabels(const Values& values, Results& results) const {
  const auto found = values.find(ProbabilityName());
  if (found == values.end()) {
    Fail(ErrorKind::kInput, "no layer makes the probabilities {}",
         QuoteName(ProbabilityName()));
  }
  const Value labels = LabelsOf(host_, network_);
  const Value probabilities(found->second);
  const MilInput inputs[] = {{"probabilities", {&probabilities}},
                             {"classes", {&labels}}};
  constexpr size_t kResults = 2;
  MilResult both =
      FindMilFunction("classify")(MilCall(host_, inputs, kResults));
  results.emplace_back(description_.predicted_feature_name(),
                       std::move(both.values[0]));
  results.emplace_back(description_.predicted_probabilities_name(),
                       std::move(both.values[1]));
}

void Network::RunLayer(int i, Values& values) const {
  const spec::Layer& layer = network_.layers(i);
  std::vector<TensorRef> given;
  for (const std::string& name : layer.input()) {
    const auto found = values.find(name);
    if (found == values.end()) {
      Fail(ErrorKind::kInput, "{} is used before it is made", QuoteName(name));
    }
    given.push_back(found->second);
  }
  MilResult made = functions_[i](
      LayerCall(host_, coreml_, layer, std::move(given), rank5_));
  if (made.values.size() < size_t(layer.output_size())) {
    Fail(ErrorKind::kInput, "{} results are wanted; there are {}",
         layer.output_size(), made.values.size());
  }
  for (int k = 0; k < layer.output_size(); ++k) {
    values[layer.output(k)] = made.values[k].tensor;
  }
  for (const std::string& name : released_[i]) values.erase(name);
}

Network::Results Network::Run(std::vector<TensorRef> inputs) {
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[inputs_[i].name] =
        Mapped(inputs_[i], Preprocessed(inputs_[i], inputs[i]));
  }
  inputs.clear();
  for (int i = 0; i < network_.layers_size(); ++i) {
    PollInterrupt();
    WithNote([&] { RunLayer(i, values); },
             [&] { return "at " + Describe(network_.layers(i)); });
  }
  Results results;
  if (!description_.predicted_feature_name().empty()) {
    AddLabels(values, results);
  }
  for (const Feature& output : outputs_) {
    const auto found = values.find(output.name);
    if (found == values.end()) continue;
    results.emplace_back(output.name, AsDescribed(output, found->second));
  }
  return results;
}

}  // namespace tl::coreml
