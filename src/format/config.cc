#include "format/config.h"

#include <simdjson.h>

#include <algorithm>

#include "base/error.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;

// What each field is called elsewhere, the usual name first. GGUF's keys come
// after the name of the architecture.
struct Source {
  std::string_view name;
  std::vector<const char*> json;
  std::vector<const char*> gguf;
};

const Source kSources[] = {
    {"arch", {"model_type"}, {}},
    {"layers", {"num_hidden_layers", "n_layer"}, {"block_count"}},
    {"dim", {"hidden_size", "n_embd"}, {"embedding_length"}},
    {"ffn", {"intermediate_size", "n_inner"}, {"feed_forward_length"}},
    {"heads", {"num_attention_heads", "n_head"}, {"attention.head_count"}},
    {"kv_heads", {"num_key_value_heads"}, {"attention.head_count_kv"}},
    {"head_dim", {"head_dim"}, {"attention.key_length"}},
    {"vocab", {"vocab_size"}, {"vocab_size"}},
    {"context", {"max_position_embeddings", "n_positions"}, {"context_length"}},
    {"eps",
     {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"},
     {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"}},
    {"rope", {"rope_theta"}, {"rope.freq_base"}},
    {"window", {"sliding_window"}, {"attention.sliding_window"}},
    {"attn_softcap", {"attn_logit_softcapping"}, {"attn_logit_softcapping"}},
    {"logit_softcap", {"final_logit_softcapping"}, {"final_logit_softcapping"}},
    {"tied", {"tie_word_embeddings"}, {}},
};

constexpr std::string_view kArchitecture = "general.architecture";
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";

// The names of these two tensors in GGUF and in Hugging Face's models.
constexpr std::string_view kEmbeddings[] = {"token_embd.weight",
                                            "model.embed_tokens.weight"};
constexpr std::string_view kOutputs[] = {"output.weight", "lm_head.weight"};

ConfigField& FieldOf(ModelConfig& config, std::string_view name) {
  return *std::find_if(
      config.begin(), config.end(),
      [name](const ConfigField& field) { return field.name == name; });
}

const int64_t* FindInt(ModelConfig& config, std::string_view name) {
  return std::get_if<int64_t>(&FieldOf(config, name).value);
}

void SetIfAbsent(ModelConfig& config, std::string_view name,
                 ConfigValue value) {
  ConfigField& field = FieldOf(config, name);
  if (std::holds_alternative<std::monostate>(field.value)) {
    field.value = std::move(value);
  }
}

// Both leave these out where they follow from others.
void Derive(ModelConfig& config) {
  const int64_t* heads = FindInt(config, "heads");
  const int64_t* dim = FindInt(config, "dim");
  if (!heads) return;
  SetIfAbsent(config, "kv_heads", *heads);
  if (dim && *heads > 0 && *dim % *heads == 0) {
    SetIfAbsent(config, "head_dim", *dim / *heads);
  }
}

ConfigValue ValueOf(const Json& json) {
  if (json.is_bool()) return bool(json);
  if (json.is_int64()) return int64_t(json);
  if (json.is_number()) return double(json);
  if (json.is_string()) return std::string(std::string_view(json));
  return {};
}

void ReadJson(const Model& model, const std::string& text,
              ModelConfig& config) {
  simdjson::dom::parser parser;
  simdjson::dom::object json;
  if (parser.parse(text).get(json) != simdjson::SUCCESS) {
    Fail(ErrorKind::kInput, "{}: its config.json is not a JSON object",
         model.Label());
  }
  for (size_t i = 0; i < config.size(); ++i) {
    for (const char* key : kSources[i].json) {
      Json found;
      if (json[key].get(found) != simdjson::SUCCESS) continue;
      config[i].value = ValueOf(found);
      break;
    }
  }
}

// An array has a number for each layer: one number if all are the same.
ConfigValue ValueOf(const MetadataArray& array) {
  std::vector<int64_t> numbers;
  for (MetadataItem item : array) {
    const std::optional<int64_t> number = item.Int();
    if (!number) return {};
    numbers.push_back(*number);
  }
  if (numbers.empty()) return {};
  const bool same = std::count(numbers.begin(), numbers.end(), numbers[0]) ==
                    static_cast<int64_t>(numbers.size());
  if (same) return numbers[0];
  return numbers;
}

ConfigValue ValueOf(const MetadataValue& value) {
  if (value.is_array()) return ValueOf(value.array());
  if (const auto integer = value.Int()) return *integer;
  if (const auto real = value.Real()) return *real;
  if (const auto flag = value.Bool()) return *flag;
  return std::string(*value.Text());
}

// What the tensors say.
void ReadTensors(const Model& model, ModelConfig& config) {
  const TensorEntry* embedding = nullptr;
  bool output = false;
  for (std::string_view name : kEmbeddings) {
    if (embedding == nullptr) embedding = model.Find(name);
  }
  for (std::string_view name : kOutputs) output |= model.Find(name) != nullptr;
  if (embedding != nullptr && embedding->shape.size() == 2) {
    SetIfAbsent(config, "vocab", embedding->shape[0]);
    SetIfAbsent(config, "tied", !output);
  }
}

void ReadMetadata(const Model& model, std::string_view architecture,
                  ModelConfig& config) {
  const Metadata& metadata = model.metadata();
  FieldOf(config, "arch").value = std::string(architecture);
  for (size_t i = 0; i < config.size(); ++i) {
    for (const char* key : kSources[i].gguf) {
      const MetadataValue* found =
          metadata.Find(fmt::format("{}.{}", architecture, key));
      if (found == nullptr) continue;
      config[i].value = ValueOf(*found);
      break;
    }
  }
  ReadTensors(model, config);
  const MetadataValue* tokens = metadata.Find(kTokens);
  if (tokens != nullptr && tokens->is_array()) {
    SetIfAbsent(config, "vocab", tokens->array().size());
  }
}

}  // namespace

ModelConfig ConfigOf(const Model& model) {
  ModelConfig config;
  for (size_t i = 0; i < config.size(); ++i) config[i].name = kConfigNames[i];
  const auto architecture = model.metadata().Text(kArchitecture);
  const bool gguf = architecture && model.format() == "GGUF";
  const std::optional<std::string> text =
      gguf ? std::nullopt : model.ConfigJson();
  if (text) {
    ReadJson(model, *text, config);
  } else if (architecture) {
    ReadMetadata(model, *architecture, config);
  } else {
    return config;
  }
  Derive(config);
  return config;
}

int64_t CountIn(const ModelConfig& config, std::string_view name) {
  for (const ConfigField& field : config) {
    const int64_t* value = std::get_if<int64_t>(&field.value);
    if (field.name == name && value != nullptr) return *value;
  }
  return 0;
}

}  // namespace tl
