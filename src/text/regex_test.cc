#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tl {
namespace {

std::vector<std::string> Matches(const Regex& regex, std::string_view text) {
  std::vector<std::string> matches;
  for (const TextSpan& span : regex.Cut(text)) {
    if (span.matched) {
      matches.emplace_back(text.substr(span.begin, span.end - span.begin));
    }
  }
  return matches;
}

std::string Message(std::string_view pattern) {
  try {
    Regex regex(pattern);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

TEST(Regex, CutsATextIntoMatchesAndTheRest) {
  EXPECT_EQ(
      Regex("a+").Cut("baac"),
      (std::vector<TextSpan>{{0, 1, false}, {1, 3, true}, {3, 4, false}}));
  EXPECT_EQ(Regex("a").Cut(""), std::vector<TextSpan>());
  EXPECT_EQ(Regex("a").Cut("b"), (std::vector<TextSpan>{{0, 1, false}}));
}

TEST(Regex, CutsAtPlacesWhereNothingIsMatched) {
  std::vector<TextSpan> pieces = Regex("(?=(\\d{3})+(?!\\d))").Cut("1234567");
  std::erase_if(pieces, [](const TextSpan& s) { return s.begin == s.end; });
  EXPECT_EQ(pieces, (std::vector<TextSpan>{
                        {0, 1, false}, {1, 4, false}, {4, 7, false}}));
}

TEST(Regex, TakesClassesAsOnigurumaDoes) {
  // U+180E is a blank to PCRE2 only, a mark is part of a word.
  EXPECT_EQ(Matches(Regex("\\s"), "a\u180E\u0085\u3000b"),
            (std::vector<std::string>{"\u0085", "\u3000"}));
  EXPECT_EQ(Matches(Regex("\\w+"), "e\u0301_1\u00BD-b"),
            (std::vector<std::string>{"e\u0301_1\u00BD", "b"}));
  EXPECT_EQ(Matches(Regex("\\h+"), "12fG g"),
            (std::vector<std::string>{"12f"}));
  EXPECT_EQ(Matches(Regex("[^\\S\\n]+"), "a \t\n b"),
            (std::vector<std::string>{" \t", " "}));
  EXPECT_EQ(Matches(Regex("\\p{Han}+"), "\u4F60\u3001\u597D"),
            (std::vector<std::string>{"\u4F60", "\u597D"}));
  EXPECT_EQ(Matches(Regex("\\u0061"), "ab"), (std::vector<std::string>{"a"}));
}

TEST(Regex, TakesAwayWhatAnIntersectionExcludes) {
  EXPECT_EQ(Matches(Regex("[\\p{L}&&[^\\p{Han}b]]+"), "ab\u4F60cd"),
            (std::vector<std::string>{"a", "cd"}));
}

TEST(Regex, TakesAClassInAClass) {
  EXPECT_EQ(Matches(Regex("[^(\\s|[.,]]+"), "a.b(c|d e"),
            (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

TEST(Regex, MatchesLinesAndEitherCase) {
  EXPECT_EQ(Matches(Regex("^b$"), "a\nb\nc"), (std::vector<std::string>{"b"}));
  EXPECT_EQ(Matches(Regex("(?i:'s)"), "'S '\u017F"),
            (std::vector<std::string>{"'S", "'\u017F"}));
}

TEST(Regex, MatchesALiteralAsItIs) {
  const std::string text("a.\0(\xC3\xA9", 6);
  EXPECT_EQ(Matches(Regex::Literal(text), "a" + text),
            std::vector<std::string>{text});
  EXPECT_EQ(Matches(Regex::Literal("a."), "ab"), std::vector<std::string>());
}

TEST(Regex, StandsLongTexts) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(Regex("(?:a|b)*").Cut(text)[0], (TextSpan{0, 1 << 20, true}));
}

TEST(Regex, RefusesWhatIsNoPattern) {
  EXPECT_EQ(Message("a("),
            "the pattern 'a(' is no regular expression: missing closing "
            "parenthesis");
  EXPECT_EQ(Message("[a"),
            "the pattern '[a' has a class without an end at "
            "byte 2");
  EXPECT_EQ(Message("a\\"),
            "the pattern 'a\\' has a lonely backslash at byte 1");
  EXPECT_EQ(Message("\\u12"),
            "the pattern '\\u12' has \\u without four digits at byte 0");
  EXPECT_EQ(Message("\\p{L"),
            "the pattern '\\p{L' has a property without an end at byte 2");
  EXPECT_EQ(Message("[a[^b]]"),
            "the pattern '[a[^b]]' has a class in a class that is not "
            "supported at byte 2");
  EXPECT_EQ(Message("[a&&b]"),
            "the pattern '[a&&b]' has an intersection that "
            "is not supported at byte 2");
}

TEST(Regex, SaysWhenMatchingIsTooMuchWork) {
  try {
    Regex("(?:a+)+$").Cut(std::string(40, 'a') + "b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.text(),
              "the pattern '(?:a+)+$' cannot be matched at byte 0 of 41: match "
              "limit exceeded");
  }
}

}  // namespace
}  // namespace tl
