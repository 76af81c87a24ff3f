#include "format/config.h"

#include <simdjson.h>

#include "base/error.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;

// What config.json may call each field, the usual name first.
struct Source {
  std::string_view name;
  std::initializer_list<const char*> keys;
};

const Source kSources[] = {
    {"arch", {"model_type"}},
    {"layers", {"num_hidden_layers", "n_layer"}},
    {"dim", {"hidden_size", "n_embd"}},
    {"ffn", {"intermediate_size", "n_inner"}},
    {"heads", {"num_attention_heads", "n_head"}},
    {"kv_heads", {"num_key_value_heads"}},
    {"head_dim", {"head_dim"}},
    {"vocab", {"vocab_size"}},
    {"context", {"max_position_embeddings", "n_positions"}},
    {"eps", {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"}},
    {"rope", {"rope_theta"}},
    {"window", {"sliding_window"}},
    {"attn_softcap", {"attn_logit_softcapping"}},
    {"logit_softcap", {"final_logit_softcapping"}},
    {"tied", {"tie_word_embeddings"}},
};

ConfigValue ValueOf(const Json& json) {
  if (json.is_bool()) return bool(json);
  if (json.is_int64()) return int64_t(json);
  if (json.is_number()) return double(json);
  if (json.is_string()) return std::string(std::string_view(json));
  return {};
}

int64_t* FindInt(ModelConfig& config, std::string_view name) {
  for (ConfigField& field : config) {
    if (field.name == name) return std::get_if<int64_t>(&field.value);
  }
  return nullptr;
}

void SetIfAbsent(ModelConfig& config, std::string_view name, int64_t value) {
  for (ConfigField& field : config) {
    const bool absent = std::holds_alternative<std::monostate>(field.value);
    if (field.name == name && absent) field.value = value;
  }
}

// transformers leaves these out where they follow from others.
void Derive(ModelConfig& config) {
  const int64_t* heads = FindInt(config, "heads");
  const int64_t* dim = FindInt(config, "dim");
  if (!heads) return;
  SetIfAbsent(config, "kv_heads", *heads);
  if (dim && *heads > 0 && *dim % *heads == 0) {
    SetIfAbsent(config, "head_dim", *dim / *heads);
  }
}

}  // namespace

ModelConfig ConfigOf(const Model& model) {
  ModelConfig config;
  for (size_t i = 0; i < config.size(); ++i) config[i].name = kConfigNames[i];
  const std::optional<std::string> text = model.ConfigJson();
  if (!text) return config;
  simdjson::dom::parser parser;
  simdjson::dom::object json;
  if (parser.parse(*text).get(json) != simdjson::SUCCESS) {
    Fail(ErrorKind::kInput, "{}: its config.json is not a JSON object",
         model.Label());
  }
  for (size_t i = 0; i < config.size(); ++i) {
    for (const char* key : kSources[i].keys) {
      Json found;
      if (json[key].get(found) != simdjson::SUCCESS) continue;
      config[i].value = ValueOf(found);
      break;
    }
  }
  Derive(config);
  return config;
}

}  // namespace tl
