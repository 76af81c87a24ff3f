#include "format/hf_metadata.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/bytes.h"
#include "base/error.h"
#include "format/config.h"
#include "format/hf_chat_templates.h"
#include "format/hf_facts.h"
#include "format/hf_keys.h"
#include "format/hf_tokenizer.h"
#include "format/json.h"
#include "format/pooling.h"
#include "format/rope.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using Json = simdjson::dom::element;

constexpr std::string_view kWindow = "sliding_window";

// A file beside the model, if there is one.
std::optional<std::string> TextBeside(const Model& model,
                                      const std::string& name) {
  const std::optional<std::string> file = model.FileBeside(name);
  if (!file) return std::nullopt;
  return ReadTextFile(*file, kMaxFileBeside);
}

class HfConfig {
 public:
  explicit HfConfig(const Model& model) : label_(model.Label()) {
    const std::optional<std::string> text = model.ConfigJson();
    if (!text) {
      Fail(ErrorKind::kInput,
           "{}: has no config.json beside it, which GGUF's layout is made from",
           label_);
    }
    text_ = *text;
    if (ParseJson(parser_, text_).get(root_) != simdjson::SUCCESS ||
        !root_.is_object()) {
      Fail(ErrorKind::kInput, "{}: its config.json is not a JSON object",
           label_);
    }
  }

  const std::string& text() const { return text_; }
  const std::string& label() const { return label_; }

  std::string Text(const char* key) const {
    std::string_view text;
    return root_[key].get(text) == simdjson::SUCCESS ? std::string(text) : "";
  }

  std::optional<int64_t> Int(const char* key) const {
    int64_t number;
    if (root_[key].get(number) != simdjson::SUCCESS) return std::nullopt;
    return number;
  }

  std::optional<bool> Bool(const char* key) const {
    bool flag;
    if (root_[key].get(flag) != simdjson::SUCCESS) return std::nullopt;
    return flag;
  }

  // Newer files keep what is about positions together.
  std::optional<double> Real(const char* key) const {
    double number;
    if (root_[key].get(number) == simdjson::SUCCESS) return number;
    const std::optional<Json> group = RopeParameters();
    if (group && (*group)[key].get(number) == simdjson::SUCCESS) return number;
    return std::nullopt;
  }

  // Of all layers, or of those that attend to all positions.
  std::optional<Json> RopeParameters() const {
    Json group;
    if (root_["rope_parameters"].get(group) != simdjson::SUCCESS ||
        !group.is_object()) {
      return std::nullopt;
    }
    Json full;
    if (group["full_attention"].get(full) == simdjson::SUCCESS) return full;
    return group;
  }

  // How positions are stretched; nothing where they are not.
  std::optional<Json> Scaling() const {
    Json old;
    const std::optional<Json> group = RopeParameters();
    if (root_["rope_scaling"].get(old) == simdjson::SUCCESS &&
        old.is_object() && ScalingType(old) != "default") {
      return old;
    }
    if (group && ScalingType(*group) != "default") return group;
    return std::nullopt;
  }

  static std::string ScalingType(Json scaling) {
    std::string_view type = "default";
    for (const char* key : {"rope_type", "type"}) {
      if (scaling[key].get(type) == simdjson::SUCCESS) break;
    }
    return std::string(type);
  }

  double ScalingNumber(Json scaling, const char* key) const {
    double number;
    if (scaling[key].get(number) != simdjson::SUCCESS) {
      Fail(ErrorKind::kInput,
           "{}: its config.json scales positions without "
           "'{}'",
           label_, key);
    }
    return number;
  }

 private:
  std::string label_;
  std::string text_;
  simdjson::dom::parser parser_;
  Json root_;
};

class MetadataMaker {
 public:
  MetadataMaker(const Model& model, const Family& family)
      : model_(model),
        family_(family),
        config_(model),
        metadata_(model.metadata()) {}

  Metadata Run() {
    CheckFacts(config_.label(), config_.text(), family_);
    metadata_.Set("general.architecture", family_.arch);
    metadata_.Set("general.type", "model");
    if (metadata_.Find("general.name") == nullptr) {
      metadata_.Set("general.name", Name());
    }
    AddNumbers();
    AddPooling();
    AddAttention();
    AddScaling();
    AddTokens();
    metadata_.Set(kConfigKey, config_.text());
    return std::move(metadata_);
  }

 private:
  std::string Key(std::string_view name) const {
    return fmt::format("{}.{}", family_.arch, name);
  }

