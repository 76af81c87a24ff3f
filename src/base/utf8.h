// Reading UTF-8 one character at a time, never past the end and never failing.
// What is not UTF-8 (overlong forms, surrogates, stray bytes) is one byte with
// valid == false.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

struct Utf8Character {
  uint32_t code = 0;  // the byte itself where !valid
  uint32_t bytes = 1;
  bool valid = false;
};

// The character at the beginning of `text`, which is not empty.
Utf8Character FirstCharacter(std::string_view text);

// Characters of `text`; a byte that is not UTF-8 counts as one.
size_t CountCharacters(std::string_view text);

// `code` is at most 0x10FFFF and not a surrogate.
std::string EncodeUtf8(uint32_t code);

}  // namespace tl
