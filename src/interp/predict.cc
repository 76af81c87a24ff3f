#include "interp/predict.h"

#include <fmt/format.h>

#include "base/error.h"
#include "coreml/predictor.h"
#include "interp/map.h"
#include "interp/model_value.h"
#include "interp/tensor_operand.h"
#include "interp/tensor_runtime.h"

namespace tl {
namespace {

class ModelHost final : public coreml::Host {
 public:
  ModelHost(OpenModel& open, TensorRuntime& runtime)
      : open_(open), runtime_(runtime) {}

  Builder& builder() override { return runtime_.builder(); }
  DType dtype() const override { return open_.dtype(); }
  TensorRef Weight(std::string_view name) override { return open_.Get(name); }
  const Tensor& Evaluate(const TensorRef& tensor) override {
    return runtime_.Evaluate(tensor);
  }
  void MayRun() override { runtime_.RunIfMuchIsPending(); }

 private:
  OpenModel& open_;
  TensorRuntime& runtime_;
};

void Put(Value& map, std::string_view key, Value value) {
  map.OwnMap().At(Value::String(std::string(key))) = std::move(value);
}

// A label: text, or a number.
Value LabelOf(coreml::Host& host, const coreml::Value& label) {
  if (label.is_text) return Value::String(label.text);
  return Value::Int(coreml::ReadInts(host, label.tensor).at(0));
}

Value LabelledOf(coreml::Host& host, const coreml::Value& value) {
  const coreml::Value& labels = value.items[0];
  const std::vector<double> numbers =
      coreml::ReadNumbers(host, value.items[1].tensor);
  const std::vector<int64_t> ints =
      labels.is_list ? std::vector<int64_t>()
                     : coreml::ReadInts(host, labels.tensor);
  Value map = Value::Map();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const Value label = labels.is_list ? Value::String(labels.items[i].text)
                                       : Value::Int(ints[i]);
    map.OwnMap().At(label) = Value::Float(numbers[i]);
  }
  return map;
}

bool IsLabel(coreml::Feature::Kind kind) {
  return kind == coreml::Feature::Kind::kText ||
         kind == coreml::Feature::Kind::kInt;
}

Value ResultOf(coreml::Host& host, const coreml::Feature& feature,
               const coreml::Value& value) {
  if (value.is_labelled) return LabelledOf(host, value);
  if (value.is_text || IsLabel(feature.kind)) return LabelOf(host, value);
  if (value.is_tensor()) return MakeTensorValue(value.tensor);
  Fail(ErrorKind::kInput, "predict: output '{}' is a list, which has no value "
       "here", feature.name);
}

Value Describe(const std::vector<coreml::Feature>& features) {
  std::vector<Value> list;
  for (const coreml::Feature& feature : features) {
    Value map = Value::Map();
    Put(map, "name", Value::String(feature.name));
    Put(map, "type", Value::String(feature.type));
    std::vector<Value> shape;
    for (int64_t size : feature.shape) shape.push_back(Value::Int(size));
    Put(map, "shape", Value::List(std::move(shape)));
    if (!feature.color.empty()) Put(map, "color", Value::String(feature.color));
    Put(map, "optional", Value::Bool(feature.optional));
    Put(map, "description", Value::String(feature.description));
    list.push_back(std::move(map));
  }
  return Value::List(std::move(list));
}

}  // namespace

struct ModelRunner::Impl {
  Impl(OpenModel& open, TensorRuntime& runtime)
      : host(open, runtime),
        predictor(coreml::Predictor::Open(open.model(), host)) {}

  std::string InputOf(size_t argument, size_t positional, size_t arguments,
                      const std::vector<std::string>& names) const {
    if (argument >= positional) return names[argument - positional];
    const std::vector<coreml::Feature>& inputs = predictor->inputs();
    if (inputs.size() == 1 && arguments == 1) return inputs[0].name;
    std::vector<std::string> forms;
    for (const coreml::Feature& input : inputs) {
      forms.push_back(input.name + ": ...");
    }
    Fail(ErrorKind::kProgram,
         "predict: {} value{} without a name for {} input{}; its form is "
         "predict({})",
         positional, positional == 1 ? "" : "s", inputs.size(),
         inputs.size() == 1 ? "" : "s", fmt::join(forms, ", "));
  }

  ModelHost host;
  std::unique_ptr<coreml::Predictor> predictor;
};

ModelRunner::ModelRunner(OpenModel& open, TensorRuntime& runtime)
    : impl_(std::make_unique<Impl>(open, runtime)) {}
ModelRunner::~ModelRunner() = default;

Value ModelRunner::Predict(std::span<const Value> arguments,
                           const std::vector<std::string>& names) {
  ModelHost& host = impl_->host;
  std::vector<coreml::NamedValue> inputs;
  const size_t positional = arguments.size() - names.size();
  for (size_t i = 0; i < arguments.size(); ++i) {
    inputs.push_back(
        {impl_->InputOf(i, positional, arguments.size(), names),
         OperandOf(host.builder(), arguments[i], host.dtype())});
  }
  const std::vector<coreml::NamedValue> results =
      impl_->predictor->Predict(inputs);
  const std::vector<coreml::Feature>& outputs = impl_->predictor->outputs();
  if (results.size() == 1) {
    return ResultOf(host, outputs[0], results[0].value);
  }
  Value map = Value::Map();
  for (size_t i = 0; i < results.size(); ++i) {
    Put(map, results[i].name, ResultOf(host, outputs[i], results[i].value));
  }
  return map;
}

Value DescribeInputs(const Model& model) {
  const CoreMl* coreml = CoreMl::Of(model);
  return coreml ? Describe(coreml::InputsOf(coreml->spec())) : Value::Unset();
}

Value DescribeOutputs(const Model& model) {
  const CoreMl* coreml = CoreMl::Of(model);
  return coreml ? Describe(coreml::OutputsOf(coreml->spec())) : Value::Unset();
}

}  // namespace tl
