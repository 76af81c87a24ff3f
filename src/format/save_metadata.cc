#include "format/save_metadata.h"

#include <algorithm>
#include <bit>
#include <map>

#include "format/gguf_header.h"
#include "format/gguf_split.h"
#include "format/quantize.h"

namespace tl {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION
constexpr char kVersionKey[] = "general.quantization_version";
constexpr char kFileTypeKey[] = "general.file_type";
// More would only be padding; readers take any power of two.
constexpr int64_t kMaxAlignment = 1 << 20;

// Nothing where what is said may stay: a mix is not to be told from its
// tensors.
std::optional<uint32_t> FileTypeOfTensors(const OutputModel& output) {
  std::map<DType, int64_t> elements;
  for (const OutputTensor& tensor : output.tensors) {
    const bool matrix =
        tensor.shape.size() >= 2 && tensor.dtype && CanQuantize(*tensor.dtype);
    if (matrix) elements[*tensor.dtype] += tensor.elements;
  }
  if (elements.empty()) return std::nullopt;
  if (const auto said = output.metadata.Int(kFileTypeKey)) {
    const std::string_view name = FileTypeOfNumber(*said);
    if (!CanWriteFileType(name)) return std::nullopt;
    if (elements.contains(FindFileType(name).base)) return std::nullopt;
  }
  const auto most = std::ranges::max_element(
      elements, {}, [](const auto& entry) { return entry.second; });
  return NumberOfBase(most->first);
}

// The type that was asked for; else the one that the source says, as long as
// there are tensors of it.
void SetFileType(const TypeRules& rules, OutputModel& output) {
  const bool said = output.metadata.Find(kFileTypeKey) != nullptr;
  std::optional<uint32_t> number;
  if (rules.type != nullptr) {
    if (said || rules.format == FileFormat::kGguf) number = rules.type->number;
  } else if (said || rules.gguf_layout) {
    number = FileTypeOfTensors(output);
  }
  if (number) output.metadata.Set(kFileTypeKey, MetadataValue::Of(*number));
}

void RemoveBadAlignment(Metadata& metadata) {
  const MetadataValue* value = metadata.Find(kGgufAlignmentKey);
  if (value == nullptr) return;
  const int64_t alignment = value->Int().value_or(0);
  if (value->kind() != MetadataKind::U32 || alignment > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    metadata.Remove(kGgufAlignmentKey);
  }
}

bool IsPackedTensor(const OutputTensor& tensor) {
  return tensor.dtype && IsPacked(*tensor.dtype);
}

}  // namespace

void AdaptMetadata(const TypeRules& rules, OutputModel& output) {
  Metadata& metadata = output.metadata;
  RemoveSplitKeys(metadata);
  SetFileType(rules, output);
  if (rules.format == FileFormat::kSafeTensors) {
    const bool unpacked = std::ranges::any_of(
        output.tensors, [](const auto& tensor) { return tensor.unpacks(); });
    if (unpacked) metadata.Remove(kVersionKey);
    return;
  }
  metadata.Remove("format");  // SafeTensors' own: which library wrote it
  if (std::ranges::any_of(output.tensors, IsPackedTensor)) {
    metadata.Set(kVersionKey, MetadataValue::Of(kQuantizationVersion));
  }
  RemoveBadAlignment(metadata);
}

}  // namespace tl
