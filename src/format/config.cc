#include "format/config.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "format/json.h"
#include "format/pooling.h"

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
    {"rope_local", {"rope_local_base_freq"}, {"rope.freq_base_swa"}},
    {"window", {"sliding_window"}, {"attention.sliding_window"}},
    {"windows", {}, {}},
    {"attn_softcap", {"attn_logit_softcapping"}, {"attn_logit_softcapping"}},
    {"logit_softcap", {"final_logit_softcapping"}, {"final_logit_softcapping"}},
    {"query_scale", {}, {"attention.scale"}},
    {"attn_bias", {"attention_bias"}, {}},
    {"output_bias", {"attention_bias"}, {}},
    {"mlp_bias", {"mlp_bias"}, {}},
    {"tied", {"tie_word_embeddings"}, {}},
    {"pooling", {}, {}},
};

constexpr std::string_view kArchitecture = "general.architecture";
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";

// The names of these two tensors in GGUF and in Hugging Face's models.
constexpr std::string_view kEmbeddings[] = {"token_embd.weight",
                                            "model.embed_tokens.weight"};
constexpr std::string_view kOutputs[] = {"output.weight", "lm_head.weight"};
constexpr std::string_view kQueryBiases[] = {
    "blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias"};
constexpr std::string_view kOutputBiases[] = {
    "blk.0.attn_output.bias", "model.layers.0.self_attn.o_proj.bias"};
constexpr std::string_view kMlpBiases[] = {
    "blk.0.ffn_up.bias", "model.layers.0.mlp.up_proj.bias"};

// A list for each layer: far more than any model has.
constexpr int64_t kMostLayers = 1 << 16;

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

std::string ArchIn(const ModelConfig& config) {
  const auto* arch = std::get_if<std::string>(&config.front().value);
  return arch != nullptr ? *arch : "";
}

// Only some layers of Gemma 2 and 3 have the window, as their architecture says
// where the model itself does not.
int64_t PeriodOf(std::string_view arch) {
  if (arch == "gemma2") return 2;
  return arch.starts_with("gemma3") ? 6 : 0;
}

// Which layers attend to the last `window` positions only.
struct LocalLayers {
  std::vector<bool> local;  // one for each layer, where the model says so
  int64_t period = 0;       // or every layer but each one of so many
  int64_t first = 0;        // or all from this one on

  bool operator()(int64_t layer) const {
    if (!local.empty()) {
      return layer < static_cast<int64_t>(local.size()) && local[layer];
    }
    if (period > 0) return (layer + 1) % period != 0;
    return layer >= first;
  }
};

void SetWindows(const LocalLayers& local, ModelConfig& config) {
  const int64_t layers = CountIn(config, "layers");
  if (layers < 1 || layers > kMostLayers) return;
  const int64_t window = std::max<int64_t>(CountIn(config, "window"), 0);
  std::vector<int64_t> windows;
  for (int64_t i = 0; i < layers; ++i) {
    windows.push_back(local(i) ? window : 0);
  }
  FieldOf(config, "windows").value = std::move(windows);
}

// The 27B models of Gemma 2 and 3 scale by the width of a layer for each head,
// which is not what a head has; GGUF says it by the number of layers alone.
void DeriveQueryScale(ModelConfig& config) {
  const int64_t layers = CountIn(config, "layers");
  const std::string arch = ArchIn(config);
  const bool wide =
      (arch == "gemma2" && layers == 46) || (arch == "gemma3" && layers == 62);
  const double width =
      wide ? double(CountIn(config, "dim")) / double(CountIn(config, "heads"))
           : double(CountIn(config, "head_dim"));
  if (width > 0) SetIfAbsent(config, "query_scale", 1 / std::sqrt(width));
}

// Both leave these out where they follow from others.
void Derive(ModelConfig& config) {
  if (ArchIn(config).starts_with("qwen2")) {
    FieldOf(config, "attn_bias").value = true;
    FieldOf(config, "output_bias").value = false;
  }
  const int64_t* heads = FindInt(config, "heads");
  const int64_t* dim = FindInt(config, "dim");
  if (!heads) return;
  SetIfAbsent(config, "kv_heads", *heads);
  if (dim && *heads > 0 && *dim % *heads == 0) {
    SetIfAbsent(config, "head_dim", *dim / *heads);
  }
  if (*heads > 0) DeriveQueryScale(config);
}

