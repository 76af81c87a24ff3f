// Writing GGUF: the header (its layout is in format/gguf_header.h), then the
// tensors in the order given, one after the other in bounded memory. Metadata
// keeps its kinds and its order. Reading: format/gguf.cc. What goes into the
// file: format/save_plan.h.
#pragma once

#include <string>

#include "base/progress.h"
#include "base/replace_file.h"
#include "format/output.h"

namespace tl {

// Everything before the first tensor's bytes, padded. Fails for what GGUF
// cannot say: more than four dimensions, a name of 64 bytes or more, a type
// without a number, a row that ends within a block.
std::string GgufHeaderBytes(const std::vector<OutputTensor>& tensors,
                            const Metadata& metadata);

// Of the whole file.
int64_t GgufBytes(const std::vector<OutputTensor>& tensors,
                  const std::string& header, const Metadata& metadata);

// How many values vanished of each tensor: format/recode.h.
std::vector<int64_t> WriteGguf(const std::vector<OutputTensor>& tensors,
                               const std::string& header,
                               const Metadata& metadata, ReplaceFile& out,
                               Progress& progress);

}  // namespace tl
