// How texts are cut for byte-level BPE, by the names of GGUF's
// tokenizer.ggml.pre. A new name is one row.
#pragma once

#include <span>
#include <string_view>

#include "text/pre_tokenizer.h"

namespace tl {

struct GgufPreTokenizer {
  std::string_view name;
  // Each cuts the pieces of the one before.
  std::span<const char* const> patterns;
  bool whole_words = false;  // a word that is a token needs no merges
  bool add_bos = false;      // unless the file says otherwise
};

// Null for a name that is not known.
const GgufPreTokenizer* FindGgufPreTokenizer(std::string_view name);

PreTokenizers MakePreTokenizers(const GgufPreTokenizer& row);

}  // namespace tl
