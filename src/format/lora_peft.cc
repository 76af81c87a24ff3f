// PEFT's adapters: for each module of the model that is changed
// base_model.model.MODULE.lora_A.weight [rank, in] and .lora_B.weight
// [out, rank], or lora_embedding_A [rank, tokens] and lora_embedding_B
// [dim, rank]; perhaps lora_B.bias and, for DoRA, lora_magnitude_vector. Other
// keys are tensors that were trained whole (modules_to_save, bias). Names and
// shapes are those of transformers; format/hf_names.h says what they are in a
// model with the layout of GGUF.
// https://huggingface.co/docs/peft/developer_guides/checkpoint
#include <array>
#include <string_view>

#include "base/error.h"
#include "format/hf_metadata.h"
#include "format/hf_names.h"
#include "format/layout_change.h"
#include "format/lora_files.h"

namespace tl {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWrapped = ".base_layer.";

// What the file has of one module.
struct Module {
  const TensorEntry* a = nullptr;
  const TensorEntry* b = nullptr;
  const TensorEntry* bias = nullptr;
  const TensorEntry* embedding_a = nullptr;
  const TensorEntry* embedding_b = nullptr;
  const TensorEntry* magnitude = nullptr;
};

struct Ending {
  std::string_view text;
  const TensorEntry* Module::*slot;
};
constexpr auto kEndings = std::to_array<Ending>({
    {".lora_A.weight", &Module::a},
    {".lora_B.weight", &Module::b},
    {".lora_B.bias", &Module::bias},
    {".lora_embedding_A", &Module::embedding_a},
    {".lora_embedding_B", &Module::embedding_b},
    {".lora_magnitude_vector", &Module::magnitude},
});

// The model's tensor that transformers calls by a name.
struct Target {
  std::string name;
  RowChange change;          // from transformers' to what the model has
  bool input_first = false;  // transformers has it as [in, out]
};

// Parts of a name that a model has or has not, as it was saved.
constexpr auto kOptionalPrefixes =
    std::to_array<std::string_view>({"transformer.", "bert."});

class PeftReader {
 public:
  PeftReader(const Model& adapter, const PeftConfig& config, const Model& model,
             double scale)
      : adapter_(adapter), config_(config), model_(model), scale_(scale) {
    gguf_names_ = HasGgufNames(model);
    const Architecture architecture = ArchitectureOf(model);
    family_ = architecture.name.empty() ? FamilyOfModelType(ModelTypeOf(model))
                                        : TensorFamilyOf(architecture);
    if (!gguf_names_) return;
    if (family_ == nullptr) {
      Fail(ErrorKind::kInput,
           "{}: names modules of transformers, and which tensors of {} they "
           "are is not known for the architecture {}; it is for {}",
           adapter.Label(), model.Label(), QuoteName(architecture.name),
           TensorFamilyNames());
    }
    heads_ = HeadCountsOf(model, *family_);
  }

  AdapterChanges Run() {
    for (const TensorEntry& entry : adapter_.tensors()) Sort(entry);
    for (const auto& [name, module] : modules_) {
      if (module.embedding_a != nullptr || module.embedding_b != nullptr) {
        AddEmbedding(name, module);
      } else {
        AddLinear(name, module);
      }
    }
    return std::move(changes_);
  }

 private:
  void Sort(const TensorEntry& entry) {
    std::string_view key = entry.name;
    if (!key.starts_with(kPrefix)) {
      Fail(ErrorKind::kInput,
           "{}: {} does not begin with '{}' as the keys of PEFT do",
           adapter_.Label(), QuoteName(key), kPrefix);
    }
    key.remove_prefix(kPrefix.size());
    for (const Ending& ending : kEndings) {
      if (!key.ends_with(ending.text)) continue;
      key.remove_suffix(ending.text.size());
      modules_[std::string(key)].*ending.slot = &entry;
      return;
    }
    if (key.find(".lora_") != std::string_view::npos) {
      Fail(ErrorKind::kInput, "{}: {} is no part of LoRA that is known",
           adapter_.Label(), QuoteName(entry.name));
    }
    AddWhole(std::string(key), entry);
  }

  // A weight that LoRA changes, too, is wrapped in PEFT's own module.
  void AddWhole(std::string name, const TensorEntry& entry) {
    const size_t wrapped = name.rfind(kWrapped);
    if (wrapped != std::string::npos) {
      name.replace(wrapped, kWrapped.size(), ".");
    }
    const Target target = Find(name);
    AdapterChange& change = ChangeOf(target);
    if (change.whole) {
      Fail(ErrorKind::kInput, "{}: {} and {} are the same tensor of the model",
           adapter_.Label(), QuoteName(change.whole->entry.name),
           QuoteName(entry.name));
    }
    change.whole = AdapterMatrix{entry, target.change};
  }

  void AddLinear(const std::string& name, const Module& module) {
    Require(name, module, {&Module::a, &Module::b});
    CheckRank(name, *module.a);
    const Target target = Find(name + ".weight");
    AdapterChange& change = ProductOf(target);
    change.scale = scale_ * config_.ScalingOf(name);
    // Rows of the product are rows of B.
    change.left = AdapterMatrix{*module.b, target.change};
    change.left->change.transposed = false;
    change.right = AdapterMatrix{*module.a, {}};
    if (target.input_first && !target.change.transposed) {
      std::swap(change.left, change.right);
      change.left->change.transposed = change.right->change.transposed = true;
      change.axes = "[in, out]";
    }
    if (module.bias != nullptr) AddBias(name, *module.bias, change.scale);
    AddMagnitude(name, module, change);
  }

