// What a CoreML model is beside its tensors: the parsed specification, and
// which tensor of the Model each constant and each layer weight of it is. It
// refuses nothing more: loading has checked that every offset lies within its
// file. Running it is room coreml's. The messages are coreml.proto's.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/file.h"
#include "format/coreml.pb.h"
#include "format/model.h"

namespace tl {

class CoreMl final : public ModelProgram {
 public:
  // Null for a model that is no CoreML model, or of which only the weights are
  // there (a compiled neural network).
  static const CoreMl* Of(const Model& model);

  CoreMl() = default;
  CoreMl(const CoreMl&) = delete;  // tensors are found by message address
  CoreMl& operator=(const CoreMl&) = delete;

  // The whole model; for a pipeline, with its members inside. A program that
  // came as text (.mlmodelc) is here as messages too, with the description that
  // its metadata.json gives. Weights of layers are not in it but for small
  // ones.
  const coreml::spec::Model& spec() const { return *spec_; }

  // The name under which Model has the result of `operation`, which is one of
  // spec()'s: a `const` whose value is in a blob file or is a float tensor of
  // rank 1 or more, or a `constexpr_…`. Model::Find() may find nothing
  // (removed) or another shape (set by the user) there.
  //   "" for any other operation: a `const` whose immediate value is a scalar,
  // a text, or integers (read Value.immediate_value then); a `const` in a blob
  // file or a `constexpr_…` that is only an operand of a `constexpr_…`: nobody
  // else reads it, so leave it alone.
  std::string_view TensorOf(const coreml::spec::Operation& operation) const;

  // The name under which Model has these weights of a layer of spec(), with the
  // layer's shape and decoded when quantised: "conv1.weights", "conv1.bias",
  // "lstm.input_gate_recursion_matrix", "act.alpha", "bilstm.backward.…". ""
  // when the layer has no such weights (the message is empty).
  std::string_view TensorOf(const coreml::spec::WeightParams& weights) const;

  // The bytes of a value in a blob file, in place, packed as they are there;
  // nothing for an immediate value. For values that are not the result of a
  // `const`: those bound to an input directly.
  std::span<const std::byte> BlobOf(const coreml::spec::Value& value) const;

 private:
  friend class CoreMlLoader;

  std::string_view NameAt(const void* message) const;

  std::shared_ptr<const coreml::spec::Model> spec_;
  // By address of the operation, weights or value in `*spec_`.
  std::unordered_map<const void*, std::string> tensors_;
  std::unordered_map<const void*, std::span<const std::byte>> blobs_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

// The block of a function that runs; null where it has none for its opset.
const coreml::spec::Block* CoreMlBodyOf(const coreml::spec::Function& function);

// "convolution" for a layer; "nothing" for one of a kind that is not known.
std::string CoreMlLayerKind(const coreml::spec::Layer& layer);

// "float32 [1, 3, 224, 224]", "image RGB 224 x 224", "map from string to double".
std::string CoreMlTypeText(const coreml::spec::FeatureType& type);

// "neuralNetworkClassifier", "mlProgram", "treeEnsembleRegressor", …; "nothing"
// when the model says no kind, "kind 1234" for one that is not known.
std::string CoreMlModelKind(const coreml::spec::Model& model);

}  // namespace tl
