#include "format/layout_change.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "format/config.h"

namespace tl {
namespace {

// More experts than any model has.
constexpr int64_t kMaxExperts = 65536;

[[noreturn]] void FailPlace(const TensorEntry& entry, const Family& family,
                            std::string_view layout) {
  const std::string_view name =
      family.model_type.empty() ? family.arch : family.model_type;
  Fail(ErrorKind::kInput, "tensor {}: has no place in the {} layout of '{}'",
       QuoteName(entry.name), layout, name);
}

PlacedTensor Placed(const std::string& name, const TensorEntry& entry,
                    const RowChange& change) {
  CheckChange(entry, change);
  PlacedTensor placed{name, entry.shape, {entry}, change};
  if (change.transposed) std::swap(placed.shape[0], placed.shape[1]);
  return placed;
}

// The experts that were found for one tensor, and where it stands.
struct Stack {
  size_t place = 0;
  std::map<int64_t, const TensorEntry*> experts;
};

PlacedTensor Stacked(const std::string& name, const Stack& stack) {
  const TensorEntry& first = *stack.experts.begin()->second;
  PlacedTensor placed;
  placed.name = name;
  placed.shape = first.shape;
  placed.shape.insert(placed.shape.begin(),
                      static_cast<int64_t>(stack.experts.size()));
  for (const auto& [number, entry] : stack.experts) {
    const auto expected = static_cast<int64_t>(placed.sources.size());
    if (number != expected) {
      Fail(ErrorKind::kInput, "tensor {}: the one of expert {} is missing",
           QuoteName(entry->name), expected);
    }
    if (entry->shape != first.shape) {
      Fail(ErrorKind::kInput,
           "tensor {}: is {}, that of another expert of the layer {}",
           QuoteName(entry->name), ShapeText(entry->shape),
           ShapeText(first.shape));
    }
    placed.sources.push_back(*entry);
  }
  return placed;
}

// The matrix of one expert out of those of all.
TensorEntry Slice(const TensorEntry& stack, int64_t expert) {
  TensorEntry slice = stack;
  const int64_t experts = stack.shape[0];
  slice.shape.erase(slice.shape.begin());
  slice.elements = stack.elements / experts;
  slice.bytes = stack.bytes / experts;
  slice.data = std::shared_ptr<std::byte>(
      stack.data, stack.data.get() + expert * slice.bytes);
  return slice;
}

void CheckStack(const TensorEntry& entry) {
  const std::vector<int64_t>& shape = entry.shape;
  const bool good = shape.size() == 3 && shape[0] > 0 &&
                    shape[0] <= kMaxExperts && entry.dtype &&
                    shape[2] % Info(*entry.dtype).block_elements == 0;
  if (good) return;
  Fail(ErrorKind::kInput,
       "tensor {}: {} of type {} is no stack of the matrices of experts",
       QuoteName(entry.name), ShapeText(shape), entry.type_name());
}

// A vector in GGUF, a matrix of one row in transformers.
bool IsGateOfShared(std::string_view gguf_name) {
  return gguf_name.ends_with("ffn_gate_inp_shexp.weight");
}

}  // namespace

HeadCounts HeadCountsOf(const Model& model, const Family& family) {
  if (!family.paired_rows) return {};
  const ModelConfig config = ConfigOf(model);
  const HeadCounts counts{CountIn(config, "heads"),
                          CountIn(config, "kv_heads")};
  if (counts.heads > 0 && counts.kv_heads > 0) return counts;
  Fail(ErrorKind::kInput,
       "{}: the rows of q and k stand in another order in the other layout, "
       "which needs the number of {}, the same in each layer; the model does "
       "not say it",
       model.Label(), counts.heads > 0 ? "kv_heads" : "heads");
}

void CheckChange(const TensorEntry& entry, const RowChange& change) {
  if (change.none()) return;
  if (!entry.dtype || !IsComputable(*entry.dtype)) {
    Fail(ErrorKind::kInput,
         "tensor {}: {} cannot be brought into another layout",
         QuoteName(entry.name), entry.type_name());
  }
  const int64_t rows = entry.shape.empty() ? 1 : entry.shape[0];
  if (change.heads > 0 &&
      (rows % 2 != 0 || rows / 2 % change.heads != 0)) {
    Fail(ErrorKind::kInput, "tensor {}: {} rows are not {} heads of pairs",
         QuoteName(entry.name), rows, change.heads);
  }
  if (change.transposed && entry.shape.size() != 2) {
    Fail(ErrorKind::kInput, "tensor {}: {} is no matrix to be transposed",
         QuoteName(entry.name), ShapeText(entry.shape));
  }
}

std::vector<PlacedTensor> PlaceInGguf(const Model& model,
                                      const Family& family) {
  const HeadCounts heads = HeadCountsOf(model, family);
  std::vector<PlacedTensor> tensors;
  std::unordered_map<std::string, Stack> stacks;
  for (const TensorEntry& entry : model.tensors()) {
    if (IsOnlyInHuggingFace(entry.name)) continue;
    auto renamed = ToGgufName(family, entry.name, heads);
    if (!renamed) FailPlace(entry, family, "GGUF");
    if (!renamed->expert) {
      tensors.push_back(Placed(renamed->name, entry, renamed->change));
      std::vector<int64_t>& shape = tensors.back().shape;
      if (IsGateOfShared(renamed->name) && shape.size() == 2 && shape[0] == 1) {
        shape.erase(shape.begin());
      }
      continue;
    }
    const auto [at, is_new] = stacks.try_emplace(renamed->name);
    if (is_new) {
      at->second.place = tensors.size();
      tensors.push_back({});
    }
    at->second.experts.emplace(*renamed->expert, &entry);
  }
  for (const auto& [name, stack] : stacks) {
    tensors[stack.place] = Stacked(name, stack);
  }
  return tensors;
}

std::vector<PlacedTensor> PlaceInHuggingFace(const Model& model,
                                             const Family& family) {
  const HeadCounts heads = HeadCountsOf(model, family);
  std::vector<PlacedTensor> tensors;
  for (const TensorEntry& entry : model.tensors()) {
    if (IsOnlyInGguf(entry.name)) continue;
    auto renamed = ToHuggingFaceName(family, entry.name, heads);
    if (!renamed) FailPlace(entry, family, "Hugging Face");
    if (!renamed->expert) {
      tensors.push_back(Placed(renamed->name, entry, renamed->change));
      std::vector<int64_t>& shape = tensors.back().shape;
      if (IsGateOfShared(entry.name) && shape.size() == 1) {
        shape.insert(shape.begin(), 1);
      }
      continue;
    }
    CheckStack(entry);
    for (int64_t expert = 0; expert < entry.shape[0]; ++expert) {
      tensors.push_back(
          Placed(ToHuggingFaceName(family, entry.name, heads, expert)->name,
                 Slice(entry, expert), {}));
    }
  }
  return tensors;
}

bool HasHuggingFaceNames(const Model& model) {
  constexpr std::string_view kEmbeddings[] = {
      "model.embed_tokens.weight", "transformer.wte.weight", "wte.weight",
      "embeddings.word_embeddings.weight",
      "bert.embeddings.word_embeddings.weight"};
  return std::ranges::any_of(kEmbeddings, [&](std::string_view name) {
    return model.Find(name) != nullptr;
  });
}

Architecture ArchitectureOf(const Model& model) {
  const Metadata& metadata = model.metadata();
  const auto name = metadata.Text("general.architecture");
  if (!name) return {};
  const auto experts = metadata.Int(fmt::format("{}.expert_count", *name));
  return {*name, experts.value_or(0) > 0};
}

}  // namespace tl
