#include "cli/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace tl {
namespace {

TEST(MatchesGlob, PlainTextIsItself) {
  EXPECT_TRUE(MatchesGlob("a.b", "a.b"));
  EXPECT_FALSE(MatchesGlob("a.b", "a.bc"));
  EXPECT_FALSE(MatchesGlob("a.b", "axb"));
  EXPECT_TRUE(MatchesGlob("", ""));
  EXPECT_FALSE(MatchesGlob("", "a"));
}

TEST(MatchesGlob, StarTakesAnythingDotsToo) {
  EXPECT_TRUE(MatchesGlob("*", ""));
  EXPECT_TRUE(MatchesGlob("*.bias", "blk.0.attn.bias"));
  EXPECT_FALSE(MatchesGlob("*.bias", "blk.0.attn.weight"));
  EXPECT_TRUE(MatchesGlob("blk.*.w*t", "blk.10.attn/q.weight"));
  EXPECT_TRUE(MatchesGlob("a**", "a"));
}

TEST(MatchesGlob, StarGivesBackWhatItTook) {
  EXPECT_TRUE(MatchesGlob("*ab", "aab"));
  EXPECT_TRUE(MatchesGlob("*a*b", "axbxaxb"));
  EXPECT_FALSE(MatchesGlob("*a*b", "axbxaxc"));
}

TEST(MatchesGlob, QuestionMarkTakesOne) {
  EXPECT_TRUE(MatchesGlob("fc?.bias", "fc1.bias"));
  EXPECT_FALSE(MatchesGlob("fc?.bias", "fc10.bias"));
  EXPECT_FALSE(MatchesGlob("a?", "a"));
}

TEST(MatchesGlob, SetsAndRanges) {
  EXPECT_TRUE(MatchesGlob("fc[12]", "fc2"));
  EXPECT_FALSE(MatchesGlob("fc[12]", "fc3"));
  EXPECT_TRUE(MatchesGlob("fc[0-9]*", "fc42"));
  EXPECT_TRUE(MatchesGlob("fc[!0-9]", "fcx"));
  EXPECT_FALSE(MatchesGlob("fc[!0-9]", "fc7"));
  EXPECT_TRUE(MatchesGlob("[]]", "]"));
  EXPECT_TRUE(MatchesGlob("[a-]", "-"));
}

TEST(MatchesGlob, ABracketWithoutItsEndIsItself) {
  EXPECT_TRUE(MatchesGlob("a[0", "a[0"));
  EXPECT_TRUE(MatchesGlob("[", "["));
}

TEST(MatchesGlob, ManyStarsEnd) {
  const std::string name(2000, 'a');
  EXPECT_FALSE(MatchesGlob("*a*a*a*a*a*a*a*a*b", name));
}

}  // namespace
}  // namespace tl
