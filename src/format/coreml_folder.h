// CoreML models that are folders: a package (.mlpackage: a manifest, a
// specification in protobuf, weight files) and what Apple's compiler makes of a
// model (.mlmodelc: the program as text, or a network of an inner format).
#pragma once

#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

// Whether a folder that holds these files is one of the two.
bool IsCoreMlFolder(const std::vector<std::string>& names);

Model LoadCoreMlFolder(const std::string& path);

}  // namespace tl
