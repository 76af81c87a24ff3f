#include "text/grammar_parser.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/template_lexer.h"
#include "text/utf8.h"

namespace tl {
namespace {

using Kind = GrammarNode::Kind;

constexpr char32_t kLastCharacter = 0x10FFFF;

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-';
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Sorted and apart.
std::vector<CharRange> Merged(std::vector<CharRange> ranges) {
  std::ranges::sort(ranges, {}, &CharRange::first);
  std::vector<CharRange> merged;
  for (const CharRange& range : ranges) {
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

std::vector<CharRange> AllBut(const std::vector<CharRange>& ranges) {
  std::vector<CharRange> others;
  char32_t next = 0;
  for (const CharRange& range : ranges) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCharacter) others.push_back({next, kLastCharacter});
  return others;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  ParsedGrammar Parse() {
    SkipBlanks(true);
    while (at_ < text_.size()) ParseRule();
    for (const GrammarRule& rule : grammar_.rules) {
      if (!rule.defined) {
        FailAt(rule.at, fmt::format("there is no rule '{}'", rule.name));
      }
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) {
      Fail(ErrorKind::kProgram,
           "grammar: there is no rule 'root', with which every text begins");
    }
    grammar_.root = root->second;
    return std::move(grammar_);
  }

 private:
  [[noreturn]] void FailAt(size_t at, std::string_view what) const {
    FailGrammarAt(text_, at, what);
  }

  [[noreturn]] void FailExpected(std::string_view what) const {
    if (at_ == text_.size()) {
      FailAt(at_, fmt::format("expected {}, but the grammar ends", what));
    }
    if (Peek() == '\n' || Peek() == '\r') {
      FailAt(at_, fmt::format("expected {}, but the line ends", what));
    }
    const size_t size = DecodeUtf8(text_.substr(at_)).size;
    FailAt(at_,
           fmt::format("expected {}, got '{}'", what, text_.substr(at_, size)));
  }

  // NUL at the end; one in the text is nothing that a rule could have.
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void SkipBlanks(bool newlines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      } else if (c == ' ' || c == '\t' ||
                 (newlines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view ParseName() {
    const size_t begin = at_;
    while (IsWordByte(Peek())) ++at_;
    if (at_ == begin) FailExpected("the name of a rule");
    return text_.substr(begin, at_ - begin);
  }

  size_t RuleOf(std::string_view name, size_t at) {
    const auto [place, added] =
        rules_.try_emplace(std::string(name), grammar_.rules.size());
    if (added) grammar_.rules.push_back({std::string(name), at});
    return place->second;
  }

  void ParseRule() {
    const size_t begin = at_;
    const std::string_view name = ParseName();
    const size_t number = RuleOf(name, begin);
    if (grammar_.rules[number].defined) {
      FailAt(begin, fmt::format("the rule '{}' is there already", name));
    }
    SkipBlanks(false);
    if (!text_.substr(at_).starts_with("::=")) FailExpected("'::='");
    at_ += 3;
    SkipBlanks(true);
    GrammarNode body = ParseChoice(0);
    if (at_ < text_.size() && Peek() != '\n' && Peek() != '\r') {
      FailExpected("a part of the rule or the end of the line");
    }
    SkipBlanks(true);
    grammar_.rules[number].defined = true;
    grammar_.rules[number].body = std::move(body);
  }

  // Inside parentheses, whose number `depth` is, lines may end anywhere.
  GrammarNode ParseChoice(int depth) {
    GrammarNode choice{Kind::kChoice, at_};
    choice.children.push_back(ParseSequence(depth));
    while (Take('|')) {
      SkipBlanks(true);
      choice.children.push_back(ParseSequence(depth));
    }
    if (choice.children.size() > 1) return choice;
    GrammarNode only = std::move(choice.children[0]);
    return only;
  }

  GrammarNode ParseSequence(int depth) {
    GrammarNode sequence{Kind::kSequence, at_};
    std::vector<GrammarNode>& parts = sequence.children;
    while (true) {
      const char c = Peek();
      if (c == '"') {
        parts.push_back(ParseLiteral());
      } else if (c == '[') {
        parts.push_back(ParseClass());
      } else if (c == '.') {
        parts.push_back({Kind::kClass, at_++, "", {{0, kLastCharacter}}});
      } else if (c == '(') {
        parts.push_back(ParseGroup(depth + 1));
      } else if (IsWordByte(c)) {
        GrammarNode rule{Kind::kRule, at_};
        rule.rule = RuleOf(ParseName(), rule.at);
        parts.push_back(std::move(rule));
      } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        ParseRepeat(parts);
      } else {
        return sequence;
      }
      SkipBlanks(depth > 0);
    }
  }

  GrammarNode ParseGroup(int depth) {
    if (depth > kMaxGrammarDepth) {
      FailAt(at_,
             fmt::format("parentheses nest deeper than {}", kMaxGrammarDepth));
    }
    Take('(');
    SkipBlanks(true);
    GrammarNode choice = ParseChoice(depth);
    if (!Take(')')) FailExpected("')'");
    return choice;
  }

  void ParseRepeat(std::vector<GrammarNode>& parts) {
    const size_t begin = at_;
    const char sign = text_[at_++];
    if (parts.empty()) {
      FailAt(begin, fmt::format("nothing stands before '{}'", sign));
    }
    if (parts.back().kind == Kind::kRepeat) {
      FailAt(begin, fmt::format("'{}' repeats a repetition; parentheses around "
                                "that say so",
                                sign));
    }
    GrammarNode repeat{Kind::kRepeat, begin};
    repeat.min = sign == '+' ? 1 : 0;
    repeat.max = sign == '?' ? 1 : GrammarNode::kNoMaximum;
    if (sign == '{') ParseBounds(repeat);
    repeat.children.push_back(std::move(parts.back()));
    parts.back() = std::move(repeat);
  }

  void ParseBounds(GrammarNode& repeat) {
    SkipBlanks(false);
    repeat.min = repeat.max = ParseCount();
    SkipBlanks(false);
    if (Take(',')) {
      SkipBlanks(false);
      repeat.max = IsDigit(Peek()) ? ParseCount() : GrammarNode::kNoMaximum;
      SkipBlanks(false);
    }
    if (!Take('}')) FailExpected("'}'");
    if (repeat.max != GrammarNode::kNoMaximum && repeat.max < repeat.min) {
      FailAt(repeat.at,
             fmt::format("{{{},{}}} is at least {} and at most {}", repeat.min,
                         repeat.max, repeat.min, repeat.max));
    }
  }

  int64_t ParseCount() {
    const size_t begin = at_;
    int64_t count = 0;
    while (IsDigit(Peek()) && count <= kMaxRepetition) {
      count = count * 10 + (text_[at_++] - '0');
    }
    if (at_ == begin) FailExpected("a number");
    if (count > kMaxRepetition) {
      FailAt(begin, fmt::format("repetitions go up to {}", kMaxRepetition));
    }
    return count;
  }

  GrammarNode ParseLiteral() {
    GrammarNode literal{Kind::kLiteral, at_++};
    while (Peek() != '"' || at_ == text_.size()) {
      if (at_ == text_.size()) {
        FailAt(literal.at, "this literal does not end; expected '\"'");
      }
      AppendUtf8(literal.text, ParseCharacter());
    }
    ++at_;
    return literal;
  }

  GrammarNode ParseClass() {
    GrammarNode node{Kind::kClass, at_++};
    const bool others = Take('^');
    while (!Take(']')) {
      if (at_ == text_.size()) {
        FailAt(node.at, "this class does not end; expected ']'");
      }
      node.ranges.push_back(ParseRange());
    }
    if (node.ranges.empty()) {
      FailAt(node.at, "a class without characters; '.' is any character");
    }
    node.ranges = Merged(std::move(node.ranges));
    if (others) node.ranges = AllBut(node.ranges);
    if (node.ranges.empty()) FailAt(node.at, "no character is in this class");
    return node;
  }

  CharRange ParseRange() {
    const size_t begin = at_;
    const char32_t first = ParseCharacter();
    // At the end a '-' is itself.
    if (Peek() != '-' || text_.substr(at_).starts_with("-]")) {
      return {first, first};
    }
    ++at_;
    if (at_ == text_.size()) return {first, first};  // the class does not end
    const char32_t last = ParseCharacter();
    if (last < first) {
      FailAt(begin, fmt::format("the range {} ends before it begins",
                                text_.substr(begin, at_ - begin)));
    }
    return {first, last};
  }

  char32_t ParseCharacter() {
    if (Peek() != '\\') {
      const Utf8Step step = DecodeUtf8(text_.substr(at_));
      if (!step.valid) FailAt(at_, "a byte that is no UTF-8");
      at_ += step.size;
      return step.code_point;
    }
    const size_t begin = at_++;
    const char c = Peek();
    if (c != '\0') ++at_;
    switch (c) {
      case 'x':
        return ParseHex(begin, 2);
      case 'u':
        return ParseHex(begin, 4);
      case 'U':
        return ParseHex(begin, 8);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
        return c;
      default:
        FailAt(begin,
               "unknown escape; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\xHH "
               "\\uHHHH \\UHHHHHHHH");
    }
  }

  char32_t ParseHex(size_t begin, int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = HexDigit(Peek());
      if (digit < 0) {
        FailAt(begin, fmt::format("expected {} hexadecimal digits behind '{}'",
                                  digits, text_.substr(begin, 2)));
      }
      code = code * 16 + digit;
    }
    if (code > kLastCharacter || (code >= 0xD800 && code <= 0xDFFF)) {
      FailAt(begin, fmt::format("{} is no character",
                                text_.substr(begin, at_ - begin)));
    }
    return code;
  }

  std::string_view text_;
  size_t at_ = 0;
  ParsedGrammar grammar_;
  std::unordered_map<std::string, size_t> rules_;
};

}  // namespace

void FailGrammarAt(std::string_view text, size_t at, std::string_view what) {
  const jinja::Place place = jinja::PlaceOf(text, static_cast<int32_t>(at));
  Fail(ErrorKind::kProgram, "grammar:{}:{}: {}", place.line, place.column,
       what);
}

ParsedGrammar ParseGrammar(std::string_view text) {
  if (text.size() > kMaxGrammarBytes) {
    Fail(ErrorKind::kProgram, "grammar: {} bytes; at most {} are read",
         text.size(), kMaxGrammarBytes);
  }
  return Parser(text).Parse();
}

}  // namespace tl
