// UTF-8 as the tokenizers meet it. Texts may hold any bytes: whoever enters a
// tokenizer passes through WholeText(), so everything behind it sees valid
// UTF-8 only. Classes of characters are unicode.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Utf8Step {
  char32_t code_point;  // kReplacement where `valid` is not set
  uint8_t size;         // bytes, at least 1
  bool valid;
};

// The character at the beginning of `text`, which is not empty. Of wrong bytes
// one step takes as many as could have begun a character: what Unicode calls a
// maximal subpart, and what Rust and Python replace by one U+FFFD.
Utf8Step DecodeUtf8(std::string_view text);

void AppendUtf8(std::string& text, char32_t code_point);
std::string Utf8Of(std::u32string_view code_points);

// Bytes of the character that begins with `lead`, in valid UTF-8.
inline size_t Utf8Size(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Whether the byte continues a character.
inline bool ContinuesUtf8(char byte) { return (byte & 0xC0) == 0x80; }

bool IsUtf8(std::string_view text);

// `text` with U+FFFD in place of each wrong sequence.
std::string WholeText(std::string_view text);

// How many bytes at the end of `text` begin a character whose rest is missing.
size_t UnfinishedUtf8(std::string_view text);

}  // namespace tl
