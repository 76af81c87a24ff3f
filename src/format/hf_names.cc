#include "format/hf_names.h"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace tl {
namespace {

constexpr auto kFamilies = std::to_array<Family>({
    {"llama", "llama", true, false, false, "LlamaForCausalLM"},
    {"mistral", "llama", true, false, false, "MistralForCausalLM"},
    {"qwen2", "qwen2", false, false, false, "Qwen2ForCausalLM"},
    {"qwen3", "qwen3", false, false, false, "Qwen3ForCausalLM"},
    {"gemma", "gemma", false, true, false, "GemmaForCausalLM"},
    {"gemma2", "gemma2", false, true, true, "Gemma2ForCausalLM"},
    {"gemma3_text", "gemma3", false, true, true, "Gemma3ForCausalLM"},
});

// Granite's multipliers and Nemotron's partial rotation have keys of their own.
constexpr auto kTensorsOnly = std::to_array<Family>({
    {"granite", "granite", true, false, false},
    {"nemotron", "nemotron", false, true, false},
});

struct NameRow {
  std::string_view gguf;
  std::string_view hf;
};

constexpr auto kWhole = std::to_array<NameRow>({
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
});

// Behind "blk.N." and "model.layers.N.".
constexpr auto kInLayer = std::to_array<NameRow>({
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
});

constexpr auto kTwoNorms = std::to_array<NameRow>({
    {"ffn_norm", "post_attention_layernorm"},
});

constexpr auto kFourNorms = std::to_array<NameRow>({
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
});

constexpr std::string_view kGgufLayer = "blk.";
constexpr std::string_view kHfLayer = "model.layers.";

std::vector<NameRow> LayerRows(const Family& family) {
  std::vector<NameRow> rows(kInLayer.begin(), kInLayer.end());
  if (family.four_norms) {
    rows.insert(rows.end(), kFourNorms.begin(), kFourNorms.end());
  } else {
    rows.insert(rows.end(), kTwoNorms.begin(), kTwoNorms.end());
  }
  return rows;
}

// "blk.12.attn_q.weight" is {"blk.", "12", "attn_q", ".weight"}.
struct Parts {
  std::string_view layer;  // "" outside the layers
  std::string_view name;
  std::string_view kind;
};

std::optional<Parts> Take(std::string_view name, std::string_view layers) {
  Parts parts;
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  parts.kind = name.substr(dot);
  if (parts.kind != ".weight" && parts.kind != ".bias") return std::nullopt;
  name = name.substr(0, dot);
  if (name.starts_with(layers)) {
    name.remove_prefix(layers.size());
    const size_t end = name.find_first_not_of("0123456789");
    if (end == 0 || end == std::string_view::npos || name[end] != '.') {
      return std::nullopt;
    }
    parts.layer = name.substr(0, end);
    name.remove_prefix(end + 1);
  }
  parts.name = name;
  return parts;
}

std::string Join(const Parts& parts, std::string_view layers,
                 std::string_view name) {
  if (parts.layer.empty()) return fmt::format("{}{}", name, parts.kind);
  return fmt::format("{}{}.{}{}", layers, parts.layer, name, parts.kind);
}

template <class Rows>
const NameRow* FindRow(const Rows& rows, std::string_view NameRow::*side,
                       std::string_view name) {
  for (const NameRow& row : rows) {
    if (row.*side == name) return &row;
  }
  return nullptr;
}

enum class Direction { kToGguf, kToHf };

RowChange ChangeOf(const Family& family, std::string_view gguf_name,
                   std::string_view kind, Direction direction, int64_t heads,
                   int64_t kv_heads) {
  RowChange change;
  const bool to_gguf = direction == Direction::kToGguf;
  if (family.paired_rows && (gguf_name == "attn_q" || gguf_name == "attn_k")) {
    change.heads = gguf_name == "attn_q" ? heads : kv_heads;
    change.to_pairs = to_gguf;
  }
  if (family.norms_plus_1 && gguf_name.ends_with("norm") && kind == ".weight") {
    change.add = to_gguf ? 1 : -1;
  }
  return change;
}

std::optional<Renamed> Rename(const Family& family, std::string_view name,
                              Direction direction, int64_t heads,
                              int64_t kv_heads) {
  const bool to_gguf = direction == Direction::kToGguf;
  const std::optional<Parts> parts =
      Take(name, to_gguf ? kHfLayer : kGgufLayer);
  if (!parts) return std::nullopt;
  const auto from = to_gguf ? &NameRow::hf : &NameRow::gguf;
  const std::vector<NameRow> rows = LayerRows(family);
  const NameRow* row = parts->layer.empty() ? FindRow(kWhole, from, parts->name)
                                            : FindRow(rows, from, parts->name);
  if (row == nullptr) return std::nullopt;
  return Renamed{
      Join(*parts, to_gguf ? kGgufLayer : kHfLayer,
           to_gguf ? row->gguf : row->hf),
      ChangeOf(family, row->gguf, parts->kind, direction, heads, kv_heads)};
}

}  // namespace

const Family* FamilyOfModelType(std::string_view model_type) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return &family;
  }
  return nullptr;
}

const Family* FamilyOfArchitecture(std::string_view arch) {
  for (const Family& family : kFamilies) {
    if (family.arch == arch) return &family;
  }
  return nullptr;
}

const Family* TensorFamilyOf(std::string_view arch) {
  for (const Family& family : kTensorsOnly) {
    if (family.arch == arch) return &family;
  }
  return FamilyOfArchitecture(arch);
}

std::string FamilyNames() {
  std::string names;
  for (const Family& family : kFamilies) {
    names += names.empty() ? "" : ", ";
    names += family.model_type;
  }
  return names;
}

bool IsOnlyInGguf(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" ||
         name == "rope_factors_short.weight";
}

std::optional<Renamed> ToGgufName(const Family& family, std::string_view name,
                                  int64_t heads, int64_t kv_heads) {
  return Rename(family, name, Direction::kToGguf, heads, kv_heads);
}

std::optional<Renamed> ToHuggingFaceName(const Family& family,
                                         std::string_view name, int64_t heads,
                                         int64_t kv_heads) {
  return Rename(family, name, Direction::kToHf, heads, kv_heads);
}

}  // namespace tl