  void AddEmbedding(const std::string& name, const Module& module) {
    Require(name, module, {&Module::embedding_a, &Module::embedding_b});
    CheckRank(name, *module.embedding_a);
    if (module.a != nullptr || module.b != nullptr || module.bias != nullptr) {
      Fail(ErrorKind::kInput, "{}: {} is both a matrix and an embedding",
           adapter_.Label(), QuoteName(name));
    }
    if (config_.dora || module.magnitude != nullptr) {
      Fail(ErrorKind::kInput, "{}: DoRA of the embedding {} is not supported",
           adapter_.Label(), QuoteName(name));
    }
    AdapterChange& change = ProductOf(Find(name + ".weight"));
    change.scale = scale_ * config_.ScalingOf(name);
    change.left = AdapterMatrix{*module.embedding_a, {}};
    change.right = AdapterMatrix{*module.embedding_b, {}};
    change.left->change.transposed = change.right->change.transposed = true;
    change.axes = "[tokens, dim]";
  }

  void AddBias(const std::string& name, const TensorEntry& bias, double scale) {
    const Target target = Find(name + ".bias");
    AdapterChange& change = ProductOf(target);
    change.scale = scale;
    change.left = AdapterMatrix{bias, target.change};
  }

  void AddMagnitude(const std::string& name, const Module& module,
                    AdapterChange& change) {
    if (config_.dora != (module.magnitude != nullptr)) {
      Fail(ErrorKind::kInput, "{}: 'use_dora' is {}, but {} has {} magnitude",
           config_.path, config_.dora, QuoteName(name),
           config_.dora ? "no" : "a");
    }
    if (module.magnitude == nullptr) return;
    if (change.left->change.transposed) {
      Fail(ErrorKind::kInput,
           "{}: DoRA of {}, whose weight is [in, out], is merged only into a "
           "model that is loaded with layout: \"gguf\"",
           adapter_.Label(), QuoteName(name));
    }
    change.magnitude = AdapterMatrix{*module.magnitude, change.left->change};
  }

  void Require(const std::string& name, const Module& module,
               std::initializer_list<const TensorEntry * Module::*> slots) {
    for (const auto slot : slots) {
      if (module.*slot != nullptr) continue;
      for (const Ending& ending : kEndings) {
        if (ending.slot != slot) continue;
        Fail(ErrorKind::kInput, "{}: has no '{}{}{}'", adapter_.Label(),
             kPrefix, name, ending.text);
      }
    }
  }

  void CheckRank(const std::string& name, const TensorEntry& a) {
    const int64_t expected = config_.RankOf(name);
    if (a.shape.empty() || a.shape[0] == expected) return;
    Fail(ErrorKind::kInput, "{}: {} is {}, a rank of {}, but {} says {}",
         adapter_.Label(), QuoteName(a.name), ShapeText(a.shape), a.shape[0],
         config_.path, expected);
  }

  // For a product or a bias, of which a tensor has one.
  AdapterChange& ProductOf(const Target& target) {
    AdapterChange& change = ChangeOf(target);
    if (change.left) {
      Fail(ErrorKind::kInput, "{}: two modules change {}", adapter_.Label(),
           QuoteName(target.name));
    }
    return change;
  }

  AdapterChange& ChangeOf(const Target& target) {
    AdapterChange& change = changes_[target.name];
    change.name = target.name;
    return change;
  }

  Target Find(const std::string& name) const {
    std::optional<Renamed> renamed;
    if (family_ != nullptr) renamed = ToGgufName(*family_, name, heads_);
    if (!gguf_names_) {
      return {Spelling(name),
              {},
              renamed ? renamed->change.transposed : config_.fan_in_fan_out};
    }
    if (!renamed) {
      Fail(ErrorKind::kInput,
           "{}: changes {}, which has no place in the GGUF "
           "layout of '{}'",
           adapter_.Label(), QuoteName(name), family_->arch);
    }
    if (renamed->expert) {
      Fail(ErrorKind::kInput,
           "{}: changes {}, one expert of {}, where all of a layer are; load "
           "the model with layout: \"hf\"",
           adapter_.Label(), QuoteName(name), QuoteName(renamed->name));
    }
    return {renamed->name, renamed->change, renamed->change.transposed};
  }

  std::string Spelling(const std::string& name) const {
    if (model_.Find(name) != nullptr) return name;
    for (std::string_view prefix : kOptionalPrefixes) {
      const std::string with = std::string(prefix) + name;
      if (model_.Find(with) != nullptr) return with;
      if (!name.starts_with(prefix)) continue;
      const std::string without = name.substr(prefix.size());
      if (model_.Find(without) != nullptr) return without;
    }
    return name;
  }

  const Model& adapter_;
  const PeftConfig& config_;
  const Model& model_;
  const double scale_;
  bool gguf_names_ = false;
  const Family* family_ = nullptr;
  HeadCounts heads_;
  std::map<std::string, Module> modules_;
  AdapterChanges changes_;
};

}  // namespace

AdapterChanges PeftChanges(const Model& adapter, const PeftConfig& config,
                           const Model& model, double scale) {
  return PeftReader(adapter, config, model, scale).Run();
}

}  // namespace tl
