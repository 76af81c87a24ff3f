// Parsing the protobuf file of a CoreML model without its numbers. A neural
// network has its weights inside the file, so parsing it whole would copy all
// of them; here the fields that hold numbers are left out of what is parsed,
// and each is remembered as a place in the file (WeightParams.cut in
// coreml_network.proto). Opening a model of 100 MB then reads some KB of it.
#pragma once

#include <memory>

#include "base/file.h"
#include "format/coreml.pb.h"

namespace tl {

// Fails when the file is not a well-formed model message, and when it has more
// messages than fit (format/coreml_messages.h).
std::shared_ptr<coreml::spec::Model> ParseCoreMlSpec(const MappedFile& file);

}  // namespace tl
