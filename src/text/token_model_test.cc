#include "text/token_model.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/error.h"

namespace tl {
namespace {

using Ids = std::vector<TokenId>;

Vocabulary Of(const std::vector<std::string>& tokens) {
  Vocabulary vocabulary;
  for (size_t i = 0; i < tokens.size(); ++i) {
    vocabulary.Add(static_cast<int64_t>(i), tokens[i], "t");
  }
  return vocabulary;
}

Ids Tokens(const TokenModel& model, std::string_view word) {
  Ids ids;
  model.Tokenize(word, ids);
  return ids;
}

template <class F>
std::string MessageOf(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

TEST(Vocabulary, FindsTextsAndNumbers) {
  Vocabulary vocabulary = Of({"a", "", "c"});
  vocabulary.Add(5, "f", "t");
  EXPECT_EQ(vocabulary.size(), 6);
  EXPECT_EQ(vocabulary.Find("c"), 2);
  EXPECT_EQ(vocabulary.Find(""), 1);
  EXPECT_EQ(vocabulary.Find("x"), kNoToken);
  EXPECT_TRUE(vocabulary.Has(5));
  EXPECT_FALSE(vocabulary.Has(4));
  EXPECT_FALSE(vocabulary.Has(-1));
  EXPECT_EQ(Vocabulary().Find("a"), kNoToken);
}

TEST(Vocabulary, GrowsToAnySize) {
  Vocabulary vocabulary;
  for (int i = 0; i < 5000; ++i) vocabulary.Add(i, std::to_string(i), "t");
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(vocabulary.Find(std::to_string(i)), i);
  }
}

TEST(Vocabulary, RefusesWhatIsTakenOrOutOfBounds) {
  Vocabulary vocabulary = Of({"a", "b"});
  EXPECT_EQ(MessageOf([&] { vocabulary.Add(1, "c", "f: vocab"); }),
            "f: vocab: the tokens 'b' and 'c' have the same number, 1");
  EXPECT_EQ(MessageOf([&] { vocabulary.Add(2, "a", "f: vocab"); }),
            "f: vocab: the tokens 0 and 2 are the same, 'a'");
  EXPECT_EQ(MessageOf([&] { vocabulary.Add(-1, "c", "f"); }),
            "f: the token 'c' has the number -1; expected 0 to 9999999");
  EXPECT_EQ(MessageOf([&] { vocabulary.Add(int64_t{1} << 40, "c", "f"); }),
            "f: the token 'c' has the number 1099511627776; expected 0 to "
            "9999999");
}

TEST(ByteTokens, AreNamedByTwoCapitalDigits) {
  EXPECT_EQ(ByteOfToken("<0x4A>"), 0x4A);
  EXPECT_EQ(ByteOfToken("<0x4a>"), -1);
  EXPECT_EQ(ByteOfToken("<0x4A"), -1);
  EXPECT_EQ(ByteOfToken("0x4A>>"), -1);
}

TEST(Trie, FindsAllTextsThatBeginAnother) {
  const Trie trie({{"ab", 1}, {"a", 0}, {"abc", 2}, {"b", 3}, {"", 4}});
  std::vector<std::pair<size_t, int32_t>> found;
  trie.ForEachPrefix("abd", [&](size_t size, int32_t value) {
    found.emplace_back(size, value);
  });
  EXPECT_EQ(found, (std::vector<std::pair<size_t, int32_t>>{{1, 0}, {2, 1}}));
  Trie().ForEachPrefix("a", [](size_t, int32_t) { FAIL(); });
}

TEST(Bpe, JoinsTheFirstMergeOfTheListFirst) {
  const Vocabulary v = Of({"a", "b", "c", "ab", "bc", "abc"});
  const Bpe bpe(v, {{"b", "c"}, {"a", "b"}, {"a", "bc"}}, {}, "m");
  EXPECT_EQ(Tokens(bpe, "abc"), Ids{5});
  EXPECT_EQ(Tokens(bpe, "abab"), (Ids{3, 3}));
  EXPECT_EQ(Tokens(bpe, "aabcb"), (Ids{0, 5, 1}));
}

TEST(Bpe, JoinsTheLeftmostOfEqualPairs) {
  const Vocabulary v = Of({"a", "aa"});
  EXPECT_EQ(Tokens(Bpe(v, {{"a", "a"}}, {}, "m"), "aaaaa"), (Ids{1, 1, 0}));
}

TEST(Bpe, TakesAWholeWordWithoutMerges) {
  const Vocabulary v = Of({"a", "b", "ab"});
  BpeOptions whole;
  whole.whole_words = true;
  EXPECT_EQ(Tokens(Bpe(v, {}, whole, "m"), "ab"), Ids{2});
  EXPECT_EQ(Tokens(Bpe(v, {}, {}, "m"), "ab"), (Ids{0, 1}));
}

TEST(Bpe, MarksPartsAndEndsOfWords) {
  const Vocabulary v = Of({"a", "#b", "#b.", "a#", "ab."});
  BpeOptions options;
  options.prefix = "#";
  options.suffix = ".";
  EXPECT_EQ(Tokens(Bpe(v, {}, options, "m"), "ab"), (Ids{0, 2}));
  EXPECT_EQ(Tokens(Bpe(v, {{"a", "#b."}}, options, "m"), "ab"), Ids{4});
}

TEST(Bpe, FallsBackToBytesThenToTheUnknown) {
  const Vocabulary v = Of({"?", "a", "<0xC3>", "<0xA9>"});
  const auto with = [&](UnknownOptions unknown) {
    BpeOptions options;
    options.unknown = unknown;
    return Bpe(v, {}, options, "m");
  };
  EXPECT_EQ(Tokens(with({.token = 0, .bytes = true}), "a\u00E9\u00EAb"),
            (Ids{1, 2, 3, 0, 0}));
  EXPECT_EQ(Tokens(with({.token = 0, .fuse = true}), "\u00E9xa\u00E9"),
            (Ids{0, 1, 0}));
  EXPECT_EQ(Tokens(with({}), "\u00E9a"), Ids{1});
}

TEST(Bpe, RefusesMergesOfUnknownPieces) {
  const Vocabulary v = Of({"a", "b"});
  EXPECT_EQ(MessageOf([&] {
              Bpe(v, {{"a", "x"}}, {}, "f: merges");
            }),
            "f: merges: merge 0 is of or makes 'x', which is none of the 2 "
            "tokens");
  EXPECT_EQ(MessageOf([&] {
              Bpe(v, {{"a", "b"}}, {}, "f: merges");
            }),
            "f: merges: merge 0 is of or makes 'ab', which is none of the 2 "
            "tokens");
}

// A quadratic loop would take hours.
TEST(Bpe, StandsLongWords) {
  const Vocabulary v = Of({"a", "aa", "aaaa"});
  const Bpe bpe(v, {{"a", "a"}, {"aa", "aa"}}, {}, "m");
  EXPECT_EQ(Tokens(bpe, std::string(1 << 20, 'a')), Ids(1 << 18, 2));
}

TEST(ScoredBpe, JoinsWhatHasTheHighestScoreFirst) {
  const Vocabulary v = Of({"a", "b", "c", "ab", "bc", "abc"});
  const ScoredBpe bpe(v, {0, 0, 0, -2, -1, -3}, {});
  EXPECT_EQ(Tokens(bpe, "abc"), Ids{5});
  const ScoredBpe other(v, {0, 0, 0, -2, -1, std::nullopt}, {});
  EXPECT_EQ(Tokens(other, "abc"), (Ids{0, 4}));
}

TEST(ScoredBpe, JoinsThroughUnknownParts) {
  // "xy" is a token though "x" and "y" are none.
  const Vocabulary v = Of({"xy", "<0x7A>"});
  const ScoredBpe bpe(v, {-1, std::nullopt}, {.bytes = true});
  EXPECT_EQ(Tokens(bpe, "xyz"), (Ids{0, 1}));
}

// The sum over all ways to cut a word, tried one by one.
double BestScore(const std::vector<std::pair<std::string, double>>& pieces,
                 std::string_view word) {
  if (word.empty()) return 0;
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& [text, score] : pieces) {
    if (!word.starts_with(text)) continue;
    best = std::max(best, score + BestScore(pieces, word.substr(text.size())));
  }
  return best;
}

TEST(Unigram, FindsTheHighestSumOfScores) {
  const std::vector<std::pair<std::string, double>> pieces = {
      {"a", -1.5}, {"b", -1.25}, {"ab", -2.5}, {"ba", -2.25}, {"aba", -4}};
  Vocabulary v;
  std::vector<Unigram::Piece> scored;
  for (size_t i = 0; i < pieces.size(); ++i) {
    v.Add(static_cast<int64_t>(i), pieces[i].first, "t");
    scored.push_back({static_cast<TokenId>(i), pieces[i].second});
  }
  const Unigram model(v, scored, {}, ScorePrecision::kDouble);
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::string word;
    for (int i = 0; i < 9; ++i) word += random() % 2 ? 'a' : 'b';
    double sum = 0;
    std::string text;
    for (TokenId id : Tokens(model, word)) {
      sum += pieces[id].second;
      text += pieces[id].first;
    }
    EXPECT_EQ(text, word);
    EXPECT_DOUBLE_EQ(sum, BestScore(pieces, word));
  }
}

