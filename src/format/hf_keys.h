// What config.json of transformers and the metadata of GGUF call the same
// numbers, for each family of format/hf_names.h. hf_metadata.cc goes one way,
// hf_files.cc the other.
#pragma once

#include <vector>

#include "format/hf_names.h"

namespace tl {

struct HfKey {
  const char* hf;
  const char* gguf;  // after the architecture
};

// Where one of the two has several names for a number, the first is the one to
// write.
std::vector<HfKey> HfCounts(const Family& family);
std::vector<HfKey> HfReals(const Family& family);

// Whether the shares of the chosen experts are scaled to a sum of one: what
// "norm_topk_prob" says of Qwen's models, and GGUF by the architecture alone.
bool NormsExperts(const Family& family);

}  // namespace tl
