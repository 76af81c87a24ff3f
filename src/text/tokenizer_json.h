// Hugging Face's tokenizer.json, and the files beside it that say which tokens
// begin and end a text. Padding and truncation, which it may ask for, are not
// done: the program decides how long its inputs are.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace tl {

struct TokenizerJsonFiles {
  std::string label;              // of tokenizer.json, for messages
  std::string tokenizer;          // its text
  std::string tokenizer_config;   // tokenizer_config.json, or ""
  std::string model_config;       // config.json, or ""
  std::string generation_config;  // generation_config.json, or ""
};

// Fails for what is no tokenizer, and for a step that is unknown here.
Tokenizer ReadTokenizerJson(const TokenizerJsonFiles& files);

}  // namespace tl
