#include "text/utf8.h"

#include <algorithm>

namespace tl {
namespace {

// What the second byte may be after a lead byte: less than 80..BF where the
// character would be overlong, a surrogate or above U+10FFFF.
struct Lead {
  int size;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2 || byte > 0xF4) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {4};
}

// Bytes of `text` that a character may begin with, at most `lead.size`.
size_t FittingBytes(std::string_view text, const Lead& lead) {
  const size_t most = std::min<size_t>(lead.size, text.size());
  size_t size = 1;
  while (size < most) {
    const auto byte = static_cast<uint8_t>(text[size]);
    const bool fits = size == 1 ? byte >= lead.low && byte <= lead.high
                                : ContinuesUtf8(text[size]);
    if (!fits) break;
    ++size;
  }
  return size;
}

}  // namespace

Utf8Step DecodeUtf8(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = LeadOf(first);
  if (lead.size == 0) return {kReplacement, 1, false};
  const size_t size = FittingBytes(text, lead);
  if (static_cast<int>(size) < lead.size) {
    return {kReplacement, static_cast<uint8_t>(size), false};
  }
  char32_t code_point = first & (0x7F >> lead.size);
  for (size_t i = 1; i < size; ++i) {
    code_point = code_point << 6 | (text[i] & 0x3F);
  }
  return {code_point, static_cast<uint8_t>(size), true};
}

void AppendUtf8(std::string& text, char32_t code_point) {
  const auto tail = [&](int shift) {
    text.push_back(static_cast<char>(0x80 | (code_point >> shift & 0x3F)));
  };
  if (code_point < 0x80) {
    text.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    text.push_back(static_cast<char>(0xC0 | code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | code_point >> 12));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xF0 | code_point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string Utf8Of(std::u32string_view code_points) {
  std::string text;
  for (char32_t code_point : code_points) AppendUtf8(text, code_point);
  return text;
}

bool IsUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    if (!step.valid) return false;
    at += step.size;
  }
  return true;
}

std::string WholeText(std::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  std::string whole;
  whole.reserve(text.size() + 16);
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    AppendUtf8(whole, step.code_point);
    at += step.size;
  }
  return whole;
}

size_t UnfinishedUtf8(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const char byte = text[text.size() - back];
    if (ContinuesUtf8(byte)) continue;
    const Lead lead = LeadOf(static_cast<uint8_t>(byte));
    const std::string_view tail = text.substr(text.size() - back);
    const bool unfinished =
        lead.size > static_cast<int>(back) && FittingBytes(tail, lead) == back;
    return unfinished ? back : 0;
  }
  return 0;
}

}  // namespace tl
