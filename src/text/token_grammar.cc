#include "text/token_grammar.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace tl {
namespace {

using Set = GrammarAutomaton::Set;

// A mask of 128,000 tokens takes 16 KB.
constexpr size_t kMostMasks = 500;
constexpr size_t kTailBytes = 40;

}  // namespace

TokenGrammar::TokenGrammar(Grammar grammar,
                           std::shared_ptr<const TokenTexts> texts)
    : texts_(std::move(texts)),
      shared_(std::make_shared<Shared>(std::move(grammar))),
      places_(shared_->automaton.Start()) {}

Set TokenGrammar::Here() { return shared_->automaton.SetOf(places_); }

bool TokenGrammar::may_end() { return shared_->automaton.MayEnd(Here()); }

bool TokenGrammar::must_end() const {
  return places_.size() == 1 && places_[0] == GrammarAutomaton::kTextEnd;
}

TokenGrammar::Mask TokenGrammar::MaskOf(Set set) {
  Mask mask(texts_->vocabulary_size);
  // Where each byte of the token leads to, and how many of them lead anywhere:
  // what shares more than those with it is refused, too.
  std::vector<Set> way = {set};
  for (const SortedTokens::Token& token : tokens().tokens()) {
    if (token.common >= way.size()) continue;
    way.resize(token.common + 1);
    while (way.size() <= token.bytes.size()) {
      const auto byte = static_cast<uint8_t>(token.bytes[way.size() - 1]);
      const Set to = shared_->automaton.Step(way.back(), byte);
      if (to == GrammarAutomaton::kDead) break;
      way.push_back(to);
    }
    mask[token.id] = way.size() > token.bytes.size();
  }
  if (shared_->automaton.MayEnd(set)) {
    for (TokenId id : texts_->ends) mask[id] = true;
  }
  return mask;
}

void TokenGrammar::Tidy() {
  if (shared_->automaton.Trim() || shared_->masks.size() > kMostMasks) {
    shared_->masks.clear();
  }
}

const std::vector<bool>& TokenGrammar::Allowed() {
  if (ended_) {
    Fail(ErrorKind::kProgram,
         "grammar: the text has ended; a copy made before begins anew");
  }
  Tidy();
  const Set here = Here();
  if (!begun_) return first_ = MaskOf(here);
  const auto known = shared_->masks.find(here);
  if (known != shared_->masks.end()) return known->second;
  return shared_->masks.emplace(here, MaskOf(here)).first->second;
}

void TokenGrammar::Push(int64_t id) {
  const bool end = std::ranges::find(texts_->ends, id) != texts_->ends.end();
  const std::string_view bytes = tokens().BytesOf(id);
  Tidy();
  Set set = Here();
  for (char byte : bytes) {
    if (set == GrammarAutomaton::kDead) break;
    set = shared_->automaton.Step(set, static_cast<uint8_t>(byte));
  }
  if (ended_ || set == GrammarAutomaton::kDead ||
      (end ? !may_end() : bytes.empty())) {
    Fail(ErrorKind::kProgram, "grammar: the token {} may not follow {}", id,
         Tail());
  }
  ended_ = end;
  if (end) return;
  begun_ = true;
  places_ = shared_->automaton.PlacesOf(set);
  tail_ += bytes;
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string TokenGrammar::Tail() const {
  if (!begun_) return "the beginning";
  std::string_view tail = tail_;
  while (!tail.empty() && ContinuesUtf8(tail.front())) tail.remove_prefix(1);
  return fmt::format("'{}'", WholeText(tail));
}

}  // namespace tl
