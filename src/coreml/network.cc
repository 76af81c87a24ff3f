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
  if (!first) return functions;
  missing.erase(CoreMlLayerKind(*first));
  Fail(ErrorKind::kInput, "predict: {} does not run here{}", Describe(*first),
       missing.empty()
           ? std::string()
           : fmt::format(", nor {} {} other kind{}: {}",
                         missing.size() == 1 ? "does" : "do", missing.size(),
                         missing.size() == 1 ? "" : "s",
                         fmt::join(missing, ", ")));
}

TensorRef Labels(Host& host, const spec::Int64Vector& labels) {
  return IntVector(host, {labels.vector().begin(), labels.vector().end()});
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
      Tensor tensor = MakeTensor(DType::F32, Shape{mean.size()});
      std::copy(mean.begin(), mean.end(), tensor.as<float>());
      const TensorRef leaf = lo.Leaf(std::move(tensor));
      y = Cast(lo, Binary(lo, OpId::Sub, y, Reshape(lo, leaf, y->shape())),
               host_.dtype());
    } else if (step.has_scaler()) {
      const spec::ImageScaler& scaler = step.scaler();
      std::vector<float> bias = {scaler.gray_bias()};
      if (input.color != "grayscale") {
        bias = {scaler.red_bias(), scaler.green_bias(), scaler.blue_bias()};
        if (input.color == "bgr") std::reverse(bias.begin(), bias.end());
      }
      Tensor tensor = MakeTensor(
          DType::F32, Shape{static_cast<int64_t>(bias.size()), 1, 1});
      std::copy(bias.begin(), bias.end(), tensor.as<float>());
      // A scale that is not written is 0, which means 1.
      const double scale =
          scaler.channel_scale() == 0 ? 1 : scaler.channel_scale();
      y = Cast(lo,
               Binary(lo, OpId::Add, With(lo, OpId::Mul, y, scale),
                      lo.Leaf(std::move(tensor))),
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

void Network::AddLabels(
    const std::unordered_map<std::string, TensorRef>& values,
    std::vector<std::pair<std::string, Value>>& results) const {
  const auto found = values.find(ProbabilityName());
  if (found == values.end()) {
    Fail(ErrorKind::kInput, "no layer makes the probabilities {}",
         QuoteName(ProbabilityName()));
  }
  Value labels;
  if (network_.has_string_class_labels()) {
    std::vector<Value> texts;
    for (const std::string& text : network_.string_class_labels().vector()) {
      texts.push_back(Value::Text(text));
    }
    labels = Value::List(std::move(texts));
  } else {
    labels = Value(Labels(host_, network_.int64_class_labels()));
  }
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

std::vector<std::pair<std::string, Value>> Network::Run(
    std::vector<TensorRef> inputs) {
  std::unordered_map<std::string, TensorRef> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[inputs_[i].name] =
        Mapped(inputs_[i], Preprocessed(inputs_[i], inputs[i]));
  }
  inputs.clear();
  for (int i = 0; i < network_.layers_size(); ++i) {
    PollInterrupt();
    const spec::Layer& layer = network_.layers(i);
    WithNote(
        [&] {
          std::vector<TensorRef> given;
          for (const std::string& name : layer.input()) {
            const auto found = values.find(name);
            if (found == values.end()) {
              Fail(ErrorKind::kInput, "{} is used before it is made",
                   QuoteName(name));
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
        },
        [&] { return "at " + Describe(layer); });
    for (const std::string& name : released_[i]) values.erase(name);
  }
  std::vector<std::pair<std::string, Value>> results;
  for (const Feature& output : outputs_) {
    const auto found = values.find(output.name);
    if (found == values.end()) continue;
    results.emplace_back(output.name, AsDescribed(output, found->second));
  }
  if (!description_.predicted_feature_name().empty()) {
    AddLabels(values, results);
  }
  return results;
}

}  // namespace tl::coreml
