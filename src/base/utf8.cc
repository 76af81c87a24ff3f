#include "base/utf8.h"

namespace tl {
namespace {

bool IsContinuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// How many bytes a character with this first byte takes; 0 for none.
uint32_t LengthFrom(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

}  // namespace

Utf8Character FirstCharacter(std::string_view text) {
  unsigned char first = static_cast<unsigned char>(text[0]);
  uint32_t length = LengthFrom(first);
  if (length == 1) return {first, 1, true};
  Utf8Character invalid{first, 1, false};
  if (length == 0 || text.size() < length) return invalid;
  uint32_t code = first & (0x7Fu >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return invalid;
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  // Overlong forms, surrogates and codes past the last plane.
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF) return invalid;
  if (code >= 0xD800 && code <= 0xDFFF) return invalid;
  return {code, length, true};
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(FirstCharacter(text).bytes);
  return count;
}

std::string EncodeUtf8(uint32_t code) {
  auto low = [code](int shift) {
    return static_cast<char>(0x80 | (code >> shift & 0x3F));
  };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 | code >> 6), low(0)};
  if (code < 0x10000) {
    return {static_cast<char>(0xE0 | code >> 12), low(6), low(0)};
  }
  return {static_cast<char>(0xF0 | code >> 18), low(12), low(6), low(0)};
}

}  // namespace tl
