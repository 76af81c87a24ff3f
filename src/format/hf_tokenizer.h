// tokenizer.json as GGUF's tokenizer.ggml.*: byte-level BPE ("gpt2") and BPE
// with byte fallback, which SentencePiece calls its own ("llama"). Others are
// refused by name.
#pragma once

#include <string>

#include "format/metadata.h"

namespace tl {

struct TokenizerFiles {
  std::string label;  // for messages
  std::string tokenizer_json;
  std::string config_json;   // tokenizer_config.json, or ""
  std::string model_config;  // config.json, or ""
};

void AddTokenizer(const TokenizerFiles& files, Metadata& metadata);

}  // namespace tl
