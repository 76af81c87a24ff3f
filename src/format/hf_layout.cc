#include "format/hf_layout.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/config.h"
#include "format/hf_files.h"
#include "format/hf_metadata.h"
#include "format/hf_names.h"
#include "tensor/decode.h"

namespace tl {
namespace {

int64_t HeadsOf(const Model& model, std::string_view name) {
  for (const ConfigField& field : ConfigOf(model)) {
    if (field.name != name) continue;
    const auto* number = std::get_if<int64_t>(&field.value);
    if (number != nullptr && *number > 0) return *number;
  }
  Fail(ErrorKind::kInput,
       "{}: layout \"hf\" needs the number of {}, the same in each layer; its "
       "metadata does not say it",
       model.Label(), name);
}

const Family& FamilyOf(const Model& model) {
  const auto architecture = model.metadata().Text("general.architecture");
  if (!architecture) {
    Fail(ErrorKind::kInput,
         "{}: layout \"hf\" is not known for a model that does not say its "
         "'general.architecture'",
         model.Label());
  }
  const Family* family = TensorFamilyOf(*architecture);
  if (family == nullptr) {
    Fail(
        ErrorKind::kInput,
        "{}: layout \"hf\" is not known for the architecture {}; it is for {}, "
        "granite, nemotron",
        model.Label(), QuoteName(*architecture), FamilyNames());
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

void CheckChange(const Model& model, const TensorEntry& entry,
                 const RowChange& change) {
  const int64_t rows = entry.shape.empty() ? 0 : entry.shape[0];
  if (change.heads > 0 && rows % (2 * change.heads) != 0) {
    Fail(ErrorKind::kInput, "{}: tensor {} has {} rows, not pairs for {} heads",
         model.Label(), QuoteName(entry.name), rows, change.heads);
  }
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

TensorEntry WithAdded(const TensorEntry& entry, float number) {
  TensorEntry sum = entry;
  sum.file = nullptr;
  sum.dtype = DType::F32;
  sum.bytes = BytesOf(DType::F32, entry.elements);
  sum.data = AllocateHost(sum.bytes);
  const std::span<float> values(reinterpret_cast<float*>(sum.data.get()),
                                entry.elements);
  Decode(*entry.dtype, entry.stored(), values);
  for (float& value : values) value += number;
  return sum;
}

}  // namespace

HfLayout InHfLayout(Model model) {
  if (model.format() != "GGUF") return {std::move(model), {}};
  const Family& family = FamilyOf(model);
  const int64_t heads = HeadsOf(model, "heads");
  const int64_t kv_heads = HeadsOf(model, "kv_heads");
  HfLayout layout{Model(model.path(), model.format()), {}};
  layout.model.set_format_version(model.format_version());
  layout.model.metadata() = model.metadata();
  layout.model.Reserve(model.size());
  for (const TensorEntry& entry : model.tensors()) {
    if (IsOnlyInGguf(entry.name)) {
      layout.model.AddNote(WhyLeftOut(model, entry.name));
      continue;
    }
    const auto renamed = ToHuggingFaceName(family, entry.name, heads, kv_heads);
    if (!renamed) {
      Fail(ErrorKind::kInput,
           "{}: layout \"hf\" has no name for tensor {} of the architecture {}",
           model.Label(), QuoteName(entry.name), family.arch);
    }
    CheckChange(model, entry, renamed->change);
    if (!renamed->change.none()) {
      layout.changes.emplace(renamed->name, renamed->change);
    }
    TensorEntry moved = entry;
    moved.name = renamed->name;
    layout.model.Add(std::move(moved));
  }
  for (const std::string& note : model.notes()) layout.model.AddNote(note);
  for (const auto& file : model.files()) layout.model.AddFile(file);
  return layout;
}

TensorEntry Changed(const TensorEntry& entry, const RowChange& change) {
  if (!entry.dtype) {
    Fail(ErrorKind::kInput, "tensor {} has the unknown type {}",
         QuoteName(entry.name), QuoteName(entry.foreign_type));
  }
  TensorEntry changed = change.heads > 0 ? WithRowsMoved(entry, change) : entry;
  if (change.add != 0) changed = WithAdded(changed, change.add);
  if (entry.file != nullptr) entry.file->CheckIntact();
  return changed;
}

}  // namespace tl
