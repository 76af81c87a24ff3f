// What a model becomes in a file: the format by the file's ending, the type and
// the place of each tensor, the metadata. Nothing is read but headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "format/output.h"

namespace tl {

enum class FileFormat { kSafeTensors, kGguf };

// By the ending; fails with the endings that there are.
FileFormat FormatByName(const std::string& path);

struct SaveOptions {
  // A type of format/file_type.h; "" keeps the types that are stored, but for
  // packed ones in SafeTensors, which become F16.
  std::string type;
};

// Tensors stand in the model's order.
OutputModel PlanSave(const Model& model, FileFormat format,
                     const SaveOptions& options);

}  // namespace tl
