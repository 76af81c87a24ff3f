#include "format/file_type.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "format/quantize.h"

namespace tl {
namespace {

constexpr auto kFileTypes = std::to_array<FileType>({
    {"f32", 0, DType::F32},        {"f16", 1, DType::F16},
    {"bf16", 32, DType::BF16},     {"q4_0", 2, DType::Q4_0},
    {"q4_1", 3, DType::Q4_1},      {"q5_0", 8, DType::Q5_0},
    {"q5_1", 9, DType::Q5_1},      {"q8_0", 7, DType::Q8_0},
    {"q2_k", 10, DType::Q2_K},     {"q2_k_s", 21, DType::Q2_K},
    {"q3_k_s", 11, DType::Q3_K},   {"q3_k_m", 12, DType::Q3_K},
    {"q3_k_l", 13, DType::Q3_K},   {"q4_k_s", 14, DType::Q4_K},
    {"q4_k_m", 15, DType::Q4_K},   {"q5_k_s", 16, DType::Q5_K},
    {"q5_k_m", 17, DType::Q5_K},   {"q6_k", 18, DType::Q6_K},
    {"iq4_nl", 25, DType::IQ4_NL}, {"iq4_xs", 30, DType::IQ4_XS},
    {"tq1_0", 36, DType::TQ1_0},   {"tq2_0", 37, DType::TQ2_0},
    {"mxfp4", 38, DType::Q8_0},    {"nvfp4", 39, DType::NVFP4},
    {"q1_0", 40, DType::Q1_0},     {"q2_0", 41, DType::Q2_0},
});

// Those of files made elsewhere, which cannot be written here.
struct ReadOnlyType {
  std::string_view name;
  int64_t number;
};

constexpr auto kReadOnlyTypes = std::to_array<ReadOnlyType>({
    {"iq2_xxs", 19},
    {"iq2_xs", 20},
    {"iq3_xs", 22},
    {"iq3_xxs", 23},
    {"iq1_s", 24},
    {"iq3_s", 26},
    {"iq3_m", 27},
    {"iq2_s", 28},
    {"iq2_m", 29},
    {"iq1_m", 31},
    {"guessed", 1024},
});

struct Alias {
  std::string_view name;
  std::string_view means;
};

constexpr auto kAliases = std::to_array<Alias>({
    {"q3_k", "q3_k_m"},
    {"q4_k", "q4_k_m"},
    {"q5_k", "q5_k_m"},
    {"mxfp4_moe", "mxfp4"},
});

// What a tensor is for.
enum class Role {
  kOutput,
  kEmbedding,
  kAttentionV,
  kAttentionK,
  kAttentionOutput,
  kAttentionQkv,  // all three in one matrix
  kFfnDown,
  kExperts,  // the matrices of all experts, stacked
  kOther,
  kFixed,  // stays F32
};

// Which layers a row of the mix is about.
enum class Where {
  kAll,
  kFirstTwo,
  kFirstFour,
  kFirstSixteenth,
  kFirstEighth,
  kMoreBits,      // the first and last eighth, and every third between
  kGroupedQuery,  // all, where four or more heads share one of K and V
};

struct MixRow {
  std::string_view file_type;
  Role role;
  Where where;
  DType dtype;
};

// The first row that fits decides; without one, the base type of the file.
constexpr auto kMix = std::to_array<MixRow>({
    {"q2_k", Role::kAttentionV, Where::kGroupedQuery, DType::Q4_K},
    {"q2_k", Role::kAttentionV, Where::kAll, DType::Q3_K},
    {"q2_k", Role::kFfnDown, Where::kAll, DType::Q3_K},
    {"q2_k", Role::kAttentionOutput, Where::kAll, DType::Q3_K},
    {"q2_k_s", Role::kAttentionV, Where::kGroupedQuery, DType::Q4_K},
    {"q2_k_s", Role::kFfnDown, Where::kFirstEighth, DType::Q4_K},
    {"q3_k_m", Role::kAttentionV, Where::kFirstTwo, DType::Q5_K},
    {"q3_k_m", Role::kAttentionV, Where::kAll, DType::Q4_K},
    {"q3_k_m", Role::kFfnDown, Where::kFirstSixteenth, DType::Q5_K},
    {"q3_k_m", Role::kFfnDown, Where::kAll, DType::Q4_K},
    {"q3_k_m", Role::kAttentionOutput, Where::kAll, DType::Q4_K},
    {"q3_k_m", Role::kAttentionQkv, Where::kAll, DType::Q4_K},
    {"q3_k_l", Role::kAttentionV, Where::kAll, DType::Q5_K},
    {"q3_k_l", Role::kFfnDown, Where::kAll, DType::Q5_K},
    {"q3_k_l", Role::kAttentionOutput, Where::kAll, DType::Q5_K},
    {"q3_k_l", Role::kAttentionQkv, Where::kAll, DType::Q4_K},
    {"q4_k_s", Role::kAttentionV, Where::kFirstFour, DType::Q5_K},
    {"q4_k_s", Role::kFfnDown, Where::kFirstEighth, DType::Q5_K},
    {"q4_k_m", Role::kAttentionV, Where::kMoreBits, DType::Q6_K},
    {"q4_k_m", Role::kFfnDown, Where::kMoreBits, DType::Q6_K},
    {"q4_k_m", Role::kAttentionQkv, Where::kAll, DType::Q5_K},
    {"q5_k_m", Role::kAttentionV, Where::kMoreBits, DType::Q6_K},
    {"q5_k_m", Role::kFfnDown, Where::kMoreBits, DType::Q6_K},
    {"q5_k_m", Role::kAttentionQkv, Where::kAll, DType::Q6_K},
    {"iq4_nl", Role::kAttentionV, Where::kGroupedQuery, DType::Q5_K},
    {"iq4_nl", Role::kFfnDown, Where::kFirstEighth, DType::Q5_K},
    {"iq4_xs", Role::kAttentionV, Where::kGroupedQuery, DType::Q5_K},
    {"iq4_xs", Role::kFfnDown, Where::kFirstEighth, DType::Q5_K},
    {"tq1_0", Role::kEmbedding, Where::kAll, DType::Q4_K},
    {"tq2_0", Role::kEmbedding, Where::kAll, DType::Q4_K},
    {"mxfp4", Role::kExperts, Where::kAll, DType::MXFP4},
});

// What a type becomes when a row is not a whole number of its blocks; where
// that does not fit either, F16.
struct Fallback {
  DType from;
  DType to;
};

constexpr auto kFallbacks = std::to_array<Fallback>({
    {DType::Q2_K, DType::IQ4_NL},
    {DType::Q3_K, DType::IQ4_NL},
    {DType::IQ4_XS, DType::IQ4_NL},
    {DType::Q4_K, DType::Q5_0},
    {DType::Q5_K, DType::Q5_1},
    {DType::Q6_K, DType::Q8_0},
    {DType::TQ1_0, DType::Q4_0},
    {DType::TQ2_0, DType::Q4_0},
});

// Parts of names, GGUF's and Hugging Face's.
struct NamePart {
  std::string_view part;
  Role role;
};

constexpr auto kNameParts = std::to_array<NamePart>({
    {"_norm.weight", Role::kFixed},
    {"norm.weight", Role::kFixed},
    {"layernorm.weight", Role::kFixed},
    {"ffn_gate_inp.weight", Role::kFixed},
    {"block_sparse_moe.gate.weight", Role::kFixed},
    {"position_embd.weight", Role::kFixed},
    {"token_types.weight", Role::kFixed},
    {"ssm_conv1d.weight", Role::kFixed},
    {"shortconv.conv.weight", Role::kFixed},
    {"time_mix_first.weight", Role::kFixed},
    {"time_mix_lerp_fused.weight", Role::kFixed},
    {"attn_rel_b.weight", Role::kFixed},
    {"token_embd.weight", Role::kEmbedding},
    {"embed_tokens.weight", Role::kEmbedding},
    {"lm_head.weight", Role::kOutput},
    {"attn_v.weight", Role::kAttentionV},
    {"v_proj.weight", Role::kAttentionV},
    {"attn_k.weight", Role::kAttentionK},
    {"k_proj.weight", Role::kAttentionK},
    {"attn_output.weight", Role::kAttentionOutput},
    {"o_proj.weight", Role::kAttentionOutput},
    {"attn_qkv.weight", Role::kAttentionQkv},
    {"qkv_proj.weight", Role::kAttentionQkv},
    {"ffn_down", Role::kFfnDown},
    {"down_proj.weight", Role::kFfnDown},
});

// Dimensions as ggml counts them: ones in front do not.
size_t Dimensions(const std::vector<int64_t>& shape) {
  const auto first = std::find_if(shape.begin(), shape.end(),
                                  [](int64_t extent) { return extent != 1; });
  return shape.end() - first;
}

Role RoleOf(std::string_view name, const std::vector<int64_t>& shape) {
  if (Dimensions(shape) < 2 || name.ends_with(".bias")) return Role::kFixed;
  if (name.starts_with("blk.") && !name.ends_with("weight")) {
    return Role::kFixed;
  }
  if (name == "output.weight") return Role::kOutput;
  for (const NamePart& row : kNameParts) {
    if (name.find(row.part) != std::string_view::npos) return row.role;
  }
  return Role::kOther;
}

bool Fits(Where where, int64_t layer, const MixFacts& facts) {
  const int64_t layers = facts.layers;
  switch (where) {
    case Where::kAll:
      return true;
    case Where::kFirstTwo:
      return layer < 2;
    case Where::kFirstFour:
      return layer < 4;
    case Where::kFirstSixteenth:
      return layer < layers / 16;
    case Where::kFirstEighth:
      return layer < layers / 8;
    case Where::kMoreBits:
      return layer < layers / 8 || layer >= 7 * layers / 8 ||
             (layer - layers / 8) % 3 == 2;
    case Where::kGroupedQuery:
      return facts.kv_heads > 0 && facts.heads / facts.kv_heads >= 4;
  }
  return false;
}

// Models of eight experts spend little on these, and gain much.
std::optional<DType> OfEightExperts(const FileType& type, Role role) {
  if (role == Role::kAttentionV || role == Role::kAttentionK) {
    return DType::Q8_0;
  }
  constexpr std::string_view kSmall[] = {"q2_k",   "q3_k_s", "q3_k_m", "iq4_nl",
                                         "q4_k_s", "q4_k_m", "iq4_xs"};
  const bool small = std::find(std::begin(kSmall), std::end(kSmall),
                               type.name) != std::end(kSmall);
  if (role == Role::kAttentionOutput && small) return DType::Q5_K;
  return std::nullopt;
}

// In the models of 70 billion weights eight heads share attn_v.
DType OfSharedV(const MixFacts& facts, Role role, DType dtype) {
  const bool shared = facts.layers == 80 && facts.heads > facts.kv_heads &&
                      role == Role::kAttentionV;
  const bool few = dtype == DType::Q3_K || dtype == DType::Q4_K;
  return shared && few ? DType::Q5_K : dtype;
}

DType Mix(const FileType& type, const MixFacts& facts, Role role,
          int64_t layer) {
  if (facts.experts == 8) {
    if (const auto dtype = OfEightExperts(type, role)) return *dtype;
  }
  for (const MixRow& row : kMix) {
    if (row.file_type == type.name && row.role == role &&
        Fits(row.where, layer, facts)) {
      return OfSharedV(facts, role, row.dtype);
    }
  }
  return OfSharedV(facts, role, type.base);
}

bool FitsRow(DType dtype, int64_t columns) {
  return columns % Info(dtype).block_elements == 0;
}

DType ForRow(DType dtype, int64_t columns) {
  if (FitsRow(dtype, columns)) return dtype;
  for (const Fallback& row : kFallbacks) {
    if (row.from == dtype && FitsRow(row.to, columns)) return row.to;
  }
  return DType::F16;
}

}  // namespace

const FileType& FindFileType(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const Alias& alias : kAliases) {
    if (alias.name == lower) lower = alias.means;
  }
  for (const FileType& type : kFileTypes) {
    if (type.name == lower) return type;
  }
  Fail(ErrorKind::kInput, "there is no type '{}'; known are {}", name,
       fmt::join(FileTypeNames(), ", "));
}

