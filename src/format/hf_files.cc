#include "format/hf_files.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "format/hf_chat_templates.h"
#include "format/hf_keys.h"
#include "format/hf_metadata.h"
#include "format/metadata_text.h"
#include "tensor/decode.h"

namespace tl {
namespace {

constexpr char kRopeFactors[] = "rope_freqs.weight";

// Python takes a number without a point for an integer, and transformers then
// refuses it.
template <class T>
std::string JsonReal(T number) {
  const std::string text = fmt::format("{}", number);
  const bool whole = text.find_first_of(".en") == std::string::npos;
  return whole ? text + ".0" : text;
}

// The keys of a model's own architecture.
class ArchitectureKeys {
 public:
  explicit ArchitectureKeys(const Model& model)
      : metadata_(model.metadata()),
        architecture_(metadata_.Text("general.architecture")
                          .value_or(std::string_view())) {}

  const MetadataValue* Find(std::string_view name) const {
    return metadata_.Find(fmt::format("{}.{}", architecture_, name));
  }
  std::optional<int64_t> Int(std::string_view name) const {
    const MetadataValue* value = Find(name);
    return value == nullptr ? std::nullopt : value->Int();
  }
  std::optional<float> Real(std::string_view name) const {
    const MetadataValue* value = Find(name);
    if (value == nullptr || !value->Real()) return std::nullopt;
    return static_cast<float>(*value->Real());
  }
  std::string Text(std::string_view name) const {
    const MetadataValue* value = Find(name);
    if (value == nullptr) return "";
    return std::string(value->Text().value_or(""));
  }

