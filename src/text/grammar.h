// A grammar that texts may be held against, byte by byte: the rules of GBNF
// (grammar_parser.h) compiled to states, as of a finite automaton but for the
// calls of rules. Classes of characters have become ranges of UTF-8's bytes, so
// half a character needs no care. Refuses left recursion, with which a rule
// would call itself for ever. Read next: grammar_automaton.h.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/grammar_parser.h"

namespace tl {

class Grammar {
 public:
  struct State {
    enum class Kind : uint8_t {
      kEnd,    // of a rule
      kByte,   // one from low to high, then next
      kSplit,  // next or other
      kCall,   // the rule number `other`, then next
    };

    Kind kind;
    uint8_t low = 0;
    uint8_t high = 0;
    uint32_t next = 0;
    uint32_t other = 0;
  };
  static constexpr uint32_t kEnd = 0;  // the state that ends all rules
  // 12 MiB; a repetition makes as many as it repeats.
  static constexpr size_t kMaxStates = size_t{1} << 20;

  static Grammar Parse(std::string_view text);

  const State& state(uint32_t number) const { return states_[number]; }
  const std::vector<State>& states() const { return states_; }
  uint32_t StartOf(uint32_t rule) const { return starts_[rule]; }
  uint32_t start() const { return starts_[root_]; }

 private:
  Grammar() = default;
  uint32_t Add(State state);
  // The state that reads what the node means and goes on with `next`.
  uint32_t Compile(const GrammarNode& node, uint32_t next);
  uint32_t CompileRepeat(const GrammarNode& node, uint32_t next);
  uint32_t CompileClass(const GrammarNode& node, uint32_t next);
  uint32_t CompileBytes(std::string_view bytes, uint32_t next);

  std::vector<State> states_ = {{State::Kind::kEnd}};
  std::vector<uint32_t> starts_;  // by rule
  size_t root_ = 0;
};

}  // namespace tl
