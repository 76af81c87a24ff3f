#include "format/hf_metadata.h"

#include <simdjson.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "base/error.h"
#include "format/config.h"
#include "format/hf_tokenizer.h"
#include "format/metadata_text.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using Json = simdjson::dom::element;

// The largest known are 20 MB.
constexpr int64_t kMaxJson = 256 << 20;

struct NumberRow {
  const char* hf;
  const char* gguf;  // after the architecture
};

constexpr auto kCounts = std::to_array<NumberRow>({
    {"num_hidden_layers", "block_count"},
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"vocab_size", "vocab_size"},
    {"sliding_window", "attention.sliding_window"},
});

constexpr auto kReals = std::to_array<NumberRow>({
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"rope_theta", "rope.freq_base"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
});

// A file beside the model, if there is one.
std::optional<std::string> TextBeside(const Model& model,
                                      const std::string& name) {
  if (model.path().empty()) return std::nullopt;
  std::error_code error;
  const fs::path folder = fs::is_directory(model.path(), error)
                              ? fs::path(model.path())
                              : fs::path(model.path()).parent_path();
  if (!fs::exists(folder / name, error)) return std::nullopt;
  return ReadTextFile((folder / name).string(), kMaxJson);
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
    if (parser_.parse(text_).get(root_) != simdjson::SUCCESS ||
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

  // Newer files keep what is about positions together.
  std::optional<double> Real(const char* key) const {
    double number;
    if (root_[key].get(number) == simdjson::SUCCESS ||
        root_["rope_parameters"][key].get(number) == simdjson::SUCCESS) {
      return number;
    }
    return std::nullopt;
  }

  // How positions are stretched; nothing where they are not.
  std::optional<Json> Scaling() const {
    Json scaling;
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
      if (root_[key].get(scaling) != simdjson::SUCCESS) continue;
      if (scaling.is_object() && ScalingType(scaling) != "default") {
        return scaling;
      }
    }
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
    metadata_.Set("general.architecture", family_.arch);
    metadata_.Set("general.type", "model");
    if (metadata_.Find("general.name") == nullptr) {
      metadata_.Set("general.name", Name());
    }
    AddNumbers();
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
    for (const NumberRow& row : kCounts) {
      if (const auto count = config_.Int(row.hf)) SetCount(row.gguf, *count);
    }
    for (const NumberRow& row : kReals) {
      if (const auto real = config_.Real(row.hf)) {
        metadata_.Set(Key(row.gguf),
                      MetadataValue::Of(static_cast<float>(*real)));
      }
    }
    const auto heads = config_.Int("num_attention_heads");
    if (heads && !config_.Int("num_key_value_heads")) {
      SetCount("attention.head_count_kv", *heads);
    }
    const auto dim = config_.Int("hidden_size");
    std::optional<int64_t> head_dim = config_.Int("head_dim");
    if (!head_dim && dim && heads && *heads > 0) head_dim = *dim / *heads;
    if (head_dim) SetCount("rope.dimension_count", *head_dim);
  }

  void AddScaling() {
    const std::optional<Json> scaling = config_.Scaling();
    if (!scaling) return;
    const std::string type = HfConfig::ScalingType(*scaling);
    if (type == "llama3") return;  // RopeFactors
    if (type != "linear" && type != "yarn") {
      Fail(ErrorKind::kInput,
           "{}: its config.json scales positions by '{}', known are linear, "
           "yarn and llama3",
           config_.label(), type);
    }
    metadata_.Set(Key("rope.scaling.type"), type);
    const double factor = config_.ScalingNumber(*scaling, "factor");
    metadata_.Set(Key("rope.scaling.factor"),
                  MetadataValue::Of(static_cast<float>(factor)));
    if (type == "yarn") {
      const double original =
          config_.ScalingNumber(*scaling, "original_max_position_embeddings");
      SetCount("rope.scaling.original_context_length",
               static_cast<int64_t>(original));
    }
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
    if (const auto chat = TextBeside(model_, "chat_template.jinja")) {
      metadata_.Set("tokenizer.chat_template", *chat);
    }
  }

  const Model& model_;
  const Family& family_;
  HfConfig config_;
  Metadata metadata_;
};

