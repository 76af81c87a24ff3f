// Writing a model as SafeTensors: whole or not at all (base/replace_file.h).
// Tensors that were not touched keep their stored bytes whatever their type.
#pragma once

#include <string>

#include "format/model.h"

namespace tl {

// Fails without a trace on the disk. Saving over the file that the model was
// loaded from is safe; the model goes on using the old bytes.
void SaveModel(const Model& model, const std::string& path);

}  // namespace tl
