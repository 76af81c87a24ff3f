#include "format/mil_lexer.h"

#include <algorithm>

#include "base/error.h"
#include "format/model.h"

namespace tl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool BeginsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '@' || c == '$' || c == '%' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool IsInName(char c) {
  return BeginsName(c) || IsDigit(c) || c == '.' || c == ':' || c == '/';
}

size_t NameLength(std::string_view text) {
  return std::ranges::find_if_not(text, IsInName) - text.begin();
}

// A sign may begin it or follow an exponent.
size_t NumberLength(std::string_view text) {
  size_t size = 1;
  while (size < text.size()) {
    const char c = text[size];
    const char before = text[size - 1];
    const bool exponent =
        before == 'e' || before == 'E' || before == 'p' || before == 'P';
    const bool sign = (c == '+' || c == '-') && exponent;
    if (!sign && c != '.' && !IsDigit(c) && !(c >= 'a' && c <= 'z') &&
        !(c >= 'A' && c <= 'Z')) {
      break;
    }
    ++size;
  }
  return size;
}

}  // namespace

MilToken MilLexer::Take(MilTokenKind kind, size_t size) {
  const MilToken token{kind, text_.substr(at_, size),
                       static_cast<int64_t>(at_)};
  at_ += size;
  return token;
}

MilToken MilLexer::TakeText() {
  size_t end = at_ + 1;
  while (end < text_.size() && text_[end] != '"') {
    end += text_[end] == '\\' ? 2 : 1;
  }
  if (end >= text_.size()) {
    Fail(ErrorKind::kInput, "{}a text does not end",
         Where({MilTokenKind::kText, {}, static_cast<int64_t>(at_)}));
  }
  ++at_;
  const MilToken token = Take(MilTokenKind::kText, end - at_);
  ++at_;
  return token;
}

MilToken MilLexer::Next() {
  at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
  if (at_ == text_.size()) return Take(MilTokenKind::kEnd, 0);
  const std::string_view rest = text_.substr(at_);
  const char c = rest[0];
  if (rest.starts_with("->")) return Take(MilTokenKind::kMark, 2);
  if (rest.starts_with("...")) return Take(MilTokenKind::kMark, 3);
  if (c == '"') return TakeText();
  if (IsDigit(c) || c == '-' || c == '+') {
    return Take(MilTokenKind::kNumber, NumberLength(rest));
  }
  if (BeginsName(c)) return Take(MilTokenKind::kName, NameLength(rest));
  if (std::string_view("()[]{}<>=,;?").find(c) != std::string_view::npos) {
    return Take(MilTokenKind::kMark, 1);
  }
  Fail(ErrorKind::kInput, "{}{} begins nothing",
       Where({MilTokenKind::kMark, {}, static_cast<int64_t>(at_)}),
       QuoteName(rest.substr(0, 1)));
}

std::string MilLexer::Where(const MilToken& token) const {
  const std::string_view before = text_.substr(0, token.offset);
  return fmt::format("{}:{}: ", path_, 1 + std::ranges::count(before, '\n'));
}

std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    const char c = text[++i];
    plain += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
  }
  return plain;
}

}  // namespace tl