TEST(Unigram, FusesTheUnknownOrFallsBackToBytes) {
  const Vocabulary v = Of({"?", "a", "<0x78>"});
  const std::vector<Unigram::Piece> pieces = {{0, 0}, {1, -1}};
  const Unigram fused(v, pieces, {.token = 0, .fuse = true},
                      ScorePrecision::kDouble);
  EXPECT_EQ(Tokens(fused, "xyax"), (Ids{0, 1, 0}));
  const Unigram bytes(v, pieces, {.token = 0, .fuse = true, .bytes = true},
                      ScorePrecision::kDouble);
  EXPECT_EQ(Tokens(bytes, "xax"), (Ids{2, 1, 2}));
  const Unigram none(v, pieces, {}, ScorePrecision::kDouble);
  EXPECT_EQ(MessageOf([&] { Tokens(none, "x"); }),
            "the tokenizer has no token for 'x' and none for the unknown");
}

TEST(WordPiece, TakesTheLongestTokenThatFits) {
  const Vocabulary v = Of({"[UNK]", "un", "##aff", "##able", "##a", "\u4F60"});
  const WordPiece model(v, {.unknown = 0});
  EXPECT_EQ(Tokens(model, "unaffable"), (Ids{1, 2, 3}));
  EXPECT_EQ(Tokens(model, "unx"), Ids{0});
  EXPECT_EQ(Tokens(model, "\u4F60"), Ids{5});
  EXPECT_EQ(Tokens(model, "\u4F60\u4F60"), Ids{0});
}

TEST(WordPiece, TakesNoPartsOfLongWords) {
  const Vocabulary v = Of({"[UNK]", "a", "##a"});
  const WordPiece model(v, {.unknown = 0, .longest = 3});
  EXPECT_EQ(Tokens(model, "aaa"), (Ids{1, 2, 2}));
  EXPECT_EQ(Tokens(model, "aaaa"), Ids{0});
}

TEST(WordLevel, KnowsWholeWordsOnly) {
  const Vocabulary v = Of({"ab"});
  EXPECT_EQ(Tokens(WordLevel(v, kNoToken), "ab"), Ids{0});
  EXPECT_EQ(MessageOf([&] { Tokens(WordLevel(v, kNoToken), "a"); }),
            "the tokenizer has no token for 'a' and none for the unknown");
}

}  // namespace
}  // namespace tl
