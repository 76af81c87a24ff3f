#include "text/template_lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/template_value.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsOctal(char c) { return c >= '0' && c <= '7'; }
bool BeginsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool IsAsciiBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> Run() {
    while (at_ < text_.size()) LexText();
    Add(TokenKind::kEnd, "", at_);
    return std::move(tokens_);
  }

 private:
  // From here to the next tag, and the tag.
  void LexText() {
    const size_t tag = NextTag(at_);
    if (tag == std::string_view::npos) {
      AddText(text_.substr(at_), at_);
      at_ = text_.size();
      return;
    }
    const char kind = text_[tag + 1];
    const char sign = tag + 2 < text_.size() ? text_[tag + 2] : ' ';
    std::string_view before = text_.substr(at_, tag - at_);
    if (sign == '-') {
      before = StripRight(before);
    } else if (sign != '+' && kind != '{') {
      before = WithoutIndent(before);
    }
    AddText(before, at_);
    at_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') {
      SkipComment(tag);
    } else if (kind == '%' && !LexRaw(tag)) {
      LexTag(tag, TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
    } else if (kind == '{') {
      LexTag(tag, TokenKind::kOutputBegin, TokenKind::kOutputEnd, "}}");
    }
  }

  size_t NextTag(size_t from) const {
    for (size_t at = text_.find('{', from); at != std::string_view::npos;
         at = text_.find('{', at + 1)) {
      if (at + 1 < text_.size() &&
          std::string_view("{%#").find(text_[at + 1]) !=
              std::string_view::npos) {
        return at;
      }
    }
    return std::string_view::npos;
  }

  // Without the blanks before a tag that is the first of its line.
  std::string_view WithoutIndent(std::string_view before) const {
    const size_t newline = before.rfind('\n');
    if (newline == std::string_view::npos && !line_begins_) return before;
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    return StripRight(before.substr(line)).empty() ? before.substr(0, line)
                                                   : before;
  }

  void SkipComment(size_t tag) {
    const size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) {
      FailAt(text_, tag, "this comment is not closed; expected '#}'");
    }
    const char sign = end > at_ ? text_[end - 1] : ' ';
    at_ = end + 2;
    AfterBlock(sign);
  }

  // What goes away after `%}` or `#}`: blanks after a minus, else a line end.
  void AfterBlock(char sign) {
    line_begins_ = false;
    if (sign == '-') {
      SkipBlanks();
    } else if (sign != '+' && at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
    }
    line_begins_ = at_ > 0 && text_[at_ - 1] == '\n';
  }

  void SkipBlanks() {
    at_ = text_.size() - StripLeft(text_.substr(at_)).size();
  }

  // The word of a block tag at `at_`, and past it.
  bool TakeWord(std::string_view word) {
    size_t at = at_;
    while (at < text_.size() && IsAsciiBlank(text_[at])) ++at;
    if (text_.substr(at, word.size()) != word) return false;
    at += word.size();
    while (at < text_.size() && IsAsciiBlank(text_[at])) ++at;
    const bool minus = text_.substr(at, 3) == "-%}";
    const bool plus = text_.substr(at, 3) == "+%}";
    if (!minus && !plus && text_.substr(at, 2) != "%}") return false;
    at_ = at + (minus || plus ? 3 : 2);
    sign_ = minus ? '-' : plus ? '+' : ' ';
    return true;
  }

  // {% raw %} ... {% endraw %}
  bool LexRaw(size_t tag) {
    if (!TakeWord("raw")) return false;
    if (sign_ == '-') SkipBlanks();
    const size_t begin = at_;
    for (size_t at = at_; (at = text_.find("{%", at)) != std::string_view::npos;
         ++at) {
      const char sign = at + 2 < text_.size() ? text_[at + 2] : ' ';
      at_ = at + (sign == '-' || sign == '+' ? 3 : 2);
      if (!TakeWord("endraw")) continue;
      std::string_view inside = text_.substr(begin, at - begin);
      if (sign == '-') inside = StripRight(inside);
      if (sign != '-' && sign != '+') inside = WithoutIndent(inside);
      AddText(inside, begin);
      AfterBlock(sign_);
      return true;
    }
    FailAt(text_, tag, "'raw' is not closed; expected '{% endraw %}'");
  }

  void LexTag(size_t tag, TokenKind begin, TokenKind end,
              std::string_view closing) {
    Add(begin, closing == "%}" ? "{%" : "{{", tag);
    std::vector<char> open;
    while (true) {
      while (at_ < text_.size() && IsAsciiBlank(text_[at_])) ++at_;
      if (at_ >= text_.size()) {
        FailAt(text_, tag,
               fmt::format("this tag is not closed; expected '{}'", closing));
      }
      if (open.empty() && TakeEnd(end, closing)) return;
      LexWord(open);
    }
  }

  bool TakeEnd(TokenKind end, std::string_view closing) {
    const std::string_view rest = text_.substr(at_);
    const bool block = end == TokenKind::kBlockEnd;
    char sign = ' ';
    if (rest[0] == '-' || (block && rest[0] == '+')) sign = rest[0];
    const size_t skip = sign == ' ' ? 0 : 1;
    if (rest.substr(skip, 2) != closing) return false;
    Add(end, std::string(closing), at_);
    at_ += skip + 2;
    if (block) {
      AfterBlock(sign);
    } else {
      line_begins_ = false;
      if (sign == '-') {
        SkipBlanks();
        line_begins_ = text_[at_ - 1] == '\n';
      }
    }
    return true;
  }

  void LexWord(std::vector<char>& open) {
    const char c = text_[at_];
    if (BeginsName(c)) return LexName();
    if (IsDigit(c)) return LexNumber();
    if (c == '\'' || c == '"') return LexString();
    LexOperator(open);
  }

  void LexName() {
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (BeginsName(text_[at_]) || IsDigit(text_[at_]))) {
      ++at_;
    }
    Add(TokenKind::kName, std::string(text_.substr(begin, at_ - begin)), begin);
  }

  void SkipDigits() {
    while (at_ < text_.size() && (IsDigit(text_[at_]) || text_[at_] == '_')) {
      ++at_;
    }
  }

  void LexNumber() {
    const size_t begin = at_;
    TokenKind kind = TokenKind::kInt;
    SkipDigits();
    const auto at = [this](size_t i) {
      return i < text_.size() ? text_[i] : ' ';
    };
    if (at(at_) == '.' && IsDigit(at(at_ + 1))) {
      kind = TokenKind::kFloat;
      ++at_;
      SkipDigits();
    }
    if (at(at_) == 'e' || at(at_) == 'E') {
      const bool sign = at(at_ + 1) == '+' || at(at_ + 1) == '-';
      if (IsDigit(at(at_ + 1 + sign))) {
        kind = TokenKind::kFloat;
        at_ += 1 + sign;
        SkipDigits();
      }
    }
    std::string digits(text_.substr(begin, at_ - begin));
    std::erase(digits, '_');
    Add(kind, std::move(digits), begin);
  }

  void LexString() {
    const size_t begin = at_;
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        value += text_[at_++];
        continue;
      }
      ++at_;
      if (at_ < text_.size()) AppendEscape(value);
    }
    if (at_ >= text_.size()) {
      FailAt(text_, begin,
             fmt::format("this string does not end; expected {}", quote));
    }
    ++at_;
    Add(TokenKind::kString, std::move(value), begin);
  }

  void AppendEscape(std::string& value) {
    static constexpr std::string_view kLetters = "nrtbfav\\'\"";
    static constexpr std::string_view kValues = "\n\r\t\b\f\a\v\\'\"";
    const char c = text_[at_++];
    if (c == '\n') return;  // the line goes on
    if (const size_t at = kLetters.find(c); at != std::string_view::npos) {
      value += kValues[at];
    } else if (IsOctal(c)) {
      uint32_t code = c - '0';
      for (int i = 0; i < 2 && at_ < text_.size() && IsOctal(text_[at_]); ++i) {
        code = code << 3 | static_cast<uint32_t>(text_[at_++] - '0');
      }
      AppendUtf8(value, code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      AppendCode(value, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else {
      value += '\\';
      value += c;
    }
  }

  void AppendCode(std::string& value, size_t digits) {
    const std::string_view hex = text_.substr(at_, digits);
    uint32_t code = 0;
    for (const char c : hex) {
      const char low = static_cast<char>(c | 0x20);
      const bool letter = low >= 'a' && low <= 'f';
      if (!IsDigit(c) && !letter) code = 0xFFFFFFFF;
      if (code != 0xFFFFFFFF) {
        code = code << 4 |
               static_cast<uint32_t>(letter ? low - 'a' + 10 : c - '0');
      }
    }
    if (hex.size() < digits || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000)) {
      FailAt(text_, at_,
             fmt::format("expected {} hexadecimal digits of a "
                         "character, got '{}'",
                         digits, hex));
    }
    AppendUtf8(value, code);
    at_ += digits;
  }

  void LexOperator(std::vector<char>& open) {
    static constexpr std::string_view kTwo[] = {
        "==", "!=", "<=", ">=", "//", "**"};
    const std::string_view two = text_.substr(at_, 2);
    const bool is_two =
        std::find(std::begin(kTwo), std::end(kTwo), two) != std::end(kTwo);
    const char c = text_[at_];
    if (!is_two && std::string_view("+-*/%~()[]{}<>=.,:|").find(c) ==
                       std::string_view::npos) {
      const size_t size = DecodeUtf8(text_.substr(at_)).size;
      FailAt(text_, at_,
             fmt::format("unexpected '{}'", text_.substr(at_, size)));
    }
    if (c == '(' || c == '[' || c == '{') open.push_back(c);
    if (c == ')' || c == ']' || c == '}') {
      const char begin = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || open.back() != begin) {
        FailAt(text_, at_, fmt::format("unexpected '{}'", c));
      }
      open.pop_back();
    }
    Add(TokenKind::kOperator, std::string(is_two ? two : text_.substr(at_, 1)),
        at_);
    at_ += is_two ? 2 : 1;
  }

  void AddText(std::string_view text, size_t at) {
    if (!text.empty()) Add(TokenKind::kText, std::string(text), at);
  }
  void Add(TokenKind kind, std::string text, size_t at) {
    tokens_.push_back({kind, std::move(text), static_cast<int32_t>(at)});
  }

  std::string_view text_;
  size_t at_ = 0;
  bool line_begins_ = true;  // nothing of this line is before at_
  char sign_ = ' ';          // of the end of the last TakeWord
  std::vector<Token> tokens_;
};

}  // namespace

