// Opening a model, whatever it is: a file of a format of formats.def, the index
// of a model in several files, or a directory with one of these. The kind is
// recognised by content, not by name. Only headers are read.
#pragma once

#include <string>

#include "format/model.h"

namespace tl {

Model LoadModel(const std::string& path);

}  // namespace tl
