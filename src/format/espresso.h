// The inner format of Apple's runtime, in which the compiler writes a neural
// network: model.espresso.net names the layers, model.espresso.weights has
// their numbers. It is not documented: the tensors are read, running is not
// possible.
#pragma once

#include <string>

#include "format/model.h"

namespace tl {

inline constexpr char kEspressoNet[] = "model.espresso.net";

// `path` is the folder.
Model LoadEspresso(const std::string& path);

}  // namespace tl
