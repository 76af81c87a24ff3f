// What Apple's compiler makes of a CoreML model, a folder .mlmodelc. A program
// is there as text (format/mil_text.h) with its description in JSON; a network
// in an inner format of which only the weights are read (format/espresso.h).
// The description in coremldata.bin, which is not documented, is not needed.
#pragma once

#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

bool IsCompiledCoreMl(const std::vector<std::string>& names);

Model LoadCompiledCoreMl(const std::string& path);

}  // namespace tl
