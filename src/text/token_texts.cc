#include "text/token_texts.h"

#include <algorithm>

namespace tl {
namespace {

enum class Where { kFirst, kLater };

std::vector<SortedTokens::Token> TokensOf(const Tokenizer& tokenizer,
                                          Where where) {
  // Halves of characters are what they are.
  constexpr DetokenizeOptions kRaw = {.skip_special = true,
                                      .wrong_bytes = WrongBytes::kKeep};
  const std::vector<TokenId>& ends = tokenizer.special().ends;
  std::vector<SortedTokens::Token> tokens;
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (!tokenizer.HasToken(id) || tokenizer.IsSpecial(id) ||
        std::ranges::find(ends, id) != ends.end()) {
      continue;
    }
    // Behind itself it is in the midst of a text.
    const TokenId twice[] = {id, id};
    std::string bytes = tokenizer.Detokenize({twice, 1}, kRaw);
    if (where == Where::kLater) {
      const size_t first = bytes.size();
      bytes = tokenizer.Detokenize(twice, kRaw);
      bytes.erase(0, std::min(first, bytes.size()));
    }
    if (!bytes.empty()) tokens.push_back({std::move(bytes), id});
  }
  return tokens;
}

}  // namespace

SortedTokens::SortedTokens(std::vector<Token> tokens)
    : tokens_(std::move(tokens)) {
  std::ranges::sort(tokens_, {}, &Token::bytes);
  places_.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    places_.emplace(tokens_[i].id, static_cast<uint32_t>(i));
    if (i == 0) continue;
    const std::string& before = tokens_[i - 1].bytes;
    const std::string& bytes = tokens_[i].bytes;
    tokens_[i].common =
        std::ranges::mismatch(before, bytes).in1 - before.begin();
  }
}

std::string_view SortedTokens::BytesOf(int64_t id) const {
  const auto place = places_.find(id);
  if (place == places_.end()) return "";
  return tokens_[place->second].bytes;
}

TokenTexts::TokenTexts(const Tokenizer& tokenizer)
    : first(TokensOf(tokenizer, Where::kFirst)),
      later(TokensOf(tokenizer, Where::kLater)),
      vocabulary_size(tokenizer.vocabulary_size()) {
  for (TokenId id : tokenizer.special().ends) {
    if (tokenizer.HasToken(id)) ends.push_back(id);
  }
}

}  // namespace tl
