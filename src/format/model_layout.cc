#include "format/model_layout.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/hf_files.h"
#include "format/hf_metadata.h"
#include "format/hf_names.h"
#include "format/layout_change.h"
#include "tensor/decode.h"

namespace tl {
namespace {

const Family& FamilyOf(const Model& model) {
  const Architecture architecture = ArchitectureOf(model);
  if (architecture.name.empty()) {
    Fail(ErrorKind::kInput,
         "{}: layout \"hf\" is not known for a model that does not say its "
         "'general.architecture'",
         model.Label());
  }
  const Family* family = TensorFamilyOf(architecture);
  if (family == nullptr) {
    Fail(ErrorKind::kInput,
         "{}: layout \"hf\" is not known for the architecture {}{}; it is for "
         "{}",
         model.Label(), QuoteName(architecture.name),
         architecture.experts ? " with experts" : "", TensorFamilyNames());
  }
  return *family;
}

// Of a tensor that transformers computes, from what config.json says.
std::string WhyLeftOut(const Model& model, std::string_view name) {
  if (model.metadata().Find(kConfigKey) != nullptr) {
    return fmt::format("{} is left out: transformers computes it from {}",
                       QuoteName(name), kConfigKey);
  }
  if (const auto scaling = Llama3ScalingOf(model)) {
    return fmt::format(
        "{} is left out: transformers computes it where config.json has "
        "\"rope_scaling\": {}",
        QuoteName(name), ScalingJson(*scaling));
  }
  return fmt::format(
      "{} is left out, and with it how positions are scaled: it is not the "
      "scaling of Llama 3, which transformers could be told",
      QuoteName(name));
}

TensorEntry WithRowsMoved(const TensorEntry& entry, const RowChange& change) {
  const int64_t rows = entry.shape[0];
  TensorEntry moved = entry;
  moved.file = nullptr;
  moved.data = AllocateHost(entry.bytes);
  if (entry.bytes == 0) return moved;
  const int64_t row_bytes = entry.bytes / rows;
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(moved.data.get() + row * row_bytes,
                entry.data.get() + change.SourceRow(row, rows) * row_bytes,
                row_bytes);
  }
  return moved;
}

std::vector<float> Decoded(const TensorEntry& entry) {
  std::vector<float> values(entry.elements);
  Decode(*entry.dtype, entry.stored(), values);
  return values;
}

TensorEntry InMemory(const TensorEntry& entry, DType dtype) {
  TensorEntry made = entry;
  made.file = nullptr;
  made.dtype = dtype;
  made.bytes = BytesOf(dtype, entry.elements);
  made.data = AllocateHost(made.bytes);
  return made;
}

TensorEntry Transposed(const TensorEntry& entry) {
  const int64_t rows = entry.shape[0], columns = entry.shape[1];
  std::vector<float> decoded;
  const std::byte* from = entry.data.get();
  DType dtype = *entry.dtype;
  if (IsPacked(dtype)) {
    decoded = Decoded(entry);
    from = reinterpret_cast<const std::byte*>(decoded.data());
    dtype = DType::F32;
  }
  TensorEntry made = InMemory(entry, dtype);
  const int64_t width = Info(dtype).block_bytes;
  for (int64_t row = 0; row < rows; ++row) {
    std::byte* to = made.data.get() + row * columns * width;
    for (int64_t column = 0; column < columns; ++column) {
      std::memcpy(to + column * width, from + (column * rows + row) * width,
                  width);
    }
  }
  return made;
}

TensorEntry WithAdded(const TensorEntry& entry, float number) {
  TensorEntry sum = InMemory(entry, DType::F32);
  auto* to = reinterpret_cast<float*>(sum.data.get());
  for (float value : Decoded(entry)) *to++ = value + number;
  return sum;
}

ModelLayout Placed(const Model& model, std::vector<PlacedTensor> tensors,
                   Metadata metadata) {
  ModelLayout layout{Model(model.path(), model.format()), {}};
  layout.model.set_format_version(model.format_version());
  layout.model.metadata() = std::move(metadata);
  layout.model.Reserve(static_cast<int64_t>(tensors.size()));
  for (PlacedTensor& tensor : tensors) {
    TensorEntry entry = std::move(tensor.sources.front());
    entry.name = tensor.name;
    entry.shape = std::move(tensor.shape);
    layout.model.Add(std::move(entry));
    if (tensor.change.none()) continue;
    layout.changes.emplace(std::move(tensor.name), tensor.change);
  }
  for (const std::string& note : model.notes()) layout.model.AddNote(note);
  for (const auto& file : model.files()) layout.model.AddFile(file);
  return layout;
}

}  // namespace

ModelLayout InHfLayout(Model model) {
  if (model.format() != "GGUF") return {std::move(model), {}};
  const Family& family = FamilyOf(model);
  ModelLayout layout =
      Placed(model, PlaceInHuggingFace(model, family), model.metadata());
  for (const TensorEntry& entry : model.tensors()) {
    if (!IsOnlyInGguf(entry.name)) continue;
    layout.model.AddNote(WhyLeftOut(model, entry.name));
  }
  return layout;
}

ModelLayout InGgufLayout(Model model) {
  if (model.format() == "GGUF") return {std::move(model), {}};
  const Family& family = HuggingFaceFamily(model);
  std::vector<PlacedTensor> tensors = PlaceInGguf(model, family);
  for (const PlacedTensor& tensor : tensors) {
    if (tensor.sources.size() == 1) continue;
    Fail(ErrorKind::kInput,
         "{}: layout \"gguf\" joins {} tensors into {}, which only saving as "
         ".gguf does",
         model.Label(), tensor.sources.size(), QuoteName(tensor.name));
  }
  return Placed(model, std::move(tensors), MakeGgufMetadata(model, family));
}

TensorEntry Changed(const TensorEntry& entry, const RowChange& change) {
  if (!entry.dtype) {
    Fail(ErrorKind::kInput, "tensor {} has the unknown type {}",
         QuoteName(entry.name), QuoteName(entry.foreign_type));
  }
  TensorEntry changed = change.heads > 0 ? WithRowsMoved(entry, change) : entry;
  if (change.transposed) changed = Transposed(changed);
  if (change.add != 0) changed = WithAdded(changed, change.add);
  if (entry.file != nullptr) entry.file->CheckIntact();
  return changed;
}

}  // namespace tl
