#include "coreml/predictor.h"

#include <algorithm>

#include "base/error.h"
#include "coreml/mil_program.h"
#include "coreml/network.h"
#include "ops/build.h"

namespace tl::coreml {
namespace {

std::string NamesOf(const std::vector<Feature>& features) {
  std::vector<std::string_view> names;
  for (const Feature& feature : features) names.push_back(feature.name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

const Value* FindValue(const std::vector<NamedValue>& values,
                       std::string_view name) {
  for (const NamedValue& value : values) {
    if (value.name == name) return &value.value;
  }
  return nullptr;
}

// An optional input that is not given.
TensorRef Absent(Host& host, const Feature& feature) {
  Builder& lo = host.builder();
  const DType dtype = feature.takes_ints ? DType::I32 : host.dtype();
  const TensorRef number =
      Cast(lo, lo.Number(feature.otherwise.value_or(0), DType::F32), dtype);
  return BroadcastTo(lo, number, ShapeOf(feature.shape));
}

class MilPredictor final : public Predictor {
 public:
  MilPredictor(const CoreMl& coreml, const Model& model,
               const spec::Model& member, Host& host)
      : Predictor(InputsOf(member), OutputsOf(member), host),
        program_(coreml, model, member.ml_program(), FunctionOf(member), host) {
    for (const std::string& name : program_.inputs()) {
      const bool described =
          std::any_of(inputs().begin(), inputs().end(),
                      [&](const Feature& f) { return f.name == name; });
      if (!described) {
        Fail(ErrorKind::kInput,
             "predict: the program's input {} is not described; its inputs "
             "are: {}",
             QuoteName(name), NamesOf(inputs()));
      }
    }
  }

 private:
  static std::string FunctionOf(const spec::Model& member) {
    const std::string& name = member.description().default_function_name();
    return name.empty() ? "main" : name;
  }

  std::vector<NamedValue> Run(std::vector<Value> given) override {
    std::vector<Value> arguments;
    for (const std::string& name : program_.inputs()) {
      for (size_t i = 0; i < given.size(); ++i) {
        if (inputs()[i].name == name) arguments.push_back(given[i]);
      }
    }
    given.clear();
    std::vector<Value> results = program_.Run(arguments);
    std::vector<NamedValue> named;
    for (size_t i = 0; i < results.size(); ++i) {
      named.push_back({program_.outputs()[i], std::move(results[i])});
    }
    return named;
  }

  MilProgram program_;
};

class NetworkPredictor final : public Predictor {
 public:
  NetworkPredictor(const CoreMl& coreml, const spec::Model& member,
                   const spec::NeuralNetwork& network, Host& host)
      : Predictor(InputsOf(member), OutputsOf(member), host),
        network_(coreml, network, member, host) {}

 private:
  std::vector<NamedValue> Run(std::vector<Value> given) override {
    std::vector<TensorRef> tensors;
    for (Value& value : given) tensors.push_back(std::move(value.tensor));
    std::vector<NamedValue> named;
    for (auto& [name, value] : network_.Run(std::move(tensors))) {
      named.push_back({name, std::move(value)});
    }
    return named;
  }

  Network network_;
};

// Each member takes what it needs from the inputs and from what came before.
class PipelinePredictor final : public Predictor {
 public:
  PipelinePredictor(const CoreMl& coreml, const Model& model,
                    const spec::Model& member, const spec::Pipeline& pipeline,
                    Host& host)
      : Predictor(InputsOf(member), OutputsOf(member), host) {
    for (const spec::Model& stage : pipeline.models()) {
      stages_.push_back(OpenMember(coreml, model, stage, host));
    }
  }

 private:
  std::vector<NamedValue> Run(std::vector<Value> given) override {
    std::vector<NamedValue> known;
    for (size_t i = 0; i < given.size(); ++i) {
      known.push_back({inputs()[i].name, std::move(given[i])});
    }
    for (const std::unique_ptr<Predictor>& stage : stages_) {
      std::vector<NamedValue> wanted;
      for (const Feature& input : stage->inputs()) {
        const Value* value = FindValue(known, input.name);
        if (value) wanted.push_back({input.name, *value});
      }
      std::vector<NamedValue> made = stage->Predict(wanted);
      // What is newer comes first: it is what the next stage sees.
      known.insert(known.begin(), std::make_move_iterator(made.begin()),
                   std::make_move_iterator(made.end()));
    }
    return known;
  }

  std::vector<std::unique_ptr<Predictor>> stages_;
};

}  // namespace

std::unique_ptr<Predictor> Predictor::Open(const Model& model, Host& host) {
  const CoreMl* coreml = CoreMl::Of(model);
  if (!coreml) {
    Fail(ErrorKind::kProgram,
         "predict: {} is not a CoreML model that can be run; a program of its "
         "own computes with its tensors",
         model.Label());
  }
  return OpenMember(*coreml, model, coreml->spec(), host);
}

std::unique_ptr<Predictor> OpenMember(const CoreMl& coreml, const Model& model,
                                      const spec::Model& member, Host& host) {
  const auto network = [&](const spec::NeuralNetwork& net) {
    return std::make_unique<NetworkPredictor>(coreml, member, net, host);
  };
  const auto pipeline = [&](const spec::Pipeline& stages) {
    return std::make_unique<PipelinePredictor>(coreml, model, member, stages,
                                               host);
  };
  switch (member.kind_case()) {
    case spec::Model::kMlProgram:
      return std::make_unique<MilPredictor>(coreml, model, member, host);
    case spec::Model::kPipeline:
      return pipeline(member.pipeline());
    case spec::Model::kPipelineClassifier:
      return pipeline(member.pipeline_classifier().pipeline());
    case spec::Model::kPipelineRegressor:
      return pipeline(member.pipeline_regressor().pipeline());
    case spec::Model::kNeuralNetwork:
      return network(member.neural_network());
    case spec::Model::kNeuralNetworkClassifier:
      return network(member.neural_network_classifier());
    case spec::Model::kNeuralNetworkRegressor:
      return network(member.neural_network_regressor());
    case spec::Model::KIND_NOT_SET:
      break;
  }
  Fail(ErrorKind::kInput, "predict: a model of kind {} does not run here",
       CoreMlModelKind(member));
}

std::vector<NamedValue> Predictor::Predict(
    const std::vector<NamedValue>& given) {
  for (const NamedValue& value : given) {
    const bool known =
        std::any_of(inputs_.begin(), inputs_.end(),
                    [&](const Feature& f) { return f.name == value.name; });
    if (!known) {
      Fail(ErrorKind::kProgram,
           "predict: the model has no input {}; its inputs are: {}",
           QuoteName(value.name), NamesOf(inputs_));
    }
  }
  std::vector<Value> values;
  for (const Feature& input : inputs_) {
    const Value* value = FindValue(given, input.name);
    if (!value && !input.optional) {
      Fail(ErrorKind::kProgram,
           "predict: input {} is missing; the model takes {}",
           QuoteName(input.name), input.type);
    }
    if (value && !value->is_tensor()) {
      Fail(ErrorKind::kProgram,
           "predict: input {} is no tensor; the model takes {}",
           QuoteName(input.name), input.type);
    }
    values.emplace_back(value ? AsInput(host_, input, value->tensor)
                              : Absent(host_, input));
  }
  std::vector<NamedValue> made = Run(std::move(values));
  std::vector<NamedValue> results;
  for (const Feature& output : outputs_) {
    const Value* value = FindValue(made, output.name);
    if (!value) {
      Fail(ErrorKind::kInput, "predict: nothing makes the output {}",
           QuoteName(output.name));
    }
    results.push_back({output.name, *value});
  }
  return results;
}

}  // namespace tl::coreml
