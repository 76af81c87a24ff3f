// Hashes for tables in memory: of words one after the other, and of names.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

namespace tl {

// Multiplying spreads a word over those above it, the shift over those below
// (2^64 / golden ratio).
constexpr uint64_t HashWord(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 32;
}

// Names in programs are short: all bytes of such a one are in two words.
inline uint64_t HashText(std::string_view text) {
  constexpr size_t kWord = sizeof(uint64_t);
  const size_t size = text.size();
  if (size > 2 * kWord) return std::hash<std::string_view>{}(text);
  uint64_t first = 0, last = 0;
  if (size >= kWord) {
    std::memcpy(&first, text.data(), kWord);
    std::memcpy(&last, text.data() + size - kWord, kWord);
  } else if (size >= 4) {
    std::memcpy(&first, text.data(), 4);
    std::memcpy(&last, text.data() + size - 4, 4);
  } else if (size > 0) {
    first = static_cast<unsigned char>(text[0]);
    last = uint64_t{static_cast<unsigned char>(text[size / 2])} << 8 |
           static_cast<unsigned char>(text[size - 1]);
  }
  return HashWord(HashWord(size, first), last);
}

}  // namespace tl
