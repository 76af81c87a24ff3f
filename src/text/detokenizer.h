// Text as it is generated: given one token after the other, gives out whole
// characters only. The rest of a character waits for the tokens that bring it.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace tl {

class Detokenizer {
 public:
  // `tokenizer` must live as long. Special tokens give no text.
  explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // What the token adds to the text; often nothing. Bytes that can become no
  // character come as U+FFFD.
  std::string Push(TokenId id);
  // What still waits: an unfinished character, as U+FFFD. Afterwards as new.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  // Tokens whose text is out, kept because what follows depends on them: the
  // first of a text loses its blank. Then those with text that waits.
  std::vector<TokenId> context_;
  std::vector<TokenId> waiting_;
  size_t given_ = 0;  // bytes of both together that are out
};

}  // namespace tl
