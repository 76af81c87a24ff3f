// A "precompiled charsmap": SentencePiece's table of what becomes of which
// characters, as it stands in tokenizer.json and in GGUF.
//
//   u32 size; u32 units[size / 4]    a double-array trie over UTF-8
//   char replacements[]              each ended by a zero byte
//
// The value of a key is where in `replacements` its own begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

class Charsmap {
 public:
  // Fails for bytes whose sizes do not fit.
  explicit Charsmap(std::string_view bytes);

  struct Match {
    size_t size;  // bytes of the key
    std::string_view replacement;
  };

  // The shortest and the longest key that `text` begins with.
  std::optional<Match> Shortest(std::string_view text) const;
  std::optional<Match> Longest(std::string_view text) const;

 private:
  template <class F>
  void ForEachKey(std::string_view text, F found) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

// What the library `tokenizers` does with the table: a short grapheme that
// begins with a key becomes that key's replacement, otherwise each character.
std::string ReplaceByGrapheme(const Charsmap& map, std::string_view text);

}  // namespace tl
