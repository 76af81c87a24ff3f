// The tokens of a tokenizer: texts and their numbers, both ways. A number
// without a token is a gap. Which tokens are special is added_tokens.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;
// Forty times the largest known; a number above is a broken file.
inline constexpr int64_t kMaxTokens = 10'000'000;

// Two numbers with the same text: Unigram's trainer makes such vocabularies.
enum class SameText { kRefused, kLastIsFound };

class Vocabulary {
 public:
  // Fails for a number out of bounds and for a text or number that is taken.
  // `source` names the file's part in messages.
  void Add(int64_t id, std::string_view text, std::string_view source,
           SameText same = SameText::kRefused);
  void Reserve(size_t tokens);

  // One above the largest number.
  int64_t size() const { return static_cast<int64_t>(places_.size()); }
  bool Has(int64_t id) const {
    return id >= 0 && id < size() && places_[id] != kNowhere;
  }
  const std::string& Text(TokenId id) const {
    return tokens_[places_[id]].text;
  }
  // kNoToken if there is none of this text.
  TokenId Find(std::string_view text) const;

 private:
  static constexpr int32_t kNowhere = -1;

  struct Token {
    std::string text;
    TokenId id;
  };

  // Where in slots_ the text is or would be.
  size_t SlotOf(std::string_view text) const;

  std::vector<Token> tokens_;  // in the order they came
  // By number: where in tokens_. A gap costs no more than this, so a small file
  // with a large number takes little memory.
  std::vector<int32_t> places_;
  std::vector<int32_t> slots_;  // a hash table of places, open addressing
};

// The token <0x41> of each byte, kNoToken where there is none.
std::vector<TokenId> ByteTokens(const Vocabulary& vocabulary);

// 0 to 255 for "<0x41>", -1 for any other text.
int ByteOfToken(std::string_view text);

}  // namespace tl
