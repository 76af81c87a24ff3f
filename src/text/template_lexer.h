// A chat template as tokens: text between tags, and the words inside them. The
// blanks around tags are gone already, as Jinja's options trim_blocks and
// lstrip_blocks and the signs in `{%- -%}` say. Read next: template_parser.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tl::jinja {

enum class TokenKind : uint8_t {
  kText,         // outside of tags
  kOutputBegin,  // {{
  kOutputEnd,    // }}
  kBlockBegin,   // {%
  kBlockEnd,     // %}
  kName,
  kString,  // text: its value
  kInt,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int32_t at = 0;  // offset in the template

  bool Is(TokenKind k, std::string_view t) const {
    return kind == k && text == t;
  }
};

// The template with one kind of line end and none at its end.
std::string Normalised(std::string_view text);

struct Place {
  int line;    // from 1
  int column;  // in bytes, from 1
};
Place PlaceOf(std::string_view text, int32_t at);

// Thrown as a Fault with the place where it is: "line:column: ...".
[[noreturn]] void FailAt(std::string_view text, int32_t at,
                         std::string_view what);

// Of a normalised template. The last token is kEnd.
std::vector<Token> Lex(std::string_view text);

// Python's idea of a blank.
bool IsBlank(char32_t c);
std::string_view StripLeft(std::string_view text);
std::string_view StripRight(std::string_view text);

}  // namespace tl::jinja
