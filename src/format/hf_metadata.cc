#include "format/hf_metadata.h"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/error.h"
#include "format/config.h"
#include "format/hf_keys.h"
#include "format/hf_tokenizer.h"
#include "format/rope_factors.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using Json = simdjson::dom::element;

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

  std::optional<bool> Bool(const char* key) const {
    bool flag;
    if (root_[key].get(flag) != simdjson::SUCCESS) return std::nullopt;
    return flag;
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
    for (const HfKey& row : HfCounts(family_)) {
      if (const auto count = config_.Int(row.hf)) SetCount(row.gguf, *count);
    }
    for (const HfKey& row : HfReals(family_)) {
      if (const auto real = config_.Real(row.hf)) {
        metadata_.Set(Key(row.gguf),
                      MetadataValue::Of(static_cast<float>(*real)));
      }
    }
    if (family_.naming == Naming::kGpt2) return AddGpt2Width();
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
    return static_cast<int64_t>(static_cast<double>(*head_dim) * *part);
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

  void AddScaling() {
    const std::optional<Json> scaling = config_.Scaling();
    if (!scaling) return;
    const std::string type = HfConfig::ScalingType(*scaling);
    if (type == "llama3") return;  // RopeFactorsOf
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

}  // namespace

std::string ModelTypeOf(const Model& model) {
  const std::optional<std::string> text = model.ConfigJson();
  simdjson::dom::parser parser;
  Json root;
  std::string_view type;
  if (!text || parser.parse(*text).get(root) != simdjson::SUCCESS ||
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

std::optional<std::vector<float>> RopeFactorsOf(const Model& model) {
  const HfConfig config(model);
  const std::optional<Json> scaling = config.Scaling();
  if (!scaling || HfConfig::ScalingType(*scaling) != "llama3") {
    return std::nullopt;
  }
  Llama3Scaling numbers;
  numbers.factor = config.ScalingNumber(*scaling, "factor");
  numbers.low_freq_factor = config.ScalingNumber(*scaling, "low_freq_factor");
  numbers.high_freq_factor = config.ScalingNumber(*scaling, "high_freq_factor");
  numbers.context =
      config.ScalingNumber(*scaling, "original_max_position_embeddings");
  const double base = config.Real("rope_theta").value_or(10000);
  const int64_t heads = config.Int("num_attention_heads").value_or(1);
  const int64_t dim = config.Int("head_dim")
                          .value_or(config.Int("hidden_size").value_or(0) /
                                    std::max<int64_t>(heads, 1));
  return RopeFactors(numbers, {.base = base, .dim = dim});
}

}  // namespace tl
