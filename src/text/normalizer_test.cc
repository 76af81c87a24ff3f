#include "text/normalizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/base64.h"

namespace tl {
namespace {

TEST(Normalizer, ComposesAndDecomposes) {
  const std::string text = "e\u0301\uFB01\u212B";
  EXPECT_EQ(FormNormalizer(NormalForm::kNFC).Apply(text), "\u00E9\uFB01\u00C5");
  EXPECT_EQ(FormNormalizer(NormalForm::kNFD).Apply(text),
            "e\u0301\uFB01A\u030A");
  EXPECT_EQ(FormNormalizer(NormalForm::kNFKC).Apply(text), "\u00E9fi\u00C5");
  EXPECT_EQ(FormNormalizer(NormalForm::kNFKD).Apply(text), "e\u0301fiA\u030A");
}

TEST(Normalizer, LeavesAloneWhatIsLaterThanTheTables) {
  // U+08D3 has a class of Unicode 12 on, U+32FF is of 12.1.
  const std::string text = "a\u0345\u08D3\u32FF";
  EXPECT_EQ(FormNormalizer(NormalForm::kNFKD).Apply(text), text);
}

TEST(Normalizer, MakesLettersSmall) {
  EXPECT_EQ(LowercaseNormalizer().Apply("AÉΣ\u0130ẞ1"), "aéσi\u0307ß1");
}

TEST(Normalizer, StripsAccents) {
  EXPECT_EQ(StripAccentsNormalizer().Apply("e\u0301a\u0903"), "ea");
}

TEST(Normalizer, StripsBlanksOfTheSidesAskedFor) {
  const std::string text = "\u3000 a b\n\u0085";
  EXPECT_EQ(StripNormalizer({}).Apply(text), "a b");
  EXPECT_EQ(StripNormalizer({.left = false}).Apply(text), "\u3000 a b");
  EXPECT_EQ(StripNormalizer({.right = false}).Apply(text), "a b\n\u0085");
  EXPECT_EQ(StripNormalizer({}).Apply(" \n"), "");
}

TEST(Normalizer, Replaces) {
  EXPECT_EQ(ReplaceNormalizer(Regex(" {2,}"), "_").Apply("a  b c   "),
            "a_b c_");
}

TEST(Normalizer, PrependsToWhatIsNotEmpty) {
  EXPECT_EQ(PrependNormalizer("_").Apply("a"), "_a");
  EXPECT_EQ(PrependNormalizer("_").Apply(""), "");
}

TEST(Normalizer, CleansControlCharactersAsNmtDoes) {
  EXPECT_EQ(NmtNormalizer().Apply("a\x01\tb\u200Bc\u2581\x7F"), "a b c ");
}

TEST(Normalizer, DoesWhatBertDoes) {
  const std::string text("\tÉ\0\u200Bx\u4F60!", 13);
  EXPECT_EQ(BertNormalizer({}).Apply(text), " ex \u4F60 !");
  EXPECT_EQ(BertNormalizer({.lowercase = false, .strip_accents = false})
                .Apply("É\u3000"),
            "É ");
}

// 'a' becomes "bc", "aa" becomes " ": made with SentencePiece's layout by hand.
std::string SmallCharsmap() {
  // Unit 0 is the root; its offset leads to unit 1 ^ label.
  std::vector<uint32_t> units(512, 0);
  const auto offset = [](uint32_t o) { return o << 10; };
  const uint32_t has_leaf = 1u << 8;
  units[0] = offset(256);  // children at 256 ^ byte
  const uint32_t a = 256 ^ 'a';
  units[a] = 'a' | has_leaf | offset(a ^ 128);  // its children at 128 ^ byte
  units[128] = 1u << 31 | 0;                    // value of "a"
  const uint32_t aa = 128 ^ 'a';
  units[aa] = 'a' | has_leaf | offset(aa ^ 16);
  units[16] = 1u << 31 | 3;  // value of "aa"
  std::string bytes;
  const uint32_t size = units.size() * sizeof(uint32_t);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes.append(reinterpret_cast<const char*>(units.data()), size);
  return bytes + std::string("bc\0 \0", 5);
}

TEST(Charsmap, FindsTheShortestAndTheLongestKey) {
  const Charsmap map(SmallCharsmap());
  EXPECT_EQ(map.Shortest("aab")->replacement, "bc");
  EXPECT_EQ(map.Shortest("aab")->size, 1u);
  EXPECT_EQ(map.Longest("aab")->replacement, " ");
  EXPECT_EQ(map.Longest("aab")->size, 2u);
  EXPECT_FALSE(map.Longest("b"));
  EXPECT_FALSE(map.Longest(std::string_view("\0", 1)));
}

TEST(Charsmap, IsUsedByGraphemesOrByLongestKeys) {
  EXPECT_EQ(CharsmapNormalizer(Charsmap(SmallCharsmap())).Apply("aax"),
            "bcbcx");
  SentencePieceOptions options;
  options.map.emplace(SmallCharsmap());
  EXPECT_EQ(SentencePieceNormalizer(std::move(options)).Apply("aaxaaaay"),
            "\u2581x\u2581y");
}

TEST(Charsmap, RefusesSizesThatDoNotFit) {
  const auto message = [](std::string bytes) {
    try {
      Charsmap map(bytes);
    } catch (const Error& error) {
      return error.text();
    }
    return std::string();
  };
  EXPECT_EQ(message(""),
            "precompiled_charsmap: byte 0: the size of its trie "
            "needs 4 bytes, 0 left");
  EXPECT_EQ(message(std::string("\3\0\0\0abc", 7)),
            "precompiled_charsmap: its trie has 3 bytes; expected a multiple "
            "of 4");
  EXPECT_EQ(message(std::string("\xFC\xFF\xFF\xFF", 4)),
            "precompiled_charsmap: byte 4: its trie needs 4294967292 bytes, 0 "
            "left");
  EXPECT_EQ(message(std::string("\4\0\0\0\0\0\0\0\xFF", 9)),
            "precompiled_charsmap: its replacements are not UTF-8");
}

TEST(SentencePiece, MarksBlanksAndTakesOutExtraOnes) {
  const std::string mark = "\u2581";
  const SentencePieceNormalizer keeps(
      {.map = {}, .prefix = true, .remove_extra_spaces = false});
  EXPECT_EQ(keeps.Apply(" a  b "),
            mark + mark + "a" + mark + mark + "b" + mark);
  EXPECT_EQ(keeps.Apply(""), "");
  const SentencePieceNormalizer removes({});
  EXPECT_EQ(removes.Apply("  a   b  "), mark + "a" + mark + "b");
  EXPECT_EQ(removes.Apply("   "), "");
  const SentencePieceNormalizer bare(
      {.map = {}, .prefix = false, .remove_extra_spaces = false});
  EXPECT_EQ(bare.Apply("a b"), "a" + mark + "b");
}

TEST(Base64, DecodesWholeGroups) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("YQ=="), "a");
  EXPECT_EQ(DecodeBase64("YWI="), "ab");
  EXPECT_EQ(DecodeBase64("+/8A"), std::string("\xFB\xFF\0", 3));
  EXPECT_EQ(DecodeBase64("YQ="), std::nullopt);
  EXPECT_EQ(DecodeBase64("Y!=="), std::nullopt);
  EXPECT_EQ(DecodeBase64("===="), std::nullopt);
}

}  // namespace
}  // namespace tl
