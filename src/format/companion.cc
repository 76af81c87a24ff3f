#include "format/companion.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tl {
namespace {

constexpr int64_t kFp8Block = 128;  // DeepSeek-V3, Qwen, GLM, MiniMax
constexpr int64_t kMxBlock = 32;    // OCP microscaling formats

bool IsF8(const TensorEntry& entry) {
  return entry.dtype == DType::F8_E4M3 || entry.dtype == DType::F8_E5M2 ||
         entry.dtype == DType::F8_E4M3FNUZ || entry.dtype == DType::F8_E5M2FNUZ;
}

bool IsFloat(const TensorEntry& entry) {
  return entry.dtype && Info(*entry.dtype).kind == DTypeKind::kFloat;
}

Companion Refuse(std::string text) {
  Companion companion;
  companion.reading = Reading::kRefused;
  companion.text = std::move(text);
  return companion;
}

// "a.b.weight" -> "a.b."; "weight" -> "".
std::string_view Folder(std::string_view name) {
  return name.substr(0, name.rfind('.') + 1);
}

const TensorEntry* FindSibling(const Model& model, const TensorEntry& entry,
                               std::string_view leaf) {
  return model.Find(fmt::format("{}{}", Folder(entry.name), leaf));
}

const TensorEntry* FindSuffixed(const Model& model, const TensorEntry& entry,
                                std::string_view suffix) {
  return model.Find(entry.name + std::string(suffix));
}

// Integer tensors that are parts of a packed weight, and what the packing is.
struct PackedScheme {
  std::string_view leaf;     // how the packed tensor's name ends
  std::string_view partner;  // a sibling that tells the scheme
  bool suffix;               // the partner's name is the tensor's and this
  std::string_view name;
};

constexpr auto kPackedSchemes = std::to_array<PackedScheme>({
    {"qweight", "g_idx", false, "GPTQ"},
    {"qweight", "qzeros", false, "AWQ"},
    {"qweight", "scales", false, "AWQ"},
    {"weight_packed", "weight_scale", false, "compressed-tensors"},
    {"weight", "weight_scale_2", false, "NVFP4"},
    {"weight", ".absmax", true, "bitsandbytes"},
    {"weight", "SCB", false, "bitsandbytes int8"},
    {"weight", "weight_scale", false, "integer"},
    {"weight", "scales", false, "MLX affine"},
    {"weight", "scale", false, "FP4 or integer"},
});

// The tensors of a packed weight that are read only together with it.
constexpr auto kPackedParts =
    std::to_array<std::string_view>({"qzeros", "g_idx"});

bool NameEndsIn(std::string_view name, std::string_view leaf) {
  return name.substr(Folder(name).size()) == leaf;
}

Companion FindPacked(const Model& model, const TensorEntry& entry) {
  const auto packed = [&](std::string_view scheme, const TensorEntry& partner) {
    return Refuse(fmt::format(
        "is a weight packed as {} with {}, which this build does not unpack",
        scheme, QuoteName(partner.name)));
  };
  // gpt-oss: x_blocks and x_scales.
  for (auto [own, other] :
       {std::pair<std::string_view, std::string_view>("_blocks", "_scales"),
        {"_scales", "_blocks"}}) {
    if (!entry.name.ends_with(own)) continue;
    const std::string_view stem(entry.name.data(),
                                entry.name.size() - own.size());
    const std::string partner = fmt::format("{}{}", stem, other);
    if (const auto* found = model.Find(partner)) return packed("MXFP4", *found);
  }
  for (const PackedScheme& scheme : kPackedSchemes) {
    if (!NameEndsIn(entry.name, scheme.leaf)) continue;
    const TensorEntry* partner =
        scheme.suffix ? FindSuffixed(model, entry, scheme.partner)
                      : FindSibling(model, entry, scheme.partner);
    if (partner != nullptr) return packed(scheme.name, *partner);
  }
  for (std::string_view part : kPackedParts) {
    if (!NameEndsIn(entry.name, part)) continue;
    if (const auto* weight = FindSibling(model, entry, "qweight")) {
      return packed("GPTQ or AWQ", *weight);
    }
  }
  return Refuse(fmt::format(
      "is {}, a type that can be listed and saved but not computed with",
      entry.type_name()));
}

int64_t CeilDivide(int64_t a, int64_t b) { return a / b + (a % b != 0); }

// The extents of the last two axes; a vector is one row.
struct Matrix {
  int64_t rows;
  int64_t columns;
};

Matrix LastTwo(const std::vector<int64_t>& shape) {
  const size_t rank = shape.size();
  return {rank >= 2 ? shape[rank - 2] : 1, rank >= 1 ? shape[rank - 1] : 1};
}

// Whether `scale` has one element for each block of `rows` x `columns` of
// `shape`, whose leading axes it shares.
bool HasBlocks(const std::vector<int64_t>& shape,
               const std::vector<int64_t>& scale, int64_t rows,
               int64_t columns) {
  if (shape.size() < 2 || scale.size() != shape.size()) return false;
  const Matrix matrix = LastTwo(shape), blocks = LastTwo(scale);
  return std::equal(shape.begin(), shape.end() - 2, scale.begin()) &&
         blocks.rows == CeilDivide(matrix.rows, rows) &&
         blocks.columns == CeilDivide(matrix.columns, columns);
}

Companion Scaled(const TensorEntry& scale, int64_t rows, int64_t columns,
                 std::string_view layout) {
  Companion companion;
  companion.reading = Reading::kScaled;
  companion.scale = scale.name;
  companion.rows = std::max<int64_t>(rows, 1);
  companion.columns = std::max<int64_t>(columns, 1);
  companion.exponents =
      scale.dtype == DType::U8 || scale.dtype == DType::F8_E8M0;
  companion.text = fmt::format("{} by {}", layout, QuoteName(scale.name));
  return companion;
}

// How an F8 weight and its scale fit together, by their shapes.
Companion MatchScale(const TensorEntry& entry, const TensorEntry& scale) {
  const Matrix matrix = LastTwo(entry.shape);
  const bool exponents =
      scale.dtype == DType::U8 || scale.dtype == DType::F8_E8M0;
  if (!exponents && !IsFloat(scale)) {
    return Refuse(fmt::format("has a scale {} of type {}, which is no number",
                              QuoteName(scale.name), scale.type_name()));
  }
  if (scale.elements == 1) {
    return Scaled(scale, matrix.rows, matrix.columns, "scaled as a whole");
  }
  if (exponents && HasBlocks(entry.shape, scale.shape, 1, kMxBlock)) {
    return Scaled(scale, 1, kMxBlock, "MXFP8, scaled in 32 columns");
  }
  if (HasBlocks(entry.shape, scale.shape, kFp8Block, kFp8Block)) {
    return Scaled(scale, kFp8Block, kFp8Block, "scaled in 128x128 blocks");
  }
  const bool row_vector =
      entry.shape.size() == 2 && scale.shape == std::vector{matrix.rows};
  if (row_vector || HasBlocks(entry.shape, scale.shape, 1,
                              std::max<int64_t>(matrix.columns, 1))) {
    return Scaled(scale, 1, matrix.columns, "scaled by row");
  }
  return Refuse(fmt::format(
      "of shape {} has a scale {} of shape {}, a layout that is not known",
      ShapeText(entry.shape), QuoteName(scale.name), ShapeText(scale.shape)));
}

}  // namespace

Companion FindCompanion(const Model& model, const TensorEntry& entry) {
  if (!entry.dtype) {
    return Refuse(fmt::format("has the type {}, which this build does not know",
                              QuoteName(entry.foreign_type)));
  }
  if (entry.dtype == DType::F8_E8M0) {
    return Refuse("is F8_E8M0, a scale that only ever multiplies a weight");
  }
  if (IsPacked(*entry.dtype)) return {};  // its scales are in its blocks
  if (!IsFloat(entry)) return FindPacked(model, entry);
  if (!IsF8(entry)) return {};
  for (std::string_view suffix : {"_scale_inv", "_scale", "_scales"}) {
    if (const auto* scale = FindSuffixed(model, entry, suffix)) {
      return MatchScale(entry, *scale);
    }
  }
  if (NameEndsIn(entry.name, "weight")) {
    for (std::string_view leaf : {"scale", "scales"}) {
      if (const auto* scale = FindSibling(model, entry, leaf)) {
        return MatchScale(entry, *scale);
      }
    }
  }
  return {};
}

}  // namespace tl
