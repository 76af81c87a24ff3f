// The text of a grammar as a tree of rules: GBNF, the notation of llama.cpp.
//
//     root  ::= "yes" | "no" " "? word{1,3}   # a comment
//     word  ::= [a-z]+ | [^\x00-\x7F] .
//
// Every refusal says where: "grammar:2:10: ...". That rules can be followed is
// for grammar.h to see.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

// Both ends belong to it.
struct CharRange {
  char32_t first;
  char32_t last;
};

struct GrammarNode {
  enum class Kind : uint8_t {
    kLiteral,   // text
    kClass,     // one character of ranges, which are sorted and apart
    kSequence,  // children one after the other
    kChoice,    // one of the children
    kRepeat,    // the only child, min to max times
    kRule,      // rule
  };
  static constexpr int64_t kNoMaximum = -1;

  Kind kind;
  size_t at = 0;  // offset in the text
  std::string text = {};
  std::vector<CharRange> ranges = {};
  std::vector<GrammarNode> children = {};
  int64_t min = 0;
  int64_t max = 0;
  size_t rule = 0;
};

struct GrammarRule {
  std::string name;
  size_t at = 0;  // where it is first mentioned
  bool defined = false;
  GrammarNode body = {GrammarNode::Kind::kSequence};
};

struct ParsedGrammar {
  std::vector<GrammarRule> rules;
  size_t root = 0;
};

inline constexpr size_t kMaxGrammarBytes = size_t{1} << 20;
// In {m,n}; it is written out.
inline constexpr int64_t kMaxRepetition = 10'000;
// Of parentheses: reading and compiling them takes stack.
inline constexpr int kMaxGrammarDepth = 100;

// Fails where a rule is missing or twice there.
ParsedGrammar ParseGrammar(std::string_view text);

// "grammar:line:column: ".
[[noreturn]] void FailGrammarAt(std::string_view text, size_t at,
                                std::string_view what);

}  // namespace tl
