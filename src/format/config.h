// The sizes and kind of a model under one set of names, whatever the format
// calls them: what `m.config` shows.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "format/model.h"

namespace tl {

// monostate: the model does not say. A list has a number for each layer, where
// they are not all the same.
using ConfigValue = std::variant<std::monostate, bool, int64_t, double,
                                 std::string, std::vector<int64_t>>;

struct ConfigField {
  std::string_view name;
  ConfigValue value;
};

inline constexpr std::array kConfigNames = std::to_array<std::string_view>(
    {"arch", "layers", "dim", "ffn", "heads", "kv_heads", "head_dim", "vocab",
     "context", "eps", "rope", "rope_local", "window", "windows", "attn_softcap",
     "logit_softcap", "query_scale", "attn_bias", "output_bias", "mlp_bias",
     "tied", "pooling"});

using ModelConfig = std::array<ConfigField, kConfigNames.size()>;

// From the metadata of a GGUF model; of another one from config.json beside it
// (the keys of Hugging Face transformers), or, without that, from metadata that
// came out of a GGUF model. Fails if config.json is not JSON.
ModelConfig ConfigOf(const Model& model);

// The number of this name; 0 where there is none, or one for each layer.
int64_t CountIn(const ModelConfig& config, std::string_view name);

}  // namespace tl
