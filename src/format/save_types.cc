#include "format/save_types.h"

#include <algorithm>

#include "base/error.h"
#include "format/companion.h"
#include "format/config.h"

namespace tl {
namespace {

// For models that do not say: one more than the last number in a name.
int64_t CountLayers(const Model& model) {
  int64_t layers = 0;
  for (const TensorEntry& entry : model.tensors()) {
    layers = std::max(layers, LayerOf(entry.name).value_or(-1) + 1);
  }
  return layers;
}

bool HasNumbers(const TensorEntry& entry) {
  return entry.dtype && IsComputable(*entry.dtype);
}

void CheckReadable(const Model& model, const TensorEntry& entry) {
  if (IsPacked(*entry.dtype)) return;
  const Companion companion = FindCompanion(model, entry);
  if (companion.reading == Reading::kPlain) return;
  Fail(ErrorKind::kInput,
       "tensor {}: {}; such a tensor can be copied, not converted",
       QuoteName(entry.name), companion.text);
}

// Integers stay as they are; blocks that we cannot read would be left in
// another type than the one that was asked for.
void CheckNoWeight(const TensorEntry& entry, const FileType& type) {
  if (entry.dtype && Info(*entry.dtype).block_elements == 1) return;
  Fail(ErrorKind::kInput, "tensor {}: {} cannot be converted to {}",
       QuoteName(entry.name), entry.type_name(), type.name);
}

// Without a type that was asked for; nothing where the stored type stays.
std::optional<DType> UsualType(const TypeRules& rules,
                               const OutputTensor& tensor) {
  if (!HasNumbers(tensor.source)) return std::nullopt;
  if (rules.format == FileFormat::kSafeTensors) {
    const bool packed = IsPacked(*tensor.source.dtype);
    return packed ? std::optional(DType::F16) : std::nullopt;
  }
  // So are those that a program computed.
  const bool small = tensor.shape.size() < 2;
  const bool made = tensor.source.file == nullptr;
  if (small && (rules.gguf_layout || made)) return DType::F32;
  // Blocks stand in rows.
  if (tensor.change.transposed && IsPacked(*tensor.source.dtype)) {
    return DType::F16;
  }
  return std::nullopt;
}

std::optional<DType> Target(const TypeRules& rules,
                            const OutputTensor& tensor) {
  if (rules.type == nullptr) return UsualType(rules, tensor);
  if (!HasNumbers(tensor.source)) {
    CheckNoWeight(tensor.source, *rules.type);
    return std::nullopt;
  }
  if (rules.format == FileFormat::kSafeTensors) return rules.type->base;
  return TypeInFile(*rules.type, rules.facts, tensor.name, tensor.shape);
}

void SetType(const Model& model, DType type, OutputTensor& tensor) {
  tensor.dtype = type;
  tensor.bytes = BytesOf(type, tensor.elements);
  for (OutputTensor& part : tensor.parts) SetType(model, type, part);
  if (tensor.source.dtype != type) CheckReadable(model, tensor.source);
}

}  // namespace

MixFacts MixFactsOf(const Model& model, const Metadata& metadata) {
  const ModelConfig config = ConfigOf(model);
  MixFacts facts;
  facts.layers = CountIn(config, "layers");
  if (facts.layers == 0) facts.layers = CountLayers(model);
  facts.heads = CountIn(config, "heads");
  facts.kv_heads = CountIn(config, "kv_heads");
  if (const auto arch = metadata.Text("general.architecture")) {
    facts.experts =
        metadata.Int(std::string(*arch) + ".expert_count").value_or(0);
  }
  facts.has_output = model.Find("output.weight") != nullptr ||
                     model.Find("lm_head.weight") != nullptr;
  return facts;
}

void ChooseType(const Model& model, const TypeRules& rules,
                OutputTensor& tensor) {
  if (const auto type = Target(rules, tensor)) {
    return SetType(model, *type, tensor);
  }
  for (const OutputTensor& part : tensor.parts) {
    if (part.dtype == tensor.dtype) continue;
    Fail(ErrorKind::kInput,
         "tensor {}: is {}, that of another expert {}; ask for one type",
         QuoteName(part.name), part.type_name(), tensor.type_name());
  }
}

}  // namespace tl
