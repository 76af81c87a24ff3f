#include "text/template_strings.h"

#include <string.h>
#include <utf8proc.h>

#include <utility>

#include "text/template_lexer.h"
#include "text/template_renderer.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

std::string MapCharacters(std::string_view text, auto map) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    if (step.valid) {
      AppendUtf8(result, map(step.code_point));
    } else {
      result += text.substr(0, step.size);
    }
    text.remove_prefix(step.size);
  }
  return result;
}

char32_t UpperOf(char32_t c) {
  return static_cast<char32_t>(
      utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t LowerOf(char32_t c) {
  return static_cast<char32_t>(
      utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace

size_t FindText(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found =
      memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found ? static_cast<const char*>(found) - text.data()
               : std::string_view::npos;
}

bool IsLetter(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

std::string Upper(std::string_view text) {
  // The one small letter of common texts that becomes two capitals.
  std::string result = MapCharacters(
      text, [](char32_t c) { return c == U'\u00df' ? c : UpperOf(c); });
  const std::string_view sharp = "\u00df";
  for (size_t at = 0; (at = result.find(sharp, at)) != std::string::npos;) {
    result.replace(at, sharp.size(), "SS");
  }
  return result;
}
std::string Lower(std::string_view text) {
  return MapCharacters(text, LowerOf);
}

std::string Capitalised(std::string_view text) {
  bool first = true;
  return MapCharacters(text, [&](char32_t c) {
    return std::exchange(first, false) ? UpperOf(c) : LowerOf(c);
  });
}

// Each word with a capital. Words begin after whatever is no letter, or, for
// the filter of this name, after blanks, hyphens and opening brackets.
std::string TitleCased(std::string_view text, bool after_blanks_only) {
  bool first = true;
  return MapCharacters(text, [&](char32_t c) {
    const char32_t mapped = first ? UpperOf(c) : LowerOf(c);
    first = after_blanks_only ? IsBlank(c) || c == '-' || c == '(' ||
                                    c == '{' || c == '[' || c == '<'
                              : !IsLetter(c);
    return mapped;
  });
}

std::string Replaced(std::string_view text, std::string_view from,
                     std::string_view to, int64_t times, Budget& budget) {
  budget.Spend(text.size());
  std::string result;
  size_t begin = 0;
  if (from.empty()) {
    // Between all characters, as Python does.
    for (; times != 0; --times) {
      budget.Spend(to.size() + 1);
      result += to;
      if (begin >= text.size()) return result;
      const size_t size = DecodeUtf8(text.substr(begin)).size;
      result += text.substr(begin, size);
      begin += size;
    }
  }
  for (; times != 0; --times) {
    const size_t at = FindText(text, from, begin);
    if (at == std::string_view::npos) break;
    budget.Spend(to.size() + 1);
    result += text.substr(begin, at - begin);
    result += to;
    begin = at + from.size();
  }
  result += text.substr(begin);
  return result;
}

std::string_view Stripped(std::string_view text, const Value& characters,
                          bool left, bool right) {
  if (!characters.is_defined() || characters.is(Kind::kNone)) {
    if (left) text = StripLeft(text);
    return right ? StripRight(text) : text;
  }
  const std::string& set = StringOf(characters, "the characters to strip");
  const auto in_set = [&](std::string_view c) {
    return set.find(c) != std::string::npos;
  };
  while (left && !text.empty()) {
    const size_t size = DecodeUtf8(text).size;
    if (!in_set(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && ContinuesUtf8(text[begin]) && text.size() - begin < 4) {
      --begin;
    }
    if (!in_set(text.substr(begin))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    const char32_t c = step.code_point;
    const size_t end = at;
    at += step.size;
    if (!((c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
          c == 0x2028 || c == 0x2029)) {
      continue;
    }
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, end - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace tl::jinja
