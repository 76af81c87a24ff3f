// Which texts a grammar takes, and what it says of grammars that are wrong.
// grammar_test.py holds the same against llama.cpp.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/grammar_automaton.h"
#include "text/utf8.h"

namespace tl {
namespace {

std::string Fault(auto f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kProgram);
    return error.text();
  }
  return "none";
}

std::string FaultOf(std::string_view grammar) {
  return Fault([&] { GrammarAutomaton(Grammar::Parse(grammar)).Start(); });
}

// "yes", "more" (a beginning only), "no".
std::string Answer(std::string_view grammar, std::string_view text) {
  GrammarAutomaton automaton(Grammar::Parse(grammar));
  GrammarAutomaton::Set set = automaton.SetOf(automaton.Start());
  for (char byte : text) {
    set = automaton.Step(set, static_cast<uint8_t>(byte));
    if (set == GrammarAutomaton::kDead) return "no";
  }
  return automaton.MayEnd(set) ? "yes" : "more";
}

struct Row {
  std::string_view grammar;
  std::vector<std::string> yes, more, no;
};

void Check(const Row& row) {
  for (const std::string& text : row.yes) {
    EXPECT_EQ(Answer(row.grammar, text), "yes") << row.grammar << ": " << text;
  }
  for (const std::string& text : row.more) {
    EXPECT_EQ(Answer(row.grammar, text), "more") << row.grammar << ": " << text;
  }
  for (const std::string& text : row.no) {
    EXPECT_EQ(Answer(row.grammar, text), "no") << row.grammar << ": " << text;
  }
}

TEST(Grammar, TakesLiteralsAndTheirEscapes) {
  Check({R"(root ::= "a\tb\n\\\"\[\]\x41\u00e9\U0001F600")",
         {"a\tb\n\\\"[]A\u00e9\U0001F600"},
         {"", "a\tb\n\\\"[]A\xC3", "a\tb\n\\\"[]A\u00e9\xF0\x9F\x98"},
         {"b", "a\tb\n\\\"[]A\xC4"}});
  Check({R"(root ::= "")", {""}, {}, {"a"}});
}

TEST(Grammar, TakesClassesOfCharacters) {
  Check(
      {"root ::= [a-cx-]", {"a", "b", "c", "x", "-"}, {""}, {"d", "w", "aa"}});
  Check({R"(root ::= [^"\\\x00-\x1f])",
         {"a", "\x7f", "\u00e9", "\u20ac", "\U0010FFFF"},
         {"\xC3", "\xF4\x8F\xBF"},
         {"\"", "\\", "\n", "\xC0", "\xED\xA0", "\xF5", "\x80"}});
  Check({"root ::= [\u03b1-\u03c9\u4e00-\u9fff]",
         {"\u03b1", "\u03c9", "\u4e00", "\u9fff", "\u5b57"},
         {"\xE4\xB8"},
         {"\u03b0", "\u03ca", "\u4dff", "\ua000", "a"}});
  Check({"root ::= .", {"a", "\n", "\U0001F600", "\ud7ff"}, {"\xF0"}, {"ab"}});
}

TEST(Grammar, TakesEachCharacterOfAClassAndNoOther) {
  const auto in = [](char32_t c) {
    return c == 'z' || (c >= 0x70 && c <= 0x7F3) ||
           (c >= 0x7FE && c <= 0x1234) || (c >= 0xD000 && c <= 0x20123);
  };
  GrammarAutomaton automaton(Grammar::Parse(
      R"(root ::= [z\x70-\u07f3\u07fe-\u1234\ud000-\U00020123])"));
  const GrammarAutomaton::Set start = automaton.SetOf(automaton.Start());
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(text, c);
    GrammarAutomaton::Set set = start;
    for (size_t i = 0; i < text.size() && set >= 0; ++i) {
      set = automaton.Step(set, static_cast<uint8_t>(text[i]));
    }
    ASSERT_EQ(set >= 0, in(c)) << uint32_t{c};
    if (set < 0) continue;
    ASSERT_TRUE(automaton.MayEnd(set)) << uint32_t{c};
  }
}

