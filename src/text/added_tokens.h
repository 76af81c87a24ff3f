// Tokens that a text is searched for as a whole, before anything else cuts it:
// special ones ("<s>", "<|im_end|>") and what a user added to a vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace tl {

struct AddedToken {
  TokenId id = kNoToken;
  std::string text;
  bool special = false;
  bool normalized = false;   // is looked for in the normalised text
  bool left_strip = false;   // takes the blanks before it along
  bool right_strip = false;  // and those behind it
  bool single_word = false;  // not inside a word
};

// A part of a text: an added token, or what stands between two.
struct Section {
  size_t begin;
  size_t end;
  TokenId id = kNoToken;
};

enum class SpecialTokens { kParse, kAsText };

class AddedTokens {
 public:
  AddedTokens() = default;
  // `normalizers` act on the texts of the tokens that want it.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizers& normalizers);

  // Of a text as the user wrote it, and of what became of a part of it.
  std::vector<Section> Cut(std::string_view text, SpecialTokens special) const;
  std::vector<Section> CutNormalized(std::string_view text,
                                     SpecialTokens special) const;

  // By its text: a vocabulary may hold it twice.
  bool IsSpecial(std::string_view text) const {
    return special_.contains(text);
  }

 private:
  std::vector<Section> Search(const Trie& trie, std::string_view text,
                              SpecialTokens special) const;
  // Whether the token may stand at these bytes, which it may extend.
  bool Fits(const AddedToken& token, std::string_view text, size_t from,
            Section& place) const;

  std::vector<AddedToken> tokens_;
  std::set<std::string, std::less<>> special_;
  Trie plain_;  // values are indices of tokens_
  Trie normalized_;
};

std::string ApplyAll(const Normalizers& normalizers, std::string text);

}  // namespace tl
