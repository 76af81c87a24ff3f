#include "text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "text/unicode_versions.h"
#include "text/utf8.h"

namespace tl {
namespace {

utf8proc_category_t CategoryOf(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

utf8proc_option_t OptionsOf(NormalForm form) {
  const int stable = UTF8PROC_STABLE;
  switch (form) {
    case NormalForm::kNFC:
      return static_cast<utf8proc_option_t>(stable | UTF8PROC_COMPOSE);
    case NormalForm::kNFD:
      return static_cast<utf8proc_option_t>(stable | UTF8PROC_DECOMPOSE);
    case NormalForm::kNFKC:
      return static_cast<utf8proc_option_t>(stable | UTF8PROC_COMPOSE |
                                            UTF8PROC_COMPAT);
    case NormalForm::kNFKD:
      return static_cast<utf8proc_option_t>(stable | UTF8PROC_DECOMPOSE |
                                            UTF8PROC_COMPAT);
  }
  return UTF8PROC_STABLE;
}

bool IsAscii(std::string_view text) {
  for (char c : text) {
    if (static_cast<uint8_t>(c) >= 0x80) return false;
  }
  return true;
}

void AppendNormal(std::string& out, std::string_view text, NormalForm form) {
  if (text.empty()) return;
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &result, OptionsOf(form));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owned(result,
                                                                 std::free);
  if (size < 0) {
    Fail(ErrorKind::kInternal, "a text of {} bytes cannot be normalised: {}",
         text.size(), utf8proc_errmsg(size));
  }
  out.append(reinterpret_cast<const char*>(result), size);
}

}  // namespace

bool IsSpace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  if (c == 0x85) return true;
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:  // utf8proc's enum, of thirty
      return false;
  }
}

// U+166D and U+111C9 were punctuation once.
bool IsPunctuation(char32_t c) {
  const int category = CategoryOf(c);
  const bool punctuation =
      category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
  return (punctuation && !IsLaterPunctuation(c)) || c == 0x166D || c == 0x111C9;
}

// U+1CF2 and U+1CF3 were marks once.
bool IsMark(char32_t c) {
  const int category = CategoryOf(c);
  const bool mark =
      category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
  return (mark && !IsLaterCombining(c)) || c == 0x1CF2 || c == 0x1CF3;
}

// U+1734 was one once.
bool IsNonspacingMark(char32_t c) {
  const bool mark = CategoryOf(c) == UTF8PROC_CATEGORY_MN;
  return (mark && !IsLaterNonspacing(c)) || c == 0x1734;
}

bool IsNumber(char32_t c) {
  const int category = CategoryOf(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool IsOther(char32_t c) {
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_CF:
      return !IsLaterFormat(c);
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CO:
      return true;
    default:  // utf8proc's enum, of thirty
      return false;
  }
}

bool IsWordCharacter(char32_t c) {
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:  // utf8proc's enum, of thirty
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9);
  }
}

bool IsIdeograph(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range kRanges[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
      {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
      {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
  };
  for (const Range& range : kRanges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

// Characters that are later than the tables stay, and what stands on both sides
// of one is normalised apart.
std::string Normalize(std::string_view text, NormalForm form) {
  if (IsAscii(text)) return std::string(text);
  std::string normal;
  normal.reserve(text.size());
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    if (IsLaterInNormalForms(step.code_point)) {
      AppendNormal(normal, text.substr(done, at - done), form);
      normal += text.substr(at, step.size);
      done = at + step.size;
    }
    at += step.size;
  }
  AppendNormal(normal, text.substr(done), form);
  return normal;
}

std::string Lowercase(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    at += step.size;
    // The only character whose small form is two.
    if (step.code_point == 0x130) {
      lower += "i\xCC\x87";
    } else {
      AppendUtf8(lower, utf8proc_tolower(
                            static_cast<utf8proc_int32_t>(step.code_point)));
    }
  }
  return lower;
}

size_t GraphemeSize(std::string_view text) {
  utf8proc_int32_t state = 0;
  Utf8Step step = DecodeUtf8(text);
  size_t size = step.size;
  while (size < text.size()) {
    const Utf8Step next = DecodeUtf8(text.substr(size));
    if (utf8proc_grapheme_break_stateful(
            static_cast<utf8proc_int32_t>(step.code_point),
            static_cast<utf8proc_int32_t>(next.code_point), &state)) {
      break;
    }
    size += next.size;
    step = next;
  }
  return size;
}

}  // namespace tl
