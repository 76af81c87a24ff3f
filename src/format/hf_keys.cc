#include "format/hf_keys.h"

#include <array>

namespace tl {
namespace {

constexpr auto kCounts = std::to_array<HfKey>({
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

constexpr auto kReals = std::to_array<HfKey>({
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"rope_theta", "rope.freq_base"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
});

constexpr auto kGpt2Counts = std::to_array<HfKey>({
    {"n_layer", "block_count"},
    {"n_positions", "context_length"},
    {"n_embd", "embedding_length"},
    {"n_inner", "feed_forward_length"},
    {"n_head", "attention.head_count"},
    {"vocab_size", "vocab_size"},
});

constexpr auto kGpt2Reals = std::to_array<HfKey>({
    {"layer_norm_epsilon", "attention.layer_norm_epsilon"},
});

constexpr auto kBertReals = std::to_array<HfKey>({
    {"layer_norm_eps", "attention.layer_norm_epsilon"},
});

// On top of kCounts.
constexpr auto kPhi3Counts = std::to_array<HfKey>({
    {"original_max_position_embeddings",
     "rope.scaling.original_context_length"},
});

constexpr auto kMixtralCounts = std::to_array<HfKey>({
    {"num_local_experts", "expert_count"},
    {"num_experts_per_tok", "expert_used_count"},
});

constexpr auto kQwenMoeCounts = std::to_array<HfKey>({
    {"num_experts", "expert_count"},
    {"num_local_experts", "expert_count"},
    {"num_experts_per_tok", "expert_used_count"},
    {"moe_intermediate_size", "expert_feed_forward_length"},
    {"shared_expert_intermediate_size", "expert_shared_feed_forward_length"},
});

template <size_t N>
void Append(std::vector<HfKey>& keys, const std::array<HfKey, N>& more) {
  keys.insert(keys.end(), more.begin(), more.end());
}

}  // namespace

std::vector<HfKey> HfCounts(const Family& family) {
  std::vector<HfKey> keys(kCounts.begin(), kCounts.end());
  switch (family.naming) {
    case Naming::kTwoNorms:
    case Naming::kFourNorms:
    case Naming::kBert:
      break;
    case Naming::kFused:
      Append(keys, kPhi3Counts);
      break;
    case Naming::kGpt2:
      keys.assign(kGpt2Counts.begin(), kGpt2Counts.end());
      break;
    case Naming::kMixtral:
      Append(keys, kMixtralCounts);
      break;
    case Naming::kQwenMoe:
      Append(keys, kQwenMoeCounts);
      break;
  }
  return keys;
}

std::vector<HfKey> HfReals(const Family& family) {
  if (family.naming == Naming::kGpt2) {
    return {kGpt2Reals.begin(), kGpt2Reals.end()};
  }
  if (family.naming == Naming::kBert) {
    return {kBertReals.begin(), kBertReals.end()};
  }
  return {kReals.begin(), kReals.end()};
}

bool NormsExperts(const Family& family) {
  return family.model_type == "qwen3_moe";
}

}  // namespace tl
