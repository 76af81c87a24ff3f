#include "text/grammar.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"
#include "text/utf8.h"

namespace tl {
namespace {

// Looking whether a rule begins with itself takes stack.
constexpr int kMaxFirstRules = 1000;

// Walks what each rule may begin with. All that is reached before anything must
// be read is called at once; a rule that is reached again is left recursion.
class FirstRules {
 public:
  FirstRules(std::string_view text, const std::vector<GrammarRule>& rules)
      : text_(text), rules_(rules), marks_(rules.size(), Mark::kNew) {}

  void Check() {
    for (size_t rule = 0; rule < rules_.size(); ++rule) MayBeEmpty(rule);
  }

 private:
  enum class Mark : uint8_t { kNew, kInside, kEmpty, kNotEmpty };

  bool MayBeEmpty(size_t rule) {
    Mark& mark = marks_[rule];
    if (mark == Mark::kInside) FailLeftRecursion(rule);
    if (mark == Mark::kNew) {
      if (++depth_ > kMaxFirstRules) {
        FailGrammarAt(text_, rules_[rule].at,
                      fmt::format("more than {} rules begin with each other",
                                  kMaxFirstRules));
      }
      mark = Mark::kInside;
      path_.push_back(rule);
      mark = MayBeEmpty(rules_[rule].body) ? Mark::kEmpty : Mark::kNotEmpty;
      path_.pop_back();
      --depth_;
    }
    return mark == Mark::kEmpty;
  }

  bool MayBeEmpty(const GrammarNode& node) {
    switch (node.kind) {
      case GrammarNode::Kind::kLiteral:
        return node.text.empty();
      case GrammarNode::Kind::kClass:
        return false;
      case GrammarNode::Kind::kRule:
        return MayBeEmpty(node.rule);
      case GrammarNode::Kind::kSequence:
        return std::ranges::all_of(
            node.children, [this](const auto& x) { return MayBeEmpty(x); });
      case GrammarNode::Kind::kChoice: {
        bool some = false;
        for (const GrammarNode& child : node.children) {
          some |= MayBeEmpty(child);
        }
        return some;
      }
      case GrammarNode::Kind::kRepeat:
        return node.max == 0 || MayBeEmpty(node.children[0]) || node.min == 0;
    }
    return false;
  }

  [[noreturn]] void FailLeftRecursion(size_t rule) const {
    std::string way = fmt::format("'{}'", rules_[rule].name);
    const auto first = std::ranges::find(path_, rule);
    for (auto at = first + 1; at != path_.end(); ++at) {
      way += fmt::format(" -> '{}'", rules_[*at].name);
    }
    FailGrammarAt(text_, rules_[rule].at,
                  fmt::format("the rule '{}' begins with itself ({} -> '{}'); "
                              "left recursion is not supported",
                              rules_[rule].name, way, rules_[rule].name));
  }

