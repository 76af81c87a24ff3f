// Writing SafeTensors. Tensors come by type, widest first, then by name:
// without padding between them each is aligned to its own elements. The header
// is padded so that the data begins at a multiple of eight. The same order as
// the reference implementation's, so that a file of its own comes out byte for
// byte. The layout: format/safetensors.cc. What goes in: format/save_plan.h.
#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "base/replace_file.h"
#include "format/output.h"

namespace tl {

// Puts the tensors into the order of the file.
void SortForSafeTensors(std::vector<OutputTensor>& tensors);

// Everything before the first tensor's bytes, for tensors in that order. Fails
// for what SafeTensors cannot say.
std::string SafeTensorsHeaderBytes(const std::vector<OutputTensor>& tensors,
                                   const Metadata& metadata);

// How many values vanished of each tensor: format/recode.h.
std::vector<int64_t> WriteSafeTensors(const std::vector<OutputTensor>& tensors,
                                      const std::string& header,
                                      ReplaceFile& out, Progress& progress);

}  // namespace tl