std::string JsonText(std::string_view text) {
  std::string json;
  AppendJsonString(json, text);
  return json;
}

// What GGUF says of the model in the words of transformers, where the file
// does not have the config.json it came from.
std::string MakeConfigJson(const Model& model, const Family& family) {
  const Metadata& metadata = model.metadata();
  std::string json =
      fmt::format("{{\n  \"model_type\": {}", JsonText(family.model_type));
  const auto add = [&](const char* key, const std::string& value) {
    json += fmt::format(",\n  {}: {}", JsonText(key), value);
  };
  const auto find = [&](const char* name) {
    return metadata.Find(fmt::format("{}.{}", family.arch, name));
  };
  for (const NumberRow& row : kCounts) {
    if (std::string_view(row.gguf) == "attention.value_length") continue;
    const MetadataValue* value = find(row.gguf);
    if (value == nullptr || !value->Int()) continue;
    add(row.hf, fmt::format("{}", *value->Int()));
  }
  for (const NumberRow& row : kReals) {
    const MetadataValue* value = find(row.gguf);
    if (value == nullptr || !value->Real()) continue;
    add(row.hf, fmt::format("{}", static_cast<float>(*value->Real())));
  }
  const bool tied = model.Find("output.weight") == nullptr;
  add("tie_word_embeddings", tied ? "true" : "false");
  return json + "\n}\n";
}

std::string MakeTokenizerConfig(std::string_view chat_template) {
  return fmt::format("{{\n  \"chat_template\": {}\n}}\n",
                     JsonText(chat_template));
}

}  // namespace

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

// A frequency whose wave is longer than the context of the training is slowed
// by the whole factor, one much shorter not at all, and between the two in
// part.
std::optional<std::vector<float>> RopeFactors(const Model& model) {
  const HfConfig config(model);
  const std::optional<Json> scaling = config.Scaling();
  if (!scaling || HfConfig::ScalingType(*scaling) != "llama3") {
    return std::nullopt;
  }
  const double factor = config.ScalingNumber(*scaling, "factor");
  const double low = config.ScalingNumber(*scaling, "low_freq_factor");
  const double high = config.ScalingNumber(*scaling, "high_freq_factor");
  const double context =
      config.ScalingNumber(*scaling, "original_max_position_embeddings");
  const double base = config.Real("rope_theta").value_or(10000);
  const int64_t heads = config.Int("num_attention_heads").value_or(1);
  const int64_t dim = config.Int("head_dim")
                          .value_or(config.Int("hidden_size").value_or(0) /
                                    std::max<int64_t>(heads, 1));
  std::vector<float> factors;
  for (int64_t i = 0; i + 1 < dim; i += 2) {
    const double frequency = std::pow(base, -static_cast<double>(i) / dim);
    const double wave = 2 * std::numbers::pi / frequency;
    const double part = (context / wave - low) / (high - low);
    double value = 1 / ((1 - part) / factor + part);
    if (wave < context / high) value = 1;
    if (wave > context / low) value = factor;
    factors.push_back(static_cast<float>(value));
  }
  return factors;
}

std::vector<std::pair<std::string, std::string>> MakeHuggingFaceFiles(
    const Model& model, const Family& family) {
  const Metadata& metadata = model.metadata();
  std::vector<std::pair<std::string, std::string>> files;
  const auto config = metadata.Text(kConfigKey);
  files.emplace_back("config.json", config ? std::string(*config)
                                           : MakeConfigJson(model, family));
  if (const auto tokenizer = metadata.Text(kTokenizerKey)) {
    files.emplace_back("tokenizer.json", std::string(*tokenizer));
  }
  if (const auto chat = metadata.Text("tokenizer.chat_template")) {
    files.emplace_back("tokenizer_config.json", MakeTokenizerConfig(*chat));
  }
  return files;
}

}  // namespace tl