std::string_view FileTypeOfNumber(int64_t number) {
  for (const FileType& type : kFileTypes) {
    if (type.number == number) return type.name;
  }
  for (const ReadOnlyType& type : kReadOnlyTypes) {
    if (type.number == number) return type.name;
  }
  return "";
}

bool CanWriteFileType(std::string_view name) {
  return std::ranges::any_of(
      kFileTypes, [name](const FileType& type) { return type.name == name; });
}

std::optional<uint32_t> NumberOfBase(DType base) {
  for (const FileType& type : kFileTypes) {
    if (type.base == base) return type.number;
  }
  return std::nullopt;
}

std::vector<std::string_view> FileTypeNames() {
  std::vector<std::string_view> names;
  for (const FileType& type : kFileTypes) names.push_back(type.name);
  return names;
}

std::optional<int64_t> LayerOf(std::string_view name) {
  for (size_t dot = name.find('.'); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    int64_t layer = 0;
    const char* begin = name.data() + dot + 1;
    const auto parsed =
        std::from_chars(begin, name.data() + name.size(), layer);
    if (parsed.ec == std::errc() && layer >= 0) return layer;
  }
  return std::nullopt;
}

DType TypeInFile(const FileType& type, const MixFacts& facts,
                 std::string_view name, const std::vector<int64_t>& shape) {
  Role role = RoleOf(name, shape);
  if (type.base == DType::F32 || role == Role::kFixed) return DType::F32;
  if (!IsPacked(type.base)) return type.base;
  const int64_t columns = shape.back();
  if (role == Role::kEmbedding && !facts.has_output) role = Role::kOutput;
  if (role == Role::kOutput) {
    const bool eight = type.base == DType::Q8_0 || !FitsRow(type.base, columns);
    return ForRow(eight ? DType::Q8_0 : DType::Q6_K, columns);
  }
  if (type.name == "mxfp4" && Dimensions(shape) > 2) role = Role::kExperts;
  return ForRow(Mix(type, facts, role, LayerOf(name).value_or(0)), columns);
}

}  // namespace tl
