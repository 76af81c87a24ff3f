// llama.cpp's adapters: general.type "adapter", adapter.type "lora",
// general.architecture that of the model, and for each weight that is changed
// NAME.lora_a [rank, in] and NAME.lora_b [out, rank], q and k with their rows
// as the model has them. Of the embedding lora_a is [tokens, rank]. Scaled by
// adapter.lora.alpha / rank, or not at all where alpha is 0.
// https://github.com/ggml-org/llama.cpp (convert_lora_to_gguf.py,
// src/llama-adapter.cpp)
#include <array>
#include <string_view>

#include "base/error.h"
#include "format/layout_change.h"
#include "format/lora_files.h"

namespace tl {
namespace {

constexpr std::string_view kA = ".lora_a";
constexpr std::string_view kB = ".lora_b";
constexpr std::string_view kEmbedding = "token_embd.weight";
constexpr char kAlpha[] = "adapter.lora.alpha";

std::string TextIn(const Model& adapter, std::string_view key) {
  return std::string(adapter.metadata().Text(key).value_or(""));
}

void CheckKind(const Model& adapter) {
  constexpr std::pair<const char*, const char*> kKinds[] = {
      {"general.type", "adapter"}, {"adapter.type", "lora"}};
  for (const auto& [key, expected] : kKinds) {
    const std::string found = TextIn(adapter, key);
    if (found == expected) continue;
    Fail(ErrorKind::kInput, "{}: '{}' is {}, of a LoRA adapter '{}'",
         adapter.Label(), key, QuoteName(found), expected);
  }
  if (adapter.metadata().Find("adapter.alora.invocation_tokens") != nullptr) {
    Fail(ErrorKind::kInput,
         "{}: 'adapter.alora.invocation_tokens' asks for an adapter that is "
         "active after some tokens, which is not supported",
         adapter.Label());
  }
}

void CheckArchitecture(const Model& adapter, const Model& model) {
  if (!HasGgufNames(model)) {
    Fail(ErrorKind::kInput,
         "{}: has the names of GGUF, {} those of Hugging Face; load the model "
         "with layout: \"gguf\"",
         adapter.Label(), model.Label());
  }
  const std::string of_adapter = TextIn(adapter, "general.architecture");
  const std::string of_model(ArchitectureOf(model).name);
  if (of_adapter == of_model) return;
  Fail(ErrorKind::kInput, "{}: is for the architecture {}, {} is of {}",
       adapter.Label(), QuoteName(of_adapter), model.Label(),
       QuoteName(of_model));
}

double AlphaOf(const Model& adapter) {
  const MetadataValue* alpha = adapter.metadata().Find(kAlpha);
  if (alpha == nullptr) return 0;
  if (const auto number = alpha->Real()) return *number;
  Fail(ErrorKind::kInput, "{}: '{}' is no number", adapter.Label(), kAlpha);
}

void Take(const Model& adapter, const TensorEntry& entry,
          AdapterChanges& changes) {
  const std::string_view name = entry.name;
  const bool a = name.ends_with(kA);
  if (!a && !name.ends_with(kB)) {
    Fail(ErrorKind::kInput, "{}: tensor {} is neither NAME{} nor NAME{}",
         adapter.Label(), QuoteName(name), kA, kB);
  }
  const std::string target(name.substr(0, name.size() - kA.size()));
  AdapterChange& change = changes[target];
  change.name = target;
  (a ? change.right : change.left) = AdapterMatrix{entry, {}};
}

void Complete(const Model& adapter, AdapterChange& change, double alpha) {
  if (!change.left || !change.right) {
    const bool a = change.right.has_value();
    Fail(ErrorKind::kInput, "{}: has '{}{}' but no '{}{}'", adapter.Label(),
         change.name, a ? kA : kB, change.name, a ? kB : kA);
  }
  const std::vector<int64_t>& b = change.left->entry.shape;
  const int64_t rank = b.empty() ? 0 : b.back();
  if (alpha != 0 && rank > 0) change.scale *= alpha / double(rank);
  if (change.name != kEmbedding) return;
  std::swap(change.left, change.right);
  change.right->change.transposed = true;
  change.axes = "[tokens, dim]";
}

}  // namespace

AdapterChanges GgufChanges(const Model& adapter, const Model& model,
                           double scale) {
  CheckKind(adapter);
  CheckArchitecture(adapter, model);
  const double alpha = AlphaOf(adapter);
  AdapterChanges changes;
  for (const TensorEntry& entry : adapter.tensors()) {
    Take(adapter, entry, changes);
  }
  for (auto& [name, change] : changes) {
    change.scale = scale;
    Complete(adapter, change, alpha);
  }
  return changes;
}

}  // namespace tl
