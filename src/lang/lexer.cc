#include "lang/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/utf8.h"

namespace tl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsHexDigit(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

// Letters of other alphabets may stand in names too: everything from U+00AA on
// except punctuation, spaces and marks without a shape of their own.
bool IsForeignLetter(uint32_t code) {
  return code >= 0xAA && code != 0xAB && code != 0xAC && code != 0xAD &&
         code != 0xB6 && code != 0xB7 && code != 0xBB && code != 0xBF &&
         code != 0xD7 && code != 0xF7 && !(code >= 0x2000 && code <= 0x206F) &&
         !(code >= 0x2190 && code <= 0x2BFF) &&
         !(code >= 0x3000 && code <= 0x3004) && code != 0xFEFF &&
         !(code >= 0xFF01 && code <= 0xFF0F);
}

// Rows of tokens.def that are marks, longest first, by first character.
using Marks = std::array<std::vector<TokenKind>, 128>;

const Marks& MarksByFirst() {
  static const Marks* const marks = [] {
    auto* made = new Marks;
#define TL_TOKEN(id, spelling, name, power)             \
  if (spelling[0] != '\0' && !IsNameStart(spelling[0])) \
    (*made)[static_cast<size_t>(spelling[0])].push_back(TokenKind::id);
#include "lang/tokens.def"
    for (std::vector<TokenKind>& row : *made) {
      std::stable_sort(row.begin(), row.end(), [](TokenKind a, TokenKind b) {
        return InfoOf(a).spelling.size() > InfoOf(b).spelling.size();
      });
    }
    return made;
  }();
  return *marks;
}

// What a character was meant as, where that can be guessed.
std::string HintFor(char c) {
  switch (c) {
    case '#':
      return "a comment begins with '//'";
    case '&':
      return "'and' is written 'and' or '&&'";
    case '^':
      return "a power is written '**'";
    default:
      return "";
  }
}

class Lexer {
 public:
  Lexer(const Source& source, Diagnostics& diagnostics)
      : source_(source), text_(source.text()), diagnostics_(diagnostics) {}

  LexedText Run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // byte order mark
    while (SkipBlanks(), at_ < text_.size()) LexToken();
    Push(TokenKind::kEnd, at_);
    return std::move(lexed_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool Looking(std::string_view at) const {
    return text_.substr(at_).starts_with(at);
  }
  Span From(size_t begin) const {
    return {source_.id(), static_cast<uint32_t>(begin),
            static_cast<uint32_t>(at_)};
  }

  void Push(TokenKind kind, size_t begin) {
    lexed_.tokens.push_back({kind, newline_, From(begin)});
    newline_ = false;
  }

  void SkipBlanks();
  void SkipLineComment();
  void SkipBlockComment();
  void LexToken();
  void LexName();
  void LexNumber();
  void LexString();
  bool LexEscape();
  bool LexUnicodeEscape(size_t begin);
  bool LexMark();
  void LexInvalid();
  void LexSingleQuoted();
  // Steps over a character of a foreign alphabet that may stand in a name.
  bool SkipForeignLetter();

  const Source& source_;
  std::string_view text_;
  Diagnostics& diagnostics_;
  size_t at_ = 0;
  bool newline_ = false;  // seen since the last token
  LexedText lexed_;
};

void Lexer::SkipBlanks() {
  while (at_ < text_.size()) {
    char c = Peek();
    if (c == '\n') newline_ = true;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      ++at_;
    } else if (Looking("//")) {
      SkipLineComment();
    } else if (Looking("/*")) {
      SkipBlockComment();
    } else {
      return;
    }
  }
}

void Lexer::SkipLineComment() {
  size_t begin = at_;
  at_ = std::min(text_.find('\n', at_), text_.size());
  if (text_[at_ - 1] == '\r') --at_;
  lexed_.comments.push_back({From(begin), lexed_.tokens.size()});
}

void Lexer::SkipBlockComment() {
  size_t begin = at_;
  size_t open = 0;
  do {
    if (at_ >= text_.size()) {
      at_ = text_.size();
      Span mark = From(begin);
      mark.end = mark.begin + 2;
      diagnostics_.Error(mark, "this comment has no end; expected '*/'");
      break;
    }
    if (Looking("/*")) {
      ++open;
      at_ += 2;
    } else if (Looking("*/")) {
      --open;
      at_ += 2;
    } else {
      // A comment of several lines ends a statement as a newline does.
      if (Peek() == '\n') newline_ = true;
      ++at_;
    }
  } while (open > 0);
  lexed_.comments.push_back({From(begin), lexed_.tokens.size()});
}

void Lexer::LexToken() {
  char c = Peek();
  if (IsNameStart(c)) return LexName();
  if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return LexNumber();
  if (c == '"') return LexString();
  if (LexMark()) return;
  size_t begin = at_;
  if (SkipForeignLetter()) {
    at_ = begin;
    return LexName();
  }
  LexInvalid();
}

bool Lexer::SkipForeignLetter() {
  if (at_ >= text_.size() || static_cast<unsigned char>(Peek()) < 0x80) {
    return false;
  }
  Utf8Character character = FirstCharacter(text_.substr(at_));
  if (!character.valid || !IsForeignLetter(character.code)) return false;
  at_ += character.bytes;
  return true;
}

void Lexer::LexName() {
  size_t begin = at_;
  while (IsNamePart(Peek()) || SkipForeignLetter()) {
    if (IsNamePart(Peek())) ++at_;
  }
  Push(WordKind(text_.substr(begin, at_ - begin)), begin);
}

void Lexer::LexNumber() {
  size_t begin = at_;
  TokenKind kind = TokenKind::kInt;
  while (IsDigit(Peek())) ++at_;
  if (Peek() == '.' && IsDigit(Peek(1))) {
    kind = TokenKind::kFloat;
    ++at_;
    while (IsDigit(Peek())) ++at_;
  }
  if (Peek() == 'e' || Peek() == 'E') {
    size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
    if (IsDigit(Peek(1 + sign))) {
      kind = TokenKind::kFloat;
      at_ += 1 + sign;
      while (IsDigit(Peek())) ++at_;
    }
  }
  if (!IsNamePart(Peek())) return Push(kind, begin);
  while (IsNamePart(Peek())) ++at_;
  diagnostics_.Error(From(begin),
                     fmt::format("'{}' is neither a number nor a "
                                 "name",
                                 text_.substr(begin, at_ - begin)),
                     "a name does not begin with a digit");
  Push(TokenKind::kInvalid, begin);
}

void Lexer::LexString() {
  size_t begin = at_++;
  bool valid = true;
  while (Peek() != '"') {
    if (at_ >= text_.size() || Peek() == '\n') {
      Span quote = From(begin);
      quote.end = quote.begin + 1;
      diagnostics_.Error(quote,
                         "this string has no end; expected '\"' on its line",
                         "a newline inside a string is written '\\n'");
      return Push(TokenKind::kInvalid, begin);
    }
    if (Peek() == '\\') {
      valid = LexEscape() && valid;
    } else {
      Utf8Character character = FirstCharacter(text_.substr(at_));
      size_t from = at_;
      at_ += character.bytes;
      if (character.valid && character.code < 0x20 && character.code != '\t') {
        diagnostics_.Error(From(from),
                           fmt::format("byte 0x{:02x} in a string; expected "
                                       "it written \\u{{{:x}}}",
                                       character.code, character.code));
        valid = false;
      }
      if (!character.valid) {
        diagnostics_.Error(From(from),
                           fmt::format("byte 0x{:02x} in a string is not UTF-8",
                                       character.code));
        valid = false;
      }
    }
  }
  ++at_;
  Push(valid ? TokenKind::kString : TokenKind::kInvalid, begin);
}

bool Lexer::LexEscape() {
  size_t begin = at_++;
  char c = Peek();
  if (c == 'u') return LexUnicodeEscape(begin);
  // The end of the line or of the text is reported by the caller.
  if (at_ >= text_.size() || c == '\n') return false;
  at_ += FirstCharacter(text_.substr(at_)).bytes;
  if (std::string_view("ntr\"\\").find(c) != std::string_view::npos) {
    return true;
  }
  diagnostics_.Error(
      From(begin),
      "unknown escape in a string; expected \\n, \\t, \\r, \\\", \\\\ or "
      "\\u{...}");
  return false;
}

bool Lexer::LexUnicodeEscape(size_t begin) {
  ++at_;
  uint32_t code = 0;
  size_t digits = 0;
  bool braces = Peek() == '{';
  if (braces) ++at_;
  // Eight digits are read, so that a code that is too large is said to be so.
  for (; braces && digits < 8 && IsHexDigit(Peek()); ++digits, ++at_) {
    char c = Peek();
    code = code << 4 | (IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  if (!braces || digits == 0 || Peek() != '}') {
    diagnostics_.Error(From(begin),
                       "a character by its code is written \\u{1f600}; "
                       "expected 1 to 6 hexadecimal digits in braces");
    return false;
  }
  ++at_;
  if (code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF)) return true;
  diagnostics_.Error(From(begin),
                     fmt::format("U+{:X} is not a character", code));
  return false;
}

bool Lexer::LexMark() {
  unsigned char first = static_cast<unsigned char>(Peek());
  if (first >= 128) return false;
  for (TokenKind kind : MarksByFirst()[first]) {
    std::string_view spelling = InfoOf(kind).spelling;
    if (!Looking(spelling)) continue;
    size_t begin = at_;
    at_ += spelling.size();
    Push(kind, begin);
    return true;
  }
  return false;
}

void Lexer::LexSingleQuoted() {
  size_t begin = at_++;
  size_t end = text_.find_first_of("'\n", at_);
  bool closed = end != std::string_view::npos && text_[end] == '\'';
  if (closed) at_ = end + 1;
  diagnostics_.Error(From(begin),
                     "a string stands in double quotes; expected "
                     "\"...\"");
  Push(TokenKind::kInvalid, begin);
}

// One message for a whole run of bytes of the same kind: a binary file given
// by mistake has millions.
void Lexer::LexInvalid() {
  size_t begin = at_;
  if (Peek() == '\'') return LexSingleQuoted();
  Utf8Character first = FirstCharacter(text_.substr(at_));
  at_ += first.bytes;
  if (!first.valid) {
    while (at_ < text_.size() && !FirstCharacter(text_.substr(at_)).valid) {
      ++at_;
    }
    diagnostics_.Error(From(begin),
                       fmt::format("byte 0x{:02x} is not UTF-8", first.code));
  } else if (first.code < 0x20 || first.code == 0x7F) {
    while (at_ < text_.size() && text_[at_] == text_[begin]) ++at_;
    diagnostics_.Error(
        From(begin),
        fmt::format("byte 0x{:02x} has no meaning in a program", first.code));
  } else {
    std::string_view shown = text_.substr(begin, first.bytes);
    diagnostics_.Error(
        From(begin),
        first.code < 0x80
            ? fmt::format("'{}' has no meaning here", shown)
            : fmt::format("U+{:04X} has no meaning in a program", first.code),
        HintFor(text_[begin]));
  }
  Push(TokenKind::kInvalid, begin);
}

}  // namespace

LexedText Lex(const Source& source, Diagnostics& diagnostics) {
  return Lexer(source, diagnostics).Run();
}

std::string StringValue(std::string_view quoted) {
  std::string value;
  std::string_view text = quoted.substr(1, quoted.size() - 2);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      value += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'n':
        value += '\n';
        break;
      case 't':
        value += '\t';
        break;
      case 'r':
        value += '\r';
        break;
      case 'u': {
        size_t end = text.find('}', i);
        std::string digits(text.substr(i + 2, end - i - 2));
        value +=
            EncodeUtf8(static_cast<uint32_t>(std::stoul(digits, nullptr, 16)));
        i = end;
        break;
      }
      default:  // the quote and the backslash stand for themselves
        value += text[i];
    }
  }
  return value;
}

}  // namespace tl