  std::string Name() const {
    fs::path path = fs::path(model_.path()).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    return path.stem().string();
  }

  void SetCount(std::string_view name, int64_t count) {
    if (count < 0 || count > UINT32_MAX) {
      Fail(ErrorKind::kInput, "{}: its config.json says {} for {}",
           config_.label(), count, name);
    }
    metadata_.Set(Key(name), MetadataValue::Of(static_cast<uint32_t>(count)));
  }

  void AddNumbers() {
    for (const HfKey& row : HfCounts(family_)) {
      if (row.hf == kWindow) continue;  // AddWindows
      if (const auto count = config_.Int(row.hf)) SetCount(row.gguf, *count);
    }
    for (const HfKey& row : HfReals(family_)) {
      if (const auto real = config_.Real(row.hf)) {
        metadata_.Set(Key(row.gguf),
                      MetadataValue::Of(static_cast<float>(*real)));
      }
    }
    if (family_.naming == Naming::kGpt2) return AddGpt2Width();
    if (family_.naming == Naming::kBert) {
      metadata_.Set(Key("attention.causal"), MetadataValue::Of(false));
      return;
    }
    const auto heads = config_.Int("num_attention_heads");
    if (heads && !config_.Int("num_key_value_heads")) {
      SetCount("attention.head_count_kv", *heads);
    }
    if (const auto dim = RotatedDim()) SetCount("rope.dimension_count", *dim);
    CheckExperts();
  }

  // How many numbers of a head tell the position: all, or a part of them.
  std::optional<int64_t> RotatedDim() const {
    const auto heads = config_.Int("num_attention_heads");
    const auto dim = config_.Int("hidden_size");
    std::optional<int64_t> head_dim = config_.Int("head_dim");
    if (!head_dim && dim && heads && *heads > 0) head_dim = *dim / *heads;
    const auto part = config_.Real("partial_rotary_factor");
    if (!head_dim || !part || !(*part > 0 && *part <= 1)) return head_dim;
    return CheckedTruncate(static_cast<double>(*head_dim) * *part);
  }

  // GPT-2 says how wide a layer is where it is not four times the rest.
  void AddGpt2Width() {
    const auto dim = config_.Int("n_embd");
    if (config_.Int("n_inner") || !dim) return;
    if (const auto width = CheckedMultiply(4, *dim)) {
      SetCount("feed_forward_length", *width);
    }
  }

  void CheckExperts() const {
    const auto norms = config_.Bool("norm_topk_prob");
    if (!norms || *norms == NormsExperts(family_)) return;
    Fail(
        ErrorKind::kInput,
        "{}: its config.json says \"norm_topk_prob\": {}, in GGUF it is {} for "
        "'{}'",
        config_.label(), *norms, !*norms, family_.model_type);
  }

  void AddPooling() {
    const auto pooling = PoolingBeside(model_);
    if (!pooling) return;
    const auto number = GgufPooling(*pooling);
    if (!number) {
      Fail(ErrorKind::kInput,
           "{}: its vectors are made by '{}', which GGUF cannot say; known are "
           "mean, cls and last",
           model_.Label(), *pooling);
    }
    SetCount("pooling_type", *number);
  }

  // What m.config has made of several keys. A window is said only where some
  // layers have it.
  void AddAttention() {
    const ModelConfig config = ConfigOf(model_);
    for (const ConfigField& field : config) {
      const auto* scale = std::get_if<double>(&field.value);
      if (field.name == "query_scale" && scale != nullptr &&
          config_.Real("query_pre_attn_scalar")) {
        SetReal("attention.scale", *scale);
      }
      const auto* windows = std::get_if<std::vector<int64_t>>(&field.value);
      if (field.name == "windows" && windows != nullptr) AddWindows(*windows);
    }
    if (const auto local = LocalRopeOf(model_)) {
      SetReal("rope.freq_base_swa", local->base);
    }
  }

  void AddWindows(const std::vector<int64_t>& windows) {
    const int64_t widest = *std::ranges::max_element(windows);
    if (widest == 0) return;
    SetCount("attention.sliding_window", widest);
    if (std::ranges::count(windows, widest) == std::ssize(windows)) return;
    std::vector<std::byte> local;
    for (int64_t window : windows) local.push_back(std::byte{window > 0});
    const auto count = std::ssize(local);
    metadata_.Set(
        Key("attention.sliding_window_pattern"),
        MetadataValue::OwnedArray(MetadataKind::Bool, count, std::move(local)));
  }