std::string Normalised(std::string_view text) {
  std::string lines;
  lines.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      lines += text[i];
    } else {
      lines += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    }
  }
  if (!lines.empty() && lines.back() == '\n') lines.pop_back();
  return lines;
}

Place PlaceOf(std::string_view text, int32_t at) {
  const std::string_view before = text.substr(0, static_cast<size_t>(at));
  const size_t newline = before.rfind('\n');
  const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
  return {1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')),
          1 + static_cast<int>(before.size() - line_begin)};
}

void FailAt(std::string_view text, int32_t at, std::string_view what) {
  const Place place = PlaceOf(text, at);
  FailWith(fmt::format("{}:{}: {}", place.line, place.column, what));
}

std::vector<Token> Lex(std::string_view text) { return Lexer(text).Run(); }

bool IsBlank(char32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f) ||
         c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

std::string_view StripLeft(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    if (!step.valid || !IsBlank(step.code_point)) break;
    text.remove_prefix(step.size);
  }
  return text;
}

std::string_view StripRight(std::string_view text) {
  while (!text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && text.size() - begin < 4 && ContinuesUtf8(text[begin])) {
      --begin;
    }
    const Utf8Step step = DecodeUtf8(text.substr(begin));
    if (!step.valid || step.size != text.size() - begin ||
        !IsBlank(step.code_point)) {
      break;
    }
    text.remove_suffix(step.size);
  }
  return text;
}

}  // namespace tl::jinja
