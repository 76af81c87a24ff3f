// A token: its kind (a row of tokens.def) and where it stands. Whether a
// newline stood before it is a mark on the token; the parser knows where that
// matters.
#pragma once

#include <cstdint>
#include <string_view>

#include "lang/source.h"

namespace tl {

enum class TokenKind : uint8_t {
#define TL_TOKEN(id, spelling, name, power) id,
#include "lang/tokens.def"
};

struct TokenInfo {
  std::string_view spelling;  // empty where the text differs
  std::string_view name;      // in messages: "'('", "a name"
  int power;                  // as a binary operator; 0 for none
};

const TokenInfo& InfoOf(TokenKind kind);

// The reserved word spelled so, or kName.
TokenKind WordKind(std::string_view word);

struct Token {
  TokenKind kind = TokenKind::kEnd;
  bool newline_before = false;
  Span span;
};

}  // namespace tl
