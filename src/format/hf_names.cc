#include "format/hf_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <span>
#include <vector>

namespace tl {
namespace {

constexpr auto kFamilies = std::to_array<Family>({
    {.model_type = "llama",
     .arch = "llama",
     .class_name = "LlamaForCausalLM",
     .paired_rows = true},
    {.model_type = "mistral",
     .arch = "llama",
     .class_name = "MistralForCausalLM",
     .paired_rows = true},
    {.model_type = "mixtral",
     .arch = "llama",
     .class_name = "MixtralForCausalLM",
     .naming = Naming::kMixtral,
     .paired_rows = true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM"},
    {"qwen2_moe", "qwen2moe", "Qwen2MoeForCausalLM", Naming::kQwenMoe},
    {"qwen3", "qwen3", "Qwen3ForCausalLM"},
    {"qwen3_moe", "qwen3moe", "Qwen3MoeForCausalLM", Naming::kQwenMoe},
    {.model_type = "gemma",
     .arch = "gemma",
     .class_name = "GemmaForCausalLM",
     .norms_plus_1 = true},
    {.model_type = "gemma2",
     .arch = "gemma2",
     .class_name = "Gemma2ForCausalLM",
     .naming = Naming::kFourNorms,
     .norms_plus_1 = true},
    {.model_type = "gemma3_text",
     .arch = "gemma3",
     .class_name = "Gemma3ForCausalLM",
     .naming = Naming::kFourNorms,
     .norms_plus_1 = true},
    {"phi3", "phi3", "Phi3ForCausalLM", Naming::kFused},
    {"gpt2", "gpt2", "GPT2LMHeadModel", Naming::kGpt2},
    {"bert", "bert", "BertModel", Naming::kBert},
});

// Granite's multipliers and Nemotron's partial rotation have keys of their own.
constexpr auto kTensorsOnly = std::to_array<Family>({
    {.model_type = "granite", .arch = "granite", .paired_rows = true},
    {.model_type = "nemotron", .arch = "nemotron", .norms_plus_1 = true},
});

enum class Kind {
  kPlain,
  kTransposed,  // its matrix, not its bias
  kExperts,     // one tensor for each in Hugging Face's layout
};

struct NameRow {
  std::string_view gguf;
  std::string_view hf;  // "*" is the number of the expert
  Kind kind = Kind::kPlain;
};

constexpr auto kWhole = std::to_array<NameRow>({
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
});

constexpr auto kWholeGpt2 = std::to_array<NameRow>({
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
});

// The pooler is half of what GGUF calls a classifier.
constexpr auto kWholeBert = std::to_array<NameRow>({
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"cls", "pooler.dense"},
});

// Behind the number of the layer.
constexpr auto kMostLayers = std::to_array<NameRow>({
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

constexpr auto kFusedLayers = std::to_array<NameRow>({
    {"attn_norm", "input_layernorm"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_up", "mlp.gate_up_proj"},
    {"ffn_down", "mlp.down_proj"},
});

constexpr auto kGpt2Layers = std::to_array<NameRow>({
    {"attn_norm", "ln_1"},
    {"attn_qkv", "attn.c_attn", Kind::kTransposed},
    {"attn_output", "attn.c_proj", Kind::kTransposed},
    {"ffn_norm", "ln_2"},
    {"ffn_up", "mlp.c_fc", Kind::kTransposed},
    {"ffn_down", "mlp.c_proj", Kind::kTransposed},
});

constexpr auto kBertLayers = std::to_array<NameRow>({
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
});

constexpr auto kMixtralExperts = std::to_array<NameRow>({
    {"ffn_gate_inp", "block_sparse_moe.gate"},
    {"ffn_gate_exps", "block_sparse_moe.experts.*.w1", Kind::kExperts},
    {"ffn_down_exps", "block_sparse_moe.experts.*.w2", Kind::kExperts},
    {"ffn_up_exps", "block_sparse_moe.experts.*.w3", Kind::kExperts},
});

constexpr auto kQwenExperts = std::to_array<NameRow>({
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.*.gate_proj", Kind::kExperts},
    {"ffn_down_exps", "mlp.experts.*.down_proj", Kind::kExperts},
    {"ffn_up_exps", "mlp.experts.*.up_proj", Kind::kExperts},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
});

using Rows = std::span<const NameRow>;

constexpr std::string_view kGgufLayer = "blk.";
constexpr std::string_view kGpt2Prefix = "transformer.";
constexpr std::string_view kBertPrefix = "bert.";

// The tables of a family; where a name is in several, the first counts.
std::vector<Rows> LayerRows(Naming naming) {
  switch (naming) {
    case Naming::kTwoNorms:
      return {kMostLayers, kTwoNorms};
    case Naming::kFourNorms:
      return {kMostLayers, kFourNorms};
    case Naming::kFused:
      return {kFusedLayers};
    case Naming::kGpt2:
      return {kGpt2Layers};
    case Naming::kBert:
      return {kBertLayers};
    case Naming::kMixtral:
      return {kMostLayers, kTwoNorms, kMixtralExperts};
    case Naming::kQwenMoe:
      return {kMostLayers, kTwoNorms, kQwenExperts};
  }
  return {};
}

Rows WholeRows(Naming naming) {
  if (naming == Naming::kBert) return kWholeBert;
  return naming == Naming::kGpt2 ? Rows(kWholeGpt2) : Rows(kWhole);
}

std::string_view HfLayer(Naming naming) {
  if (naming == Naming::kBert) return "encoder.layer.";
  return naming == Naming::kGpt2 ? "transformer.h." : "model.layers.";
}

// "blk.12.attn_q.weight" is {"12", "attn_q", ".weight"}.
struct Parts {
  std::string_view layer;  // "" outside the layers
  std::string_view name;
  std::string_view kind;
};

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<Parts> Take(std::string_view name, std::string_view layers) {
  Parts parts;
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  parts.kind = name.substr(dot);
  if (parts.kind != ".weight" && parts.kind != ".bias") return std::nullopt;
  name = name.substr(0, dot);
  if (name.starts_with(layers)) {
    name.remove_prefix(layers.size());
    parts.layer = name.substr(0, name.find('.'));
    if (!IsNumber(parts.layer) || parts.layer == name) return std::nullopt;
    name.remove_prefix(parts.layer.size() + 1);
  }
  parts.name = name;
  return parts;
}

std::string Join(const Parts& parts, std::string_view layers,
                 std::string_view name) {
  if (parts.layer.empty()) return fmt::format("{}{}", name, parts.kind);
  return fmt::format("{}{}.{}{}", layers, parts.layer, name, parts.kind);
}

// "mlp.experts.*.w1" around the star.
struct Pattern {
  explicit Pattern(std::string_view text)
      : before(text.substr(0, text.find('*'))),
        after(text.substr(text.find('*') + 1)) {}

  std::string Fill(int64_t number) const {
    return fmt::format("{}{}{}", before, number, after);
  }
  std::optional<int64_t> Match(std::string_view name) const {
    if (name.size() <= before.size() + after.size() ||
        !name.starts_with(before) || !name.ends_with(after)) {
      return std::nullopt;
    }
    const std::string_view digits =
        name.substr(before.size(), name.size() - before.size() - after.size());
    int64_t number = 0;
    const auto parsed =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (!IsNumber(digits) || parsed.ec != std::errc()) return std::nullopt;
    return number;
  }

  std::string_view before;
  std::string_view after;
};

RowChange ChangeToGguf(const Family& family, const NameRow& row,
                       std::string_view kind, const HeadCounts& heads) {
  RowChange change;
  if (family.paired_rows && (row.gguf == "attn_q" || row.gguf == "attn_k")) {
    change.heads = row.gguf == "attn_q" ? heads.heads : heads.kv_heads;
    change.to_pairs = true;
  }
  const bool weight = kind == ".weight";
  if (family.norms_plus_1 && row.gguf.ends_with("norm") && weight) {
    change.add = 1;
  }
  change.transposed = row.kind == Kind::kTransposed && weight;
  return change;
}

RowChange Inverse(RowChange change) {
  change.to_pairs = false;
  change.add = -change.add;
  return change;
}

// Calls found(row) for each row of the part's tables until it gives something.
template <class F>
std::optional<Renamed> FindRow(const Family& family, const Parts& parts,
                               F&& found) {
  const std::vector<Rows> tables =
      parts.layer.empty() ? std::vector<Rows>{WholeRows(family.naming)}
                          : LayerRows(family.naming);
  for (Rows rows : tables) {
    for (const NameRow& row : rows) {
      if (std::optional<Renamed> renamed = found(row)) return renamed;
    }
  }
  return std::nullopt;
}

template <size_t N>
std::string ModelTypes(const std::array<Family, N>& families) {
  std::vector<std::string_view> names;
  for (const Family& family : families) names.push_back(family.model_type);
  return fmt::format("{}", fmt::join(names, ", "));
}

template <size_t N>
const Family* FindArchitecture(const std::array<Family, N>& families,
                               const Architecture& architecture) {
  for (const Family& family : families) {
    if (family.arch == architecture.name &&
        family.has_experts() == architecture.experts) {
      return &family;
    }
  }
  return nullptr;
}

}  // namespace

const Family* FamilyOfModelType(std::string_view model_type) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return &family;
  }
  return nullptr;
}

const Family* FamilyOfArchitecture(const Architecture& architecture) {
  return FindArchitecture(kFamilies, architecture);
}

const Family* TensorFamilyOf(const Architecture& architecture) {
  const Family* family = FamilyOfArchitecture(architecture);
  return family ? family : FindArchitecture(kTensorsOnly, architecture);
}

std::string FamilyNames() { return ModelTypes(kFamilies); }

std::string TensorFamilyNames() {
  return fmt::format("{}, {}", FamilyNames(), ModelTypes(kTensorsOnly));
}

bool IsOnlyInGguf(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" ||
         name == "rope_factors_short.weight";
}

bool IsOnlyInHuggingFace(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq") ||
         name.ends_with("embeddings.position_ids") ||
         name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

bool IsOfAllExperts(std::string_view gguf_name) {
  return gguf_name.ends_with("_exps.weight");
}

std::optional<Renamed> ToGgufName(const Family& family, std::string_view name,
                                  const HeadCounts& heads) {
  std::string whole(name);
  // The first models of GPT-2 are without it.
  if (family.naming == Naming::kGpt2 && !name.starts_with(kGpt2Prefix) &&
      !name.starts_with("lm_head.")) {
    whole.insert(0, kGpt2Prefix);
  }
  // Where it is a part of a model with something on top.
  if (family.naming == Naming::kBert && name.starts_with(kBertPrefix)) {
    whole.erase(0, kBertPrefix.size());
  }
  const std::optional<Parts> parts = Take(whole, HfLayer(family.naming));
  if (!parts) return std::nullopt;
  return FindRow(
      family, *parts, [&](const NameRow& row) -> std::optional<Renamed> {
        std::optional<int64_t> expert;
        if (row.kind == Kind::kExperts) {
          expert = Pattern(row.hf).Match(parts->name);
          if (!expert) return std::nullopt;
        } else if (row.hf != parts->name) {
          return std::nullopt;
        }
        return Renamed{Join(*parts, kGgufLayer, row.gguf),
                       ChangeToGguf(family, row, parts->kind, heads), expert};
      });
}

std::optional<Renamed> ToHuggingFaceName(const Family& family,
                                         std::string_view name,
                                         const HeadCounts& heads,
                                         int64_t expert) {
  const std::optional<Parts> parts = Take(name, kGgufLayer);
  if (!parts) return std::nullopt;
  return FindRow(
      family, *parts, [&](const NameRow& row) -> std::optional<Renamed> {
        if (row.gguf != parts->name) return std::nullopt;
        const bool experts = row.kind == Kind::kExperts;
        const std::string hf =
            experts ? Pattern(row.hf).Fill(expert) : std::string(row.hf);
        Renamed renamed{Join(*parts, HfLayer(family.naming), hf),
                        Inverse(ChangeToGguf(family, row, parts->kind, heads)),
                        std::nullopt};
        if (experts) renamed.expert = expert;
        return renamed;
      });
}

}  // namespace tl
