// What config.json of transformers and the metadata of GGUF call the same
// numbers. hf_metadata.cc goes one way, hf_files.cc the other.
#pragma once

#include <array>

namespace tl {

struct HfKey {
  const char* hf;
  const char* gguf;  // after the architecture
};

inline constexpr auto kHfCounts = std::to_array<HfKey>({
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

inline constexpr auto kHfReals = std::to_array<HfKey>({
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"rope_theta", "rope.freq_base"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
});

}  // namespace tl
