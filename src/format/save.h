// Writing a model, whole or not at all (base/replace_file.h), as SafeTensors or
// GGUF: the file's ending says which. Tensors that keep their type keep their
// bytes. Memory stays small whatever the size (format/recode.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/model.h"
#include "format/save_plan.h"

namespace tl {

// What a file does not hold that the source did, in words for people.
using SaveNotes = std::vector<std::string>;

// Fails without a trace on the disk. Saving over the file that the model was
// loaded from is safe; the model goes on using the old bytes.
SaveNotes SaveModel(const Model& model, const std::string& path,
                    const SaveOptions& options = {});

// The same in several files of at most `shard_bytes` of tensors each, where one
// tensor alone may be more: "out-00001-of-00003.gguf" for "out.gguf", and for
// SafeTensors an index as well. One file when all fits into it. Several replace
// none: killed between two of them, a program would leave parts of two models.
// Each that is there is whole, and the last, the index or the last part, comes
// when all others are.
SaveNotes SaveShards(const Model& model, const std::string& path,
                     const SaveOptions& options, int64_t shard_bytes);

}  // namespace tl
