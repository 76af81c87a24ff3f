// metadata.json of a compiled CoreML model: what the specification says of
// inputs, outputs and the author, in the words that are shown to people. Read
// back into the specification's messages.
#pragma once

#include <string>

#include "format/coreml.pb.h"

namespace tl {

// Fills in the description and the version of `spec`.
void ReadCompiledMetadata(const std::string& path, coreml::spec::Model& spec);

// Without that file: inputs and outputs as the program's main function has
// them.
void DescribeProgram(coreml::spec::Model& spec);

}  // namespace tl