TEST(Grammar, TakesAlternativesGroupsAndRepetitions) {
  Check({R"(root ::= "a" | "bc" | )", {"", "a", "bc"}, {"b"}, {"ab", "c"}});
  Check(
      {R"(root ::= ("a" | "b")* "c")", {"c", "abac"}, {"", "ab"}, {"cc", "d"}});
  Check({R"(root ::= "ab"+ [0-9]?)",
         {"ab", "abab", "ab7"},
         {"", "aba"},
         {"7", "ab77"}});
  Check({R"(root ::= "a"{2} "b"{1,2} "c"{2,} "d"{0})",
         {"aabcc", "aabbccccc"},
         {"a", "aab", "aabc"},
         {"ab", "aaa", "aabbb"}});
  Check({R"(root ::= ("a"? "b"*)* "c")", {"c", "abbac"}, {"a"}, {"ca"}});
  Check({R"(root ::= (("a"{0,2}){3}){2})",
         {"", "aaaaaaaaaaaa"},
         {},
         {"aaaaaaaaaaaaa"}});
}

TEST(Grammar, FollowsRulesThatNest) {
  Check(
      {"root ::= list\nlist ::= \"[\" (item (\",\" item)*)? \"]\"\n"
       "item ::= list | [0-9]+",
       {"[]", "[1,[23,[]],4]"},
       {"", "[[", "[1,"},
       {"]", "[,", "[]]"}});
  // Right recursion takes no stack.
  Check({"root ::= \"a\" root | \"b\"",
         {"b", std::string(100'000, 'a') + "b"},
         {"a"},
         {"ba"}});
}

TEST(Grammar, ReadsRulesOverSeveralLinesAndComments) {
  Check(
      {"# first\nroot ::= # one\n  \"a\" | # two\n\r\n  (\n \"b\"\n | x-1 )\n"
       "x-1 ::= \"#\"",
       {"a", "b", "#"},
       {},
       {"x"}});
}

TEST(GrammarErrors, SayWhereTheTextIsWrongAndWhatWasExpected) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"root", "grammar:1:5: expected '::=', but the grammar ends"},
      {"root = \"a\"", "grammar:1:6: expected '::=', got '='"},
      {"root\n::= \"a\"", "grammar:1:5: expected '::=', but the line ends"},
      {"::= \"a\"", "grammar:1:1: expected the name of a rule, got ':'"},
      {"root ::= \"a\n  b",
       "grammar:1:10: this literal does not end; "
       "expected '\"'"},
      {"root ::=\n  [a-", "grammar:2:3: this class does not end; expected ']'"},
      {"root ::= [a", "grammar:1:10: this class does not end; expected ']'"},
      {"root ::= []",
       "grammar:1:10: a class without characters; '.' is any "
       "character"},
      {"root ::= [^\\x00-\\U0010FFFF]",
       "grammar:1:10: no character is in this class"},
      {"root ::= [az-ya]", "grammar:1:12: the range z-y ends before it begins"},
      {"root ::= (\"a\" | \n\"b\"",
       "grammar:2:4: expected ')', but the grammar ends"},
      {"root ::= \"a\")",
       "grammar:1:13: expected a part of the rule or the "
       "end of the line, got ')'"},
      {"root ::= \u00e9",
       "grammar:1:10: expected a part of the rule or the "
       "end of the line, got '\u00e9'"},
      {"root ::= <think>",
       "grammar:1:10: expected a part of the rule or the "
       "end of the line, got '<'"},
      {"root ::= \"a\"\n| \"b\"",
       "grammar:2:1: expected the name of a rule, got '|'"},
      {"root ::= * \"a\"", "grammar:1:10: nothing stands before '*'"},
      {"root ::= \"a\"*?",
       "grammar:1:14: '?' repeats a repetition; "
       "parentheses around that say so"},
      {"root ::= \"a\"{x}", "grammar:1:14: expected a number, got 'x'"},
      {"root ::= \"a\"{2", "grammar:1:15: expected '}', but the grammar ends"},
      {"root ::= \"a\"{3,2}",
       "grammar:1:13: {3,2} is at least 3 and at most 2"},
      {"root ::= \"a\"{0,10001}", "grammar:1:16: repetitions go up to 10000"},
      {"root ::= \"\\q\"",
       "grammar:1:11: unknown escape; there are \\n \\r \\t "
       "\\\\ \\\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH"},
      {"root ::= \"\\u12",
       "grammar:1:11: expected 4 hexadecimal digits behind "
       "'\\u'"},
      {"root ::= \"\\ud800\"", "grammar:1:11: \\ud800 is no character"},
      {"root ::= [\\U00110000]", "grammar:1:11: \\U00110000 is no character"},
      {"root ::= \"\xff\"", "grammar:1:11: a byte that is no UTF-8"},
      {"root ::= a b\na ::= \"a\"", "grammar:1:12: there is no rule 'b'"},
      {"a ::= \"a\"",
       "grammar: there is no rule 'root', with which every text begins"},
      {"", "grammar: there is no rule 'root', with which every text begins"},
      {"root ::= \"a\"\nroot ::= \"b\"",
       "grammar:2:1: the rule 'root' is there already"},
  };
  for (const auto& [text, fault] : rows) EXPECT_EQ(FaultOf(text), fault);
}

