// Tokenizers of GGUF's metadata, the keys tokenizer.ggml.*. This room knows no
// format: who has the file fills in what the keys hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace tl {

// The values of tokenizer.ggml.KEY; nothing for a key that is not there.
struct GgufVocabulary {
  std::string label;  // of the file, for messages
  std::string model;  // llama, gpt2, bert, t5
  std::optional<std::string> pre;
  std::vector<std::string_view> tokens;
  std::optional<std::vector<float>> scores;
  std::optional<std::vector<int32_t>> token_types;
  std::optional<std::vector<std::string_view>> merges;
  std::optional<std::string> precompiled_charsmap;

  std::optional<int64_t> bos_token_id, eos_token_id, eot_token_id, eom_token_id;
  // "seperator" in the file.
  std::optional<int64_t> unknown_token_id, separator_token_id, padding_token_id,
      cls_token_id;
  std::optional<bool> add_bos_token, add_eos_token, add_sep_token,
      add_space_prefix, remove_extra_whitespaces;
  // tokenizer.ggml.normalizer.*
  std::optional<bool> lowercase, strip_accents;
};

// Fails where the values do not fit each other, and for a model or a way of
// cutting that is not known here.
Tokenizer MakeGgufTokenizer(const GgufVocabulary& file);

}  // namespace tl
