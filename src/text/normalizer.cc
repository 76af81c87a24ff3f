#include "text/normalizer.h"

#include "text/byte_level.h"
#include "text/utf8.h"

namespace tl {
namespace {

// The text without the characters for which drop(c) holds.
template <class F>
std::string Without(std::string_view text, F drop) {
  std::string kept;
  kept.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    if (!drop(step.code_point)) kept += text.substr(at, step.size);
    at += step.size;
  }
  return kept;
}

bool IsNmtControl(char32_t c) {
  return (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) ||
         c == 0x7F || c == 0x8F || c == 0x9F;
}

bool IsNmtBlank(char32_t c) {
  switch (c) {
    case 0x9:
    case 0xA:
    case 0xC:
    case 0xD:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x2581:
    case 0xFEFF:
    case 0xFFFD:
      return true;
    default:
      return c >= 0x200B && c <= 0x200F;
  }
}

std::string Cleaned(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    const char32_t c = step.code_point;
    const bool blank = c == '\t' || c == '\n' || c == '\r';
    if (blank || (c != 0 && c != kReplacement && !IsOther(c))) {
      if (blank || IsSpace(c)) {
        clean += ' ';
      } else {
        clean += text.substr(at, step.size);
      }
    }
    at += step.size;
  }
  return clean;
}

std::string WithBlanksAroundIdeographs(std::string_view text) {
  std::string spaced;
  spaced.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    const bool ideograph = IsIdeograph(step.code_point);
    if (ideograph) spaced += ' ';
    spaced += text.substr(at, step.size);
    if (ideograph) spaced += ' ';
    at += step.size;
  }
  return spaced;
}

}  // namespace

std::string FormNormalizer::Apply(std::string text) const {
  return Normalize(text, form_);
}

std::string LowercaseNormalizer::Apply(std::string text) const {
  return Lowercase(text);
}

std::string StripAccentsNormalizer::Apply(std::string text) const {
  return Without(text, IsMark);
}

std::string StripNormalizer::Apply(std::string text) const {
  size_t begin = 0;
  size_t end = text.size();
  while (sides_.left && begin < end) {
    const Utf8Step step = DecodeUtf8(std::string_view(text).substr(begin));
    if (!IsSpace(step.code_point)) break;
    begin += step.size;
  }
  while (sides_.right && begin < end) {
    size_t last = end - 1;
    while (ContinuesUtf8(text[last])) --last;
    const std::string_view tail = std::string_view(text).substr(last);
    if (!IsSpace(DecodeUtf8(tail).code_point)) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::string ReplaceNormalizer::Apply(std::string text) const {
  std::string replaced;
  replaced.reserve(text.size());
  for (const TextSpan& span : pattern_.Cut(text)) {
    if (span.matched) {
      replaced += content_;
    } else {
      replaced.append(text, span.begin, span.end - span.begin);
    }
  }
  return replaced;
}

std::string PrependNormalizer::Apply(std::string text) const {
  return text.empty() ? text : prefix_ + text;
}

std::string NmtNormalizer::Apply(std::string text) const {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(std::string_view(text).substr(at));
    if (IsNmtBlank(step.code_point)) {
      result += ' ';
    } else if (!IsNmtControl(step.code_point)) {
      result.append(text, at, step.size);
    }
    at += step.size;
  }
  return result;
}

std::string CharsmapNormalizer::Apply(std::string text) const {
  return ReplaceByGrapheme(map_, text);
}

std::string ByteLevelNormalizer::Apply(std::string text) const {
  std::string mapped;
  AppendByteLevel(mapped, text);
  return mapped;
}

std::string BertNormalizer::Apply(std::string text) const {
  if (options_.clean_text) text = Cleaned(text);
  if (options_.ideographs) text = WithBlanksAroundIdeographs(text);
  if (options_.strip_accents) {
    text = Without(Normalize(text, NormalForm::kNFD), IsNonspacingMark);
  }
  return options_.lowercase ? Lowercase(text) : text;
}

Charsmap::Match SentencePieceNormalizer::Step(std::string_view text) const {
  if (options_.map) {
    if (const auto match = options_.map->Longest(text)) return *match;
  }
  const size_t size = Utf8Size(text[0]);
  return {size, text.substr(0, size)};
}

std::string SentencePieceNormalizer::Apply(std::string text) const {
  const bool trim = options_.remove_extra_spaces;
  std::string_view rest = text;
  while (trim && !rest.empty()) {
    const Charsmap::Match step = Step(rest);
    if (step.replacement != " ") break;
    rest.remove_prefix(step.size);
  }
  std::string result;
  if (rest.empty()) return result;
  result.reserve(rest.size() + rest.size() / 4 + 4);
  if (options_.prefix) result += kSpaceMark;
  bool after_blank = trim;
  while (!rest.empty()) {
    auto [size, replacement] = Step(rest);
    rest.remove_prefix(size);
    while (after_blank && replacement.starts_with(' ')) {
      replacement.remove_prefix(1);
    }
    if (replacement.empty()) continue;
    for (char c : replacement) {
      if (c == ' ') {
        result += kSpaceMark;
      } else {
        result += c;
      }
    }
    after_blank = trim && replacement.ends_with(' ');
  }
  while (trim && result.ends_with(kSpaceMark)) {
    result.resize(result.size() - kSpaceMark.size());
  }
  return result;
}

}  // namespace tl