ConfigValue ValueOf(const Json& json) {
  if (json.is_bool()) return bool(json);
  if (json.is_int64()) return int64_t(json);
  if (json.is_number()) return double(json);
  if (json.is_string()) return std::string(std::string_view(json));
  return {};
}

// transformers never reads the window that some files of these have.
bool HasNoWindow(std::string_view model_type) {
  static constexpr std::string_view kNames[] = {"llama", "gemma", "gpt2",
                                                "bert"};
  return std::ranges::find(kNames, model_type) != std::end(kNames);
}

// Qwen has a window only where it says so, and from some layer on.
LocalLayers ReadWindows(simdjson::dom::object json, ModelConfig& config) {
  const std::string arch = ArchIn(config);
  LocalLayers local;
  bool used = !arch.starts_with("qwen");
  [[maybe_unused]] const auto error = json["use_sliding_window"].get(used);
  if (!used || HasNoWindow(arch)) FieldOf(config, "window").value = {};
  simdjson::dom::array types;
  if (json["layer_types"].get(types) == simdjson::SUCCESS) {
    for (Json type : types) {
      std::string_view name;
      local.local.push_back(type.get(name) == simdjson::SUCCESS &&
                            name == "sliding_attention");
    }
    return local;
  }
  local.period = PeriodOf(arch);
  for (const char* key :
       {"sliding_window_pattern", "_sliding_window_pattern"}) {
    int64_t period;
    if (json[key].get(period) == simdjson::SUCCESS) local.period = period;
  }
  int64_t first;
  if (arch.starts_with("qwen") &&
      json["max_window_layers"].get(first) == simdjson::SUCCESS) {
    local.first = first;
  }
  return local;
}

void ReadJson(const Model& model, const std::string& text,
              ModelConfig& config) {
  simdjson::dom::parser parser;
  simdjson::dom::object json;
  if (ParseJson(parser, text).get(json) != simdjson::SUCCESS) {
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
  double width;
  if (json["query_pre_attn_scalar"].get(width) == simdjson::SUCCESS &&
      width > 0) {
    FieldOf(config, "query_scale").value = 1 / std::sqrt(width);
  }
  SetWindows(ReadWindows(json, config), config);
  if (auto pooling = PoolingBeside(model)) {
    FieldOf(config, "pooling").value = std::move(*pooling);
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
template <size_t N>
bool HasAny(const Model& model, const std::string_view (&names)[N]) {
  return std::ranges::any_of(names, [&](std::string_view name) {
    return model.Find(name) != nullptr;
  });
}

void ReadTensors(const Model& model, ModelConfig& config) {
  const TensorEntry* embedding = nullptr;
  for (std::string_view name : kEmbeddings) {
    if (embedding == nullptr) embedding = model.Find(name);
  }
  if (embedding != nullptr && embedding->shape.size() == 2) {
    SetIfAbsent(config, "vocab", embedding->shape[0]);
    SetIfAbsent(config, "tied", !HasAny(model, kOutputs));
    SetIfAbsent(config, "attn_bias", HasAny(model, kQueryBiases));
    SetIfAbsent(config, "output_bias", HasAny(model, kOutputBiases));
    SetIfAbsent(config, "mlp_bias", HasAny(model, kMlpBiases));
  }
}

LocalLayers WindowsIn(const Metadata& metadata, std::string_view architecture) {
  LocalLayers local;
  local.period = PeriodOf(architecture);
  const MetadataValue* pattern = metadata.Find(
      fmt::format("{}.attention.sliding_window_pattern", architecture));
  if (pattern == nullptr) return local;
  if (!pattern->is_array()) {
    local.period = pattern->Int().value_or(local.period);
    return local;
  }
  for (MetadataItem item : pattern->array()) {
    local.local.push_back(item.Bool().value_or(item.Int().value_or(0) != 0));
  }
  return local;
}

// 0 is of a model whose vectors are those of its positions.
ConfigValue PoolingIn(const Metadata& metadata, std::string_view architecture) {
  const auto number =
      metadata.Int(fmt::format("{}.pooling_type", architecture));
  if (!number || *number == 0) return {};
  const auto word = PoolingOfGguf(*number);
  return word ? std::string(*word) : fmt::format("{}", *number);
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
  SetWindows(WindowsIn(metadata, architecture), config);
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
    ReadTensors(model, config);
  } else if (architecture) {
    ReadMetadata(model, *architecture, config);
  } else {
    return config;
  }
  // config.json does not say it; what came out of GGUF still does.
  if (architecture) {
    SetIfAbsent(config, "pooling", PoolingIn(model.metadata(), *architecture));
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