  std::string_view text_;
  const std::vector<GrammarRule>& rules_;
  std::vector<Mark> marks_;
  std::vector<size_t> path_;
  int depth_ = 0;
};

// Characters whose bytes are ranges, each apart from the others: from the first
// byte of `low` to that of `high`, and so on.
struct ByteRanges {
  std::string low, high;
};

// Appends the bytes of the characters of a range, which UTF-8 writes with
// equally many bytes.
void AppendRanges(char32_t first, char32_t last, int size,
                  std::vector<ByteRanges>& out) {
  // From the end: a byte that does not go from 80 to BF splits the range.
  for (int i = 1; i < size; ++i) {
    const char32_t rest = (char32_t{1} << (6 * i)) - 1;
    if ((first & ~rest) == (last & ~rest)) continue;
    if ((first & rest) != 0) {
      AppendRanges(first, first | rest, size, out);
      AppendRanges((first | rest) + 1, last, size, out);
      return;
    }
    if ((last & rest) != rest) {
      AppendRanges(first, (last & ~rest) - 1, size, out);
      AppendRanges(last & ~rest, last, size, out);
      return;
    }
  }
  ByteRanges ranges;
  AppendUtf8(ranges.low, first);
  AppendUtf8(ranges.high, last);
  out.push_back(std::move(ranges));
}

std::vector<ByteRanges> Utf8Ranges(const std::vector<CharRange>& ranges) {
  // Surrogates are no characters.
  static constexpr struct {
    char32_t first, last;
    int size;
  } kParts[] = {{0, 0x7F, 1},
                {0x80, 0x7FF, 2},
                {0x800, 0xD7FF, 3},
                {0xE000, 0xFFFF, 3},
                {0x10000, 0x10FFFF, 4}};
  std::vector<ByteRanges> out;
  for (const CharRange& range : ranges) {
    for (const auto& part : kParts) {
      const char32_t first = std::max(range.first, part.first);
      const char32_t last = std::min(range.last, part.last);
      if (first <= last) AppendRanges(first, last, part.size, out);
    }
  }
  return out;
}

}  // namespace

uint32_t Grammar::Add(State state) {
  if (states_.size() == kMaxStates) {
    Fail(ErrorKind::kProgram,
         "grammar: more than {} states; its repetitions are too large",
         kMaxStates);
  }
  states_.push_back(state);
  return static_cast<uint32_t>(states_.size() - 1);
}

uint32_t Grammar::CompileBytes(std::string_view bytes, uint32_t next) {
  for (size_t i = bytes.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    next = Add({State::Kind::kByte, byte, byte, next});
  }
  return next;
}

uint32_t Grammar::CompileClass(const GrammarNode& node, uint32_t next) {
  // Characters that end alike share the states of their last bytes.
  std::map<std::tuple<uint8_t, uint8_t, uint32_t>, uint32_t> made;
  std::vector<uint32_t> begins;
  for (const ByteRanges& ranges : Utf8Ranges(node.ranges)) {
    uint32_t at = next;
    for (size_t i = ranges.low.size(); i-- > 0;) {
      const auto low = static_cast<uint8_t>(ranges.low[i]);
      const auto high = static_cast<uint8_t>(ranges.high[i]);
      const auto [place, added] = made.try_emplace({low, high, at}, 0);
      if (added) place->second = Add({State::Kind::kByte, low, high, at});
      at = place->second;
    }
    begins.push_back(at);
  }
  uint32_t choice = begins.back();
  for (size_t i = begins.size() - 1; i-- > 0;) {
    choice = Add({State::Kind::kSplit, 0, 0, begins[i], choice});
  }
  return choice;
}

uint32_t Grammar::CompileRepeat(const GrammarNode& node, uint32_t next) {
  const GrammarNode& child = node.children[0];
  if (node.max == GrammarNode::kNoMaximum) {
    const uint32_t loop = Add({State::Kind::kSplit, 0, 0, 0, next});
    const uint32_t body = Compile(child, loop);
    states_[loop].next = body;
    next = loop;
  } else {
    const uint32_t end = next;
    for (int64_t i = node.min; i < node.max; ++i) {
      next = Add({State::Kind::kSplit, 0, 0, Compile(child, next), end});
    }
  }
  for (int64_t i = 0; i < node.min; ++i) {
    const uint32_t begin = Compile(child, next);
    if (begin == next) break;  // it is empty, so often as one likes
    next = begin;
  }
  return next;
}

uint32_t Grammar::Compile(const GrammarNode& node, uint32_t next) {
  switch (node.kind) {
    case GrammarNode::Kind::kLiteral:
      return CompileBytes(node.text, next);
    case GrammarNode::Kind::kClass:
      return CompileClass(node, next);
    case GrammarNode::Kind::kRule:
      return Add(
          {State::Kind::kCall, 0, 0, next, static_cast<uint32_t>(node.rule)});
    case GrammarNode::Kind::kRepeat:
      return CompileRepeat(node, next);
    case GrammarNode::Kind::kSequence:
      for (size_t i = node.children.size(); i-- > 0;) {
        next = Compile(node.children[i], next);
      }
      return next;
    case GrammarNode::Kind::kChoice: {
      uint32_t choice = Compile(node.children.back(), next);
      for (size_t i = node.children.size() - 1; i-- > 0;) {
        const uint32_t begin = Compile(node.children[i], next);
        choice = Add({State::Kind::kSplit, 0, 0, begin, choice});
      }
      return choice;
    }
  }
  return next;
}

Grammar Grammar::Parse(std::string_view text) {
  const ParsedGrammar parsed = ParseGrammar(text);
  FirstRules(text, parsed.rules).Check();
  Grammar grammar;
  grammar.root_ = parsed.root;
  for (const GrammarRule& rule : parsed.rules) {
    grammar.starts_.push_back(grammar.Compile(rule.body, kEnd));
  }
  return grammar;
}

}  // namespace tl
