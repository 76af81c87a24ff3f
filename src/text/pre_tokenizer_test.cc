#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "text/byte_level.h"
#include "text/unicode.h"

namespace tl {
namespace {

using Texts = std::vector<std::string>;

Texts TextsOf(const Pieces& pieces) {
  Texts texts;
  for (size_t i = 0; i < pieces.size(); ++i) texts.emplace_back(pieces[i]);
  return texts;
}

Texts Cut(const PreTokenizer& step, std::string_view text) {
  return TextsOf(step.Apply(Pieces(text, true)));
}

Texts SplitAt(std::string_view pattern, SplitBehavior behavior,
              std::string_view text, Sense sense = Sense::kMatches) {
  return Cut(RegexSplitter(Regex(pattern), behavior, sense), text);
}

TEST(Pieces, HoldsNoEmptyOnes) {
  Pieces pieces("", true);
  EXPECT_EQ(pieces.size(), 0u);
  pieces.Add("a");
  pieces.Add("");
  pieces.Append("b");
  pieces.Append("c");
  pieces.End();
  EXPECT_EQ(TextsOf(pieces), (Texts{"a", "bc"}));
}

TEST(Splitter, DoesWithMatchesWhatItIsTold) {
  const std::string_view text = "-a--b-";
  EXPECT_EQ(SplitAt("-", SplitBehavior::kRemoved, text), (Texts{"a", "b"}));
  EXPECT_EQ(SplitAt("-", SplitBehavior::kIsolated, text),
            (Texts{"-", "a", "-", "-", "b", "-"}));
  EXPECT_EQ(SplitAt("-", SplitBehavior::kMergedWithPrevious, text),
            (Texts{"-", "a-", "-", "b-"}));
  EXPECT_EQ(SplitAt("-", SplitBehavior::kMergedWithNext, text),
            (Texts{"-a", "-", "-b", "-"}));
  EXPECT_EQ(SplitAt("-", SplitBehavior::kContiguous, text),
            (Texts{"-", "a", "--", "b", "-"}));
}

TEST(Splitter, CutsBetweenMatches) {
  EXPECT_EQ(SplitAt("\\w+", SplitBehavior::kRemoved, "a, b", Sense::kBetween),
            (Texts{"a", "b"}));
}

TEST(Splitter, CutsAtCharactersOfAClass) {
  EXPECT_EQ(
      Cut(CharacterSplitter(IsNumber, SplitBehavior::kIsolated), "a12\u00BD"),
      (Texts{"a", "1", "2", "\u00BD"}));
  EXPECT_EQ(
      Cut(CharacterSplitter(IsNumber, SplitBehavior::kContiguous), "a12b"),
      (Texts{"a", "12", "b"}));
  EXPECT_EQ(Cut(CharacterSplitter(IsDelimiter, SplitBehavior::kIsolated),
                "a$b\u3001c"),
            (Texts{"a", "$", "b", "\u3001", "c"}));
  EXPECT_EQ(
      Cut(CharacterSplitter(IsSpace, SplitBehavior::kRemoved), " a\u3000b "),
      (Texts{"a", "b"}));
}

TEST(Splitter, CutsAsGpt2Does) {
  EXPECT_EQ(SplitAt(kGpt2Pattern, SplitBehavior::kIsolated,
                    "I'll  be 25, they'RE\n\n x"),
            (Texts{"I", "'ll", " ", " be", " 25", ",", " they", "'", "RE",
                   "\n\n", " x"}));
}

TEST(LengthSplitter, CountsCharacters) {
  EXPECT_EQ(Cut(LengthSplitter(2), "a\u4F60bcd"),
            (Texts{"a\u4F60", "bc", "d"}));
}

TEST(Metaspace, PutsAMarkBeforeTheFirstWordOrEachPiece) {
  const std::string m = "\u2581";
  const auto step = [&](PrefixScheme scheme, Words words) {
    return MetaspacePreTokenizer(m, scheme, words);
  };
  EXPECT_EQ(Cut(step(PrefixScheme::kAlways, Words::kApart), "a  b"),
            (Texts{m + "a", m, m + "b"}));
  EXPECT_EQ(Cut(step(PrefixScheme::kAlways, Words::kTogether), "a b"),
            Texts{m + "a" + m + "b"});
  EXPECT_EQ(Cut(step(PrefixScheme::kAlways, Words::kApart), " a"),
            Texts{m + "a"});
  EXPECT_EQ(Cut(step(PrefixScheme::kNever, Words::kApart), "a"), Texts{"a"});
  const auto first = step(PrefixScheme::kFirst, Words::kApart);
  EXPECT_EQ(TextsOf(first.Apply(Pieces("a", false))), Texts{"a"});
  EXPECT_EQ(TextsOf(first.Apply(Pieces("a", true))), Texts{m + "a"});
}

TEST(Metaspace, KnowsWhatIsFirstBehindASplitter) {
  const CharacterSplitter words(IsSpace, SplitBehavior::kRemoved);
  const MetaspacePreTokenizer first("_", PrefixScheme::kFirst,
                                    Words::kTogether);
  EXPECT_EQ(TextsOf(first.Apply(words.Apply(Pieces("a b", true)))),
            (Texts{"_a", "b"}));
  // The first piece is not what the text begins with.
  EXPECT_EQ(TextsOf(first.Apply(words.Apply(Pieces(" a b", true)))),
            (Texts{"a", "b"}));
}

TEST(ByteLevel, MapsBytesToCharactersAndBack) {
  std::string bytes, text;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  AppendByteLevel(text, bytes);
  EXPECT_EQ(BytesOfByteLevel(text), bytes);
  EXPECT_EQ(Cut(ByteLevelPreTokenizer(), " a\n\u00E9"),
            Texts{"\u0120a\u010A\u00C3\u00A9"});
  EXPECT_EQ(BytesOfByteLevel("\u0144"), std::nullopt);
  EXPECT_EQ(BytesOfByteLevel(" "), std::nullopt);
}

TEST(SpacePrefixer, PutsABlankWhereThereIsNone) {
  EXPECT_EQ(Cut(SpacePrefixer(), "a"), Texts{" a"});
  EXPECT_EQ(Cut(SpacePrefixer(), " a"), Texts{" a"});
}

}  // namespace
}  // namespace tl
