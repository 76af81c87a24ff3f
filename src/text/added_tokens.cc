#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace tl {
namespace {

// The character that ends `text`, which is not empty.
Utf8Step LastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && ContinuesUtf8(text[begin])) --begin;
  return DecodeUtf8(text.substr(begin));
}

size_t BlanksAtEnd(std::string_view text) {
  size_t blanks = 0;
  while (blanks < text.size()) {
    const Utf8Step last = LastCharacter(text.substr(0, text.size() - blanks));
    if (!IsSpace(last.code_point)) break;
    blanks += last.size;
  }
  return blanks;
}

size_t BlanksAtStart(std::string_view text) {
  size_t blanks = 0;
  while (blanks < text.size()) {
    const Utf8Step step = DecodeUtf8(text.substr(blanks));
    if (!IsSpace(step.code_point)) break;
    blanks += step.size;
  }
  return blanks;
}

}  // namespace

std::string ApplyAll(const Normalizers& normalizers, std::string text) {
  for (const auto& normalizer : normalizers) {
    text = normalizer->Apply(std::move(text));
  }
  return text;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const Normalizers& normalizers)
    : tokens_(std::move(tokens)) {
  std::vector<Trie::Entry> plain, normalized;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.special) special_.insert(token.text);
    const auto index = static_cast<int32_t>(i);
    if (token.normalized) {
      normalized.push_back({ApplyAll(normalizers, token.text), index});
    } else {
      plain.push_back({token.text, index});
    }
  }
  plain_ = Trie(std::move(plain));
  normalized_ = Trie(std::move(normalized));
}

std::vector<Section> AddedTokens::Cut(std::string_view text,
                                      SpecialTokens special) const {
  return Search(plain_, text, special);
}

std::vector<Section> AddedTokens::CutNormalized(std::string_view text,
                                                SpecialTokens special) const {
  return Search(normalized_, text, special);
}

bool AddedTokens::Fits(const AddedToken& token, std::string_view text,
                       size_t from, Section& place) const {
  const std::string_view before = text.substr(0, place.begin);
  const std::string_view behind = text.substr(place.end);
  if (token.single_word) {
    const bool inside =
        (!before.empty() &&
         IsWordCharacter(LastCharacter(before).code_point)) ||
        (!behind.empty() && IsWordCharacter(DecodeUtf8(behind).code_point));
    if (inside) return false;
  }
  if (token.left_strip) {
    place.begin = std::max(place.begin - BlanksAtEnd(before), from);
  }
  if (token.right_strip) place.end += BlanksAtStart(behind);
  return true;
}

// Of tokens that begin at the same place the longest is taken.
std::vector<Section> AddedTokens::Search(const Trie& trie,
                                         std::string_view text,
                                         SpecialTokens special) const {
  std::vector<Section> sections;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    size_t size = 0;
    int32_t index = -1;
    trie.ForEachPrefix(text.substr(at), [&](size_t bytes, int32_t value) {
      size = bytes;
      index = value;
    });
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[index];
    Section place{at, at + size, token.id};
    at += size;
    if (token.special && special == SpecialTokens::kAsText) continue;
    if (!Fits(token, text, done, place)) continue;
    if (place.begin > done) sections.push_back({done, place.begin});
    sections.push_back(place);
    done = place.end;
    at = std::max(at, done);
  }
  if (done < text.size()) sections.push_back({done, text.size()});
  return sections;
}

}  // namespace tl
