// Text to tokens. Never fails: what is no token is reported and becomes a token
// of kind kInvalid, and the list always ends with kEnd. Comments are kept aside
// for the formatter. Read next: parser.h.
#pragma once

#include <string>
#include <vector>

#include "lang/diagnostics.h"
#include "lang/source.h"
#include "lang/token.h"

namespace tl {

struct Comment {
  Span span;              // with its marks, without the newline
  size_t next_token = 0;  // index of the token after it
};

struct LexedText {
  std::vector<Token> tokens;
  std::vector<Comment> comments;
};

LexedText Lex(const Source& source, Diagnostics& diagnostics);

// The value of a kString token's text (with its quotes), which Lex has passed.
std::string StringValue(std::string_view quoted);

}  // namespace tl
