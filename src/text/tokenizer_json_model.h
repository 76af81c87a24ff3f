// The "model" of a tokenizer.json: its tokens, and what makes tokens of a word.
#pragma once

#include <memory>

#include "text/json_part.h"
#include "text/token_model.h"

namespace tl {

// Adds the tokens to `vocabulary`, which the model refers to.
std::unique_ptr<TokenModel> ReadTokenModel(const JsonPart& part,
                                           Vocabulary& vocabulary);

}  // namespace tl
