#include "coreml/network.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "coreml/compose.h"

namespace tl::coreml {
namespace {

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

double OneNumber(Host& host, const TensorRef& x) {
  const std::vector<double> numbers = ReadNumbers(host, x);
  if (numbers.size() != 1) {
    Fail(ErrorKind::kInput, "a condition of {} values; expected one",
         numbers.size());
  }
  return numbers[0];
}

// What is nearer to 0 than this is false.
constexpr double kFalse = 1e-6;

bool Holds(Host& host, const TensorRef& condition) {
  return std::fabs(OneNumber(host, condition)) > kFalse;
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
      layers_(CompileLayers(network, Kept())) {}

std::set<std::string> Network::Kept() const {
  std::set<std::string> kept = {ProbabilityName()};
  for (const Feature& output : outputs_) kept.insert(output.name);
  return kept;
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
  const bool five =
      image ? network_.image_input_shape_mapping() == spec::RANK5_IMAGE_MAPPING
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
  return shape.size() == x->shape().size() ? Reshape(host_.builder(), x, shape)
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

std::vector<TensorRef> Network::InputsOfLayer(const spec::Layer& layer,
                                              const Values& values) const {
  std::vector<TensorRef> given;
  for (const std::string& name : layer.input()) {
    const auto found = values.find(name);
    if (found == values.end()) {
      Fail(ErrorKind::kInput, "{} is used before it is made", QuoteName(name));
    }
    given.push_back(found->second);
  }
  return given;
}

void Network::RunLayer(const LayerStep& step, Values& values) const {
  const spec::Layer& layer = *step.layer;
  MilResult made = step.function(
      LayerCall(host_, coreml_, layer, InputsOfLayer(layer, values), rank5_));
  if (made.values.size() < size_t(layer.output_size())) {
    Fail(ErrorKind::kInput, "{} results are wanted; there are {}",
         layer.output_size(), made.values.size());
  }
  for (int k = 0; k < layer.output_size(); ++k) {
    values[layer.output(k)] = made.values[k].tensor;
  }
}

Network::Flow Network::RunBranch(const LayerStep& step, Values& values) const {
  const std::vector<TensorRef> given = InputsOfLayer(*step.layer, values);
  if (given.size() != 1) {
    Fail(ErrorKind::kInput, "a branch with {} inputs; expected one",
         given.size());
  }
  return RunBlock(step.blocks[Holds(host_, given[0]) ? 0 : 1], values);
}

void Network::RunLoop(const LayerStep& step, Values& values) const {
  const spec::Loop& loop = step.layer->loop();
  const std::vector<TensorRef> given = InputsOfLayer(*step.layer, values);
  const bool counted = loop.max_loop_iterations() > 0 || !given.empty();
  const double most = given.empty() ? double(loop.max_loop_iterations())
                                    : OneNumber(host_, given[0]);
  for (double round = 0; !counted || round < most; ++round) {
    if (!loop.condition_var().empty()) {
      RunBlock(step.blocks[0], values);
      const auto found = values.find(loop.condition_var());
      if (found == values.end()) {
        Fail(ErrorKind::kInput, "nothing makes the condition {}",
             QuoteName(loop.condition_var()));
      }
      if (!Holds(host_, found->second)) return;
    }
    if (RunBlock(step.blocks[1], values) == Flow::kBreak) return;
    host_.MayRun();
  }
}

Network::Flow Network::RunStep(const LayerStep& step, Values& values) const {
  switch (step.layer->kind_case()) {
    case spec::Layer::kBranch:
      return RunBranch(step, values);
    case spec::Layer::kLoop:
      RunLoop(step, values);
      return Flow::kNext;
    case spec::Layer::kLoopBreak:
      return Flow::kBreak;
    case spec::Layer::kLoopContinue:
      return Flow::kContinue;
    default:
      RunLayer(step, values);
      return Flow::kNext;
  }
}

Network::Flow Network::RunBlock(const LayerBlock& block, Values& values) const {
  for (const LayerStep& step : block.steps) {
    PollInterrupt();
    Flow flow = Flow::kNext;
    WithNote([&] { flow = RunStep(step, values); },
             [&] { return "at " + Describe(*step.layer); });
    for (const std::string& name : step.released) values.erase(name);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Network::Results Network::Run(std::vector<TensorRef> inputs) {
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[inputs_[i].name] =
        Mapped(inputs_[i], Preprocessed(inputs_[i], inputs[i]));
  }
  inputs.clear();
  RunBlock(layers_, values);
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
