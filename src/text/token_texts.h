// The bytes that each token adds to a text, in the order of the bytes: a walk
// that finds which of them something allows takes a common beginning once.
// Tokens without text, special ones and those that end a text are left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace tl {

class SortedTokens {
 public:
  struct Token {
    std::string bytes;
    TokenId id;
    size_t common = 0;  // bytes, with the token before
  };

  explicit SortedTokens(std::vector<Token> tokens);

  const std::vector<Token>& tokens() const { return tokens_; }
  // Nothing for a token that is left out.
  std::string_view BytesOf(int64_t id) const;

 private:
  std::vector<Token> tokens_;
  std::unordered_map<int64_t, uint32_t> places_;
};

// Of a text's first token, which loses its blank in some vocabularies, and of
// all others.
struct TokenTexts {
  explicit TokenTexts(const Tokenizer& tokenizer);

  SortedTokens first, later;
  std::vector<TokenId> ends;
  int64_t vocabulary_size;
};

}  // namespace tl