  void SetReal(std::string_view name, double value) {
    metadata_.Set(Key(name), MetadataValue::Of(static_cast<float>(value)));
  }

  void AddScaling() {
    const std::optional<Json> scaling = config_.Scaling();
    if (!scaling) return;
    const std::string type = HfConfig::ScalingType(*scaling);
    if (type == "llama3") return;  // RopeFactorsOf
    if (type == "longrope" || type == "su") return AddLongRope();
    if (type != "linear" && type != "yarn") {
      Fail(ErrorKind::kInput,
           "{}: its config.json scales positions by '{}', known are linear, "
           "yarn, llama3 and longrope",
           config_.label(), type);
    }
    if (type == "yarn" && !RopeOf(model_)->factors.empty()) {
      SetReal("rope.scaling.attn_factor", RopeOf(model_)->scale);
      return;  // RopeFactorsOf
    }
    metadata_.Set(Key("rope.scaling.type"), type);
    SetReal("rope.scaling.factor", config_.ScalingNumber(*scaling, "factor"));
    if (type == "yarn") AddYarn(*scaling);
  }

  void AddYarn(Json scaling) {
    const double original =
        config_.ScalingNumber(scaling, "original_max_position_embeddings");
    SetCount("rope.scaling.original_context_length",
             static_cast<int64_t>(original));
    double number;
    for (const char* key : {"beta_fast", "beta_slow"}) {
      if (scaling[key].get(number) != simdjson::SUCCESS) continue;
      SetReal(fmt::format("rope.scaling.yarn_{}", key), number);
    }
    // GGUF's is of what yarn itself makes of the factor.
    const double factor = config_.ScalingNumber(scaling, "factor");
    const double own = factor <= 1 ? 1 : 0.1 * std::log(factor) + 1;
    const double scale = RopeOf(model_)->scale;
    if (std::abs(scale - own) > 1e-9) {
      SetReal("rope.scaling.attn_factor", scale / own);
    }
  }

  // The factors themselves are tensors: LongRopeFactorsOf.
  void AddLongRope() {
    const RopeSettings rope = *RopeOf(model_);
    metadata_.Set(Key("rope.scaling.type"), "longrope");
    SetCount("rope.scaling.original_context_length", rope.original_context);
    SetReal("rope.scaling.attn_factor", rope.scale);
  }

  // A model without a tokenizer is still a model.
  void AddTokens() {
    const auto tokenizer = TextBeside(model_, "tokenizer.json");
    if (!tokenizer) return;
    TokenizerFiles files;
    files.label = model_.Label();
    files.tokenizer_json = *tokenizer;
    files.config_json =
        TextBeside(model_, "tokenizer_config.json").value_or("");
    files.model_config = config_.text();
    AddTokenizer(files, metadata_);
    metadata_.Set(kTokenizerKey, *tokenizer);
    AddChatTemplates(model_, files.config_json, metadata_);
  }

  const Model& model_;
  const Family& family_;
  HfConfig config_;
  Metadata metadata_;
};

}  // namespace

std::string ModelTypeOf(const Model& model) {
  const std::optional<std::string> text = model.ConfigJson();
  simdjson::dom::parser parser;
  Json root;
  std::string_view type;
  if (!text || ParseJson(parser, *text).get(root) != simdjson::SUCCESS ||
      root["model_type"].get(type) != simdjson::SUCCESS) {
    return "";
  }
  return std::string(type);
}

const Family& HuggingFaceFamily(const Model& model) {
  const std::string type = HfConfig(model).Text("model_type");
  const Family* family = FamilyOfModelType(type);
  if (family == nullptr) {
    Fail(ErrorKind::kInput,
         "{}: the layout of '{}' in GGUF is not known here, only of {}; the "
         "layout 'hf' keeps names",
         model.Label(), type, FamilyNames());
  }
  return *family;
}

Metadata MakeGgufMetadata(const Model& model, const Family& family) {
  return MetadataMaker(model, family).Run();
}

std::vector<RopeFactorTensor> RopeFactorsOf(const Model& model) {
  const std::optional<RopeSettings> rope = RopeOf(model);
  if (!rope || rope->factors.empty()) return {};
  if (rope->long_factors.empty()) {
    return {{"rope_freqs.weight", rope->factors}};
  }
  return {{"rope_factors_long.weight", rope->long_factors},
          {"rope_factors_short.weight", rope->factors}};
}

}  // namespace tl
