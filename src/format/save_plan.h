// What a model becomes in a file: the format by the file's ending, then the
// names and the order of rows (format/layout_change.h), the type of each tensor
// (format/save_types.h), the metadata (format/hf_metadata.h for another layout,
// format/save_metadata.h for the file itself). Nothing is read but headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "format/output.h"
#include "format/save_types.h"

namespace tl {

// By the ending; fails with the endings that there are.
FileFormat FormatByName(const std::string& path);

// Which names and which order of rows a language model has in the file.
enum class NameLayout {
  // What the model has; but GGUF's for a model of Hugging Face that is written
  // as GGUF, which nothing could open otherwise.
  kUsual,
  kHuggingFace,
  kGguf,
};

// "hf", "gguf", or "" for the usual one. Fails for any other word.
NameLayout LayoutByName(std::string_view name);

struct SaveOptions {
  // A type of format/file_type.h; "" keeps the types that are stored, but for
  // packed ones in SafeTensors, which become F16.
  std::string type = {};
  NameLayout layout = NameLayout::kUsual;
};

// Tensors stand in the model's order.
OutputModel PlanSave(const Model& model, FileFormat format,
                     const SaveOptions& options);

}  // namespace tl