TEST(GrammarErrors, NameRulesThatBeginWithThemselves) {
  EXPECT_EQ(FaultOf("root ::= root \"a\" | \"b\""),
            "grammar:1:1: the rule 'root' begins with itself ('root' -> "
            "'root'); left recursion is not supported");
  EXPECT_EQ(FaultOf("root ::= \"x\" a\na ::= b? c\nb ::= \"b\"\n"
                    "c ::= \"\" b* a \"c\""),
            "grammar:1:14: the rule 'a' begins with itself ('a' -> 'c' -> "
            "'a'); left recursion is not supported");
  EXPECT_EQ(FaultOf("root ::= (root?){3}"),
            "grammar:1:1: the rule 'root' begins with itself ('root' -> "
            "'root'); left recursion is not supported");
  EXPECT_EQ(FaultOf("root ::= \"a\" root | b root?\nb ::= \"b\""), "none");
}

TEST(GrammarLimits, RefuseWhatWouldTakeTooMuch) {
  const std::string deep =
      "root ::= " + std::string(101, '(') + "\"a\"" + std::string(101, ')');
  EXPECT_EQ(FaultOf(deep), "grammar:1:110: parentheses nest deeper than 100");
  EXPECT_EQ(FaultOf("root ::= ((\"a\"{10000}){10000}){10000}"),
            "grammar: more than 1048576 states; its repetitions are too large");
  EXPECT_EQ(FaultOf("root ::= ((\"\"{10000}){10000}){10000}"), "none");
  EXPECT_EQ(FaultOf("root ::= (((\"a\"?){9000})){9}"),
            "grammar: too many ways to go on: more than 65536 at once, or "
            "16777216 for one token");
  std::string chain = "root ::= a0\n";
  for (int i = 0; i < 1000; ++i) {
    chain += fmt::format("a{} ::= a{}\n", i, i + 1);
  }
  EXPECT_EQ(FaultOf(chain + "a1000 ::= \"a\""),
            "grammar:1000:10: more than 1000 rules begin with each other");
  EXPECT_EQ(FaultOf(std::string((1 << 20) + 1, ' ')),
            "grammar: 1048577 bytes; at most 1048576 are read");
}

// Two ways to read each 'a': 2^n stacks of rules.
TEST(GrammarLimits, RefuseATextWithTooManyReadings) {
  const std::string_view grammar =
      "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"";
  EXPECT_EQ(Answer(grammar, "aadbc"), "yes");
  EXPECT_EQ(Fault([&] { Answer(grammar, std::string(30, 'a')); }),
            "grammar: too many ways to go on: more than 65536 at once, or "
            "16777216 for one token");
}

}  // namespace
}  // namespace tl
