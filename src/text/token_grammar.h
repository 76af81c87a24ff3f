// Text that obeys a grammar, one token after the other: which tokens may come
// next, and the place in the grammar behind those that came. Tokens may be
// parts of characters. Copies go on from the same place, each its own way.
//
// A set of tokens is found by one walk over all of them, and kept: texts come
// to the same places of a grammar again and again.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/grammar_automaton.h"
#include "text/token_texts.h"

namespace tl {

class TokenGrammar {
 public:
  TokenGrammar(Grammar grammar, std::shared_ptr<const TokenTexts> texts);

  // By token. Those that end a text are allowed where the grammar may end.
  // Valid until the next call. Fails behind the end.
  const std::vector<bool>& Allowed();
  // Goes on behind a token; fails for one that is not allowed.
  void Push(int64_t id);

  // Whether the text so far is a whole one.
  bool may_end();
  // Whether it is, and nothing may follow.
  bool must_end() const;
  // A token that ends a text has come.
  bool ended() const { return ended_; }
  // The last bytes of the text, quoted: for messages.
  std::string Tail() const;

 private:
  using Mask = std::vector<bool>;

  struct Shared {
    explicit Shared(Grammar grammar) : automaton(std::move(grammar)) {}

    GrammarAutomaton automaton;
    std::unordered_map<GrammarAutomaton::Set, Mask> masks;
  };

  const SortedTokens& tokens() const {
    return begun_ ? texts_->later : texts_->first;
  }
  // Forgets what was found if it is much; sets from before are void then.
  void Tidy();
  GrammarAutomaton::Set Here();
  Mask MaskOf(GrammarAutomaton::Set set);

  std::shared_ptr<const TokenTexts> texts_;
  std::shared_ptr<Shared> shared_;
  GrammarAutomaton::Places places_;
  Mask first_;
  std::string tail_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace tl