 private:
  const Metadata& metadata_;
  std::string_view architecture_;
};

RopeFrequencies FrequenciesOf(const ArchitectureKeys& keys) {
  RopeFrequencies frequencies;
  if (const auto base = keys.Real("rope.freq_base")) frequencies.base = *base;
  auto dim = keys.Int("rope.dimension_count");
  if (!dim) dim = keys.Int("attention.key_length");
  if (!dim) {
    dim = keys.Int("embedding_length").value_or(0) /
          std::max<int64_t>(keys.Int("attention.head_count").value_or(1), 1);
  }
  frequencies.dim = *dim;
  return frequencies;
}

// Of linear and yarn; "" without scaling.
std::string KeyedScalingJson(const Model& model, const ArchitectureKeys& keys) {
  const std::string type = keys.Text("rope.scaling.type");
  if (type.empty() || type == "none") return "";
  const auto factor = keys.Real("rope.scaling.factor");
  if ((type != "linear" && type != "yarn") || !factor) {
    Fail(ErrorKind::kInput,
         "{}: scales positions by {}, which cannot be said in config.json; "
         "known are linear and yarn with their factor",
         model.Label(), QuoteName(type));
  }
  std::string json = fmt::format("{{\"rope_type\": {}, \"factor\": {}",
                                 JsonText(type), JsonReal(*factor));
  if (const auto context = keys.Int("rope.scaling.original_context_length")) {
    json += fmt::format(", \"original_max_position_embeddings\": {}", *context);
  }
  return json + "}";
}

std::string RopeScalingJson(const Model& model, const ArchitectureKeys& keys) {
  for (const char* name :
       {"rope_factors_long.weight", "rope_factors_short.weight"}) {
    if (model.Find(name) == nullptr) continue;
    Fail(ErrorKind::kInput,
         "{}: scales positions by the tensor '{}', which cannot be said in a "
         "config.json of this architecture",
         model.Label(), name);
  }
  if (model.Find(kRopeFactors) == nullptr) return KeyedScalingJson(model, keys);
  const auto scaling = Llama3ScalingOf(model);
  if (!scaling) {
    Fail(ErrorKind::kInput,
         "{}: scales positions by the tensor '{}', whose factors are not those "
         "of Llama 3; nothing says what config.json should",
         model.Label(), kRopeFactors);
  }
  return ScalingJson(*scaling);
}

// Of a head, where it is not all of it.
std::optional<double> RotatedPart(const ArchitectureKeys& keys) {
  const auto rotated = keys.Int("rope.dimension_count");
  auto dim = keys.Int("attention.key_length");
  const auto width = keys.Int("embedding_length");
  const auto heads = keys.Int("attention.head_count");
  if (!dim && width && heads && *heads > 0) dim = *width / *heads;
  if (!rotated || !dim || *rotated <= 0 || *rotated >= *dim) {
    return std::nullopt;
  }
  return static_cast<double>(*rotated) / static_cast<double>(*dim);
}

std::optional<int64_t> VocabularyOf(const Model& model,
                                    const ArchitectureKeys& keys) {
  const TensorEntry* embedding = model.Find("token_embd.weight");
  if (embedding != nullptr && !embedding->shape.empty()) {
    return embedding->shape[0];
  }
  return keys.Int("vocab_size");
}

// What GGUF says of the model in the words of transformers, where the file
// does not have the config.json it came from.
std::string MakeConfigJson(const Model& model, const Family& family) {
  const Metadata& metadata = model.metadata();
  const ArchitectureKeys keys(model);
  std::string json = fmt::format(
      "{{\n  \"architectures\": [\n    {}\n  ],\n  \"model_type\": {}",
      JsonText(family.class_name), JsonText(family.model_type));
  const auto add = [&](const char* key, const std::string& value) {
    json += fmt::format(",\n  {}: {}", JsonText(key), value);
  };
  const auto add_count = [&](const char* key, std::optional<int64_t> count) {
    if (count) add(key, fmt::format("{}", *count));
  };
  std::set<std::string_view> written = {"vocab_size"};
  for (const HfKey& row : HfCounts(family)) {
    const auto count = keys.Int(row.gguf);
    if (!count || written.contains(row.hf) || written.contains(row.gguf)) {
      continue;
    }
    written.insert({row.hf, row.gguf});
    add_count(row.hf, count);
  }
  add_count("vocab_size", VocabularyOf(model, keys));
  for (const HfKey& row : HfReals(family)) {
    if (const auto real = keys.Real(row.gguf)) add(row.hf, JsonReal(*real));
  }
  if (const auto part = RotatedPart(keys)) {
    add("partial_rotary_factor", JsonReal(*part));
  }
  if (NormsExperts(family)) add("norm_topk_prob", "true");
  const std::string scaling = RopeScalingJson(model, keys);
  if (!scaling.empty()) add("rope_scaling", scaling);
  add_count("bos_token_id", metadata.Int("tokenizer.ggml.bos_token_id"));
  add_count("eos_token_id", metadata.Int("tokenizer.ggml.eos_token_id"));
  add_count("pad_token_id", metadata.Int("tokenizer.ggml.padding_token_id"));
  const bool tied = model.Find("output.weight") == nullptr;
  add("tie_word_embeddings", tied ? "true" : "false");
  return json + "\n}\n";
}

}  // namespace

std::optional<Llama3Scaling> Llama3ScalingOf(const Model& model) {
  const TensorEntry* entry = model.Find(kRopeFactors);
  if (entry == nullptr || !entry->dtype || !IsComputable(*entry->dtype)) {
    return std::nullopt;
  }
  std::vector<float> factors(entry->elements);
  Decode(*entry->dtype, entry->stored(), factors);
  return FindLlama3Scaling(factors, FrequenciesOf(ArchitectureKeys(model)));
}

std::string ScalingJson(const Llama3Scaling& scaling) {
  return fmt::format(
      "{{\"rope_type\": \"llama3\", \"factor\": {}, \"low_freq_factor\": {}, "
      "\"high_freq_factor\": {}, \"original_max_position_embeddings\": {}}}",
      JsonReal(scaling.factor), JsonReal(scaling.low_freq_factor),
      JsonReal(scaling.high_freq_factor), scaling.context);
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
  if (std::string config = MakeTokenizerConfig(metadata); !config.empty()) {
    files.emplace_back("tokenizer_config.json", std::move(config));
  }
  return files;
}

}  // namespace tl
