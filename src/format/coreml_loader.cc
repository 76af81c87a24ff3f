#include "format/coreml_loader.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/formats.h"
#include "format/layer_weights.h"

namespace tl {
namespace {

namespace spec = coreml::spec;
using spec::Argument;
using spec::Block;
using spec::DataType;
using spec::Layer;
using spec::NamedValueType;
using spec::Operation;
using spec::Value;

std::string TextOf(const Value* value) {
  if (value == nullptr) return "";
  const auto& texts = value->immediate_value().tensor().strings().values();
  return texts.size() == 1 ? texts[0] : "";
}

// What its author called it, else its first result.
std::string NameOf(const Operation& operation) {
  std::string name = TextOf(FindValue(operation, "name"));
  if (name.empty() && !operation.outputs().empty()) {
    name = operation.outputs(0).name();
  }
  return name;
}

bool IsFloat(DataType type) {
  const auto dtype = Info(type).dtype;
  return dtype && Info(*dtype).kind == DTypeKind::kFloat;
}

TensorEntry EntryOf(std::string name, const MilTensorType& type) {
  TensorEntry entry;
  entry.name = std::move(name);
  entry.dtype = Info(type.type).dtype;
  if (!entry.dtype) entry.foreign_type = Info(type.type).name;
  entry.shape = type.shape;
  entry.elements = type.elements;
  entry.bytes = type.bytes;
  return entry;
}

TensorEntry EntryOf(std::string name, const MilNumbers& numbers) {
  TensorEntry entry = EntryOf(std::move(name), numbers.type);
  entry.file = numbers.file;
  if (numbers.file != nullptr) {
    // The bytes are never written to: Tensor has one pointer for both cases.
    entry.data = std::shared_ptr<std::byte>(
        std::const_pointer_cast<MappedFile>(numbers.file),
        const_cast<std::byte*>(numbers.bytes.data()));
    return entry;
  }
  // A message has no room behind its numbers, which kernels may read into.
  entry.data = AllocateHost(entry.bytes);
  if (entry.bytes > 0) {
    std::memcpy(entry.data.get(), numbers.bytes.data(), entry.bytes);
  }
  return entry;
}

}  // namespace

CoreMlLoader::CoreMlLoader(std::string path,
                           std::shared_ptr<const spec::Model> model,
                           std::shared_ptr<const MappedFile> file,
                           std::string folder)
    : file_(std::move(file)),
      blobs_(std::move(folder)),
      model_(std::move(path), kCoreMl) {
  program_->spec_ = std::move(model);
}

Model CoreMlLoader::Load() {
  const spec::Model& model = program_->spec();
  if (model.kind_case() == spec::Model::KIND_NOT_SET) {
    if (model.other_kind() == 0) {
      Fail(ErrorKind::kInput,
           "{}: is a CoreML model of no kind; the file is incomplete",
           model_.path());
    }
    Fail(ErrorKind::kInput,
         "{}: is a CoreML {}, a kind of model that holds no tensors",
         model_.path(), CoreMlModelKind(model));
  }
  model_.set_format_version(model.specification_version());
  AddCoreMlMetadata(model, model_.metadata());
  AddModel(model, "");
  if (model_.size() == 0 && !other_kinds_.empty()) {
    Fail(ErrorKind::kInput,
         "{}: is a pipeline of models that hold no tensors: {}", model_.path(),
         fmt::join(other_kinds_, ", "));
  }
  model_.AddFile(file_);
  program_->files_.push_back(file_);
  for (const auto& [name, file] : blobs_.files()) {
    model_.AddFile(file);
    program_->files_.push_back(file);
  }
  model_.CheckIntact();
  model_.set_program(program_);
  return std::move(model_);
}

void CoreMlLoader::AddModel(const spec::Model& model,
                            const std::string& prefix) {
  switch (model.kind_case()) {
    case spec::Model::kPipelineClassifier:
      return AddPipeline(model.pipeline_classifier().pipeline(), prefix);
    case spec::Model::kPipelineRegressor:
      return AddPipeline(model.pipeline_regressor().pipeline(), prefix);
    case spec::Model::kPipeline:
      return AddPipeline(model.pipeline(), prefix);
    case spec::Model::kNeuralNetworkRegressor:
      return AddNetwork(model.neural_network_regressor(), prefix);
    case spec::Model::kNeuralNetworkClassifier:
      return AddNetwork(model.neural_network_classifier(), prefix);
    case spec::Model::kNeuralNetwork:
      return AddNetwork(model.neural_network(), prefix);
    case spec::Model::kMlProgram:
      return AddProgram(model.ml_program(), prefix);
    case spec::Model::KIND_NOT_SET:
      other_kinds_.insert(CoreMlModelKind(model));
  }
}

void CoreMlLoader::AddPipeline(const spec::Pipeline& pipeline,
                               const std::string& prefix) {
  for (int i = 0; i < pipeline.models_size(); ++i) {
    const std::string name = i < pipeline.names_size()
                                 ? pipeline.names(i)
                                 : fmt::format("model{}", i);
    AddModel(pipeline.models(i), prefix + name + ".");
  }
}

void CoreMlLoader::AddNetwork(const spec::NeuralNetwork& network,
                              const std::string& prefix) {
  for (int i = 0; i < network.layers_size(); ++i) {
    const Layer& layer = network.layers(i);
    const std::string name =
        prefix +
        (layer.name().empty() ? fmt::format("layer{}", i) : layer.name());
    for (const LayerWeights& weights : WeightsOf(layer)) {
      auto entry = TensorOfWeights(weights, name + "." + weights.name, file_);
      if (!entry) continue;
      entry->name = Unique(entry->name);
      Add(std::move(*entry), weights.numbers);
    }
    if (layer.has_branch()) {
      AddNetwork(layer.branch().if_branch(), name + ".if.");
      AddNetwork(layer.branch().else_branch(), name + ".else.");
    } else if (layer.has_loop()) {
      AddNetwork(layer.loop().condition_network(), name + ".condition.");
      AddNetwork(layer.loop().body_network(), name + ".body.");
    }
  }
}

void CoreMlLoader::AddProgram(const spec::Program& program,
                              const std::string& prefix) {
  const bool several = program.functions_size() > 1;
  // A map of protobuf has no order of its own.
  std::map<std::string_view, const spec::Function*> functions;
  for (const auto& [name, function] : program.functions()) {
    functions.emplace(name, &function);
  }
  for (const auto& [name, function] : functions) {
    const Block* body = CoreMlBodyOf(*function);
    if (body == nullptr) {
      Fail(ErrorKind::kInput, "{}: function {} has no block for its opset {}",
           model_.path(), QuoteName(name), QuoteName(function->opset()));
    }
    Function reading;
    reading.prefix = several ? fmt::format("{}{}.", prefix, name) : prefix;
    ReadUses(*body, reading);
    AddBlock(*body, reading);
  }
}

void CoreMlLoader::ReadUses(const Block& block, Function& function) {
  for (const std::string& name : block.outputs()) function.used.insert(name);
  for (const Operation& operation : block.operations()) {
    auto& readers = IsConstexpr(operation) ? function.parts : function.used;
    for (const auto& [input, argument] : operation.inputs()) {
      for (const Argument::Binding& binding : argument.arguments()) {
        if (!binding.name().empty()) readers.insert(binding.name());
      }
    }
    for (const NamedValueType& output : operation.outputs()) {
      function.producers.emplace(output.name(), &operation);
    }
    for (const Block& inner : operation.blocks()) ReadUses(inner, function);
  }
}

void CoreMlLoader::AddBlock(const Block& block, const Function& function) {
  for (const Operation& operation : block.operations()) {
    const std::string name = function.prefix + NameOf(operation);
    const bool part =
        std::ranges::all_of(operation.outputs(), [&](const auto& output) {
          return function.parts.contains(output.name()) &&
                 !function.used.contains(output.name());
        });
    if (IsConstexpr(operation)) {
      if (!part) AddComputed(operation, function, name);
    } else if (operation.type().ends_with("const")) {
      if (!part) AddConstant(operation, name);
    } else {
      AddBoundBlobs(operation, name);
    }
    for (const Block& inner : operation.blocks()) AddBlock(inner, function);
  }
}

void CoreMlLoader::AddConstant(const Operation& operation,
                               const std::string& name) {
  const Value* value = FindValue(operation, "val");
  if (value == nullptr) return;
  const spec::TensorType& type = value->type().tensor_type();
  const bool listed = value->has_blob_file_value() ||
                      (type.dimensions_size() > 0 && IsFloat(type.data_type()));
  if (!listed) return;
  const auto numbers = NumbersOf(*value, blobs_, What(name));
  if (numbers) Add(EntryOf(Unique(name), *numbers), &operation);
}

void CoreMlLoader::AddComputed(const Operation& operation,
                               const Function& function,
                               const std::string& name) {
  const std::string what = What(name);
  auto computed = ComputedOf(operation, function.producers, blobs_, what);
  if (!computed) return;
  TensorEntry entry = EntryOf(Unique(name), computed->type);
  entry.encoding = std::move(computed->encoding);
  entry.deferred = std::make_shared<DeferredBytes>(
      // The program holds the operands that are not in a file.
      [keep = program_, numbers = computed->numbers, check = computed->check,
       dtype = *entry.dtype, elements = entry.elements] {
        if (check) check();
        return Materialize(*numbers, dtype, elements);
      });
  Add(std::move(entry), &operation);
}

void CoreMlLoader::AddBoundBlobs(const Operation& operation,
                                 const std::string& name) {
  for (const auto& [input, argument] : operation.inputs()) {
    for (const Argument::Binding& binding : argument.arguments()) {
      if (!binding.value().has_blob_file_value()) continue;
      const auto numbers = NumbersOf(binding.value(), blobs_, What(name));
      program_->blobs_.emplace(&binding.value(), numbers->bytes);
    }
  }
}

void CoreMlLoader::Add(TensorEntry entry, const void* message) {
  program_->tensors_.emplace(message, entry.name);
  model_.Add(std::move(entry));
}

std::string CoreMlLoader::Unique(const std::string& name) {
  int& count = taken_[name];
  if (++count == 1) return name;
  for (;; ++count) {
    std::string numbered = fmt::format("{}.{}", name, count);
    if (taken_.emplace(numbered, 1).second) return numbered;
  }
}

std::string CoreMlLoader::What(const std::string& name) const {
  return fmt::format("{}: tensor {}", model_.path(), QuoteName(name));
}

}  // namespace tl
