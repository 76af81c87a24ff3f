#include "text/decoder.h"

#include <gtest/gtest.h>

#include "text/detokenizer.h"
#include "text/text_test_files.h"

namespace tl {
namespace {

using Tokens = Decoder::Tokens;

std::string Decoded(const Decoder& step, Tokens tokens,
                    WrongBytes wrong = WrongBytes::kReplace) {
  step.Apply(tokens, wrong);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

TEST(Decoder, JoinsBytesOfByteLevel) {
  const ByteLevelDecoder step;
  EXPECT_EQ(Decoded(step, {"\u0120a", "\u00C3", "\u00A9", "\u4F60"}),
            " a\u00E9\u4F60");
  EXPECT_EQ(Decoded(step, {"\u00C3", "a"}), "\uFFFDa");
  EXPECT_EQ(Decoded(step, {"\u00C3", "a"}, WrongBytes::kKeep),
            "\xC3"
            "a");
}

TEST(Decoder, ReplacesWrongBytesEachItsWay) {
  const Tokens tokens = {"<0x61>", "<0xE2>", "<0x82>", "b", "<0xC3>", "<0xA9>"};
  EXPECT_EQ(Decoded(ByteFallbackDecoder(WrongRun::kWhole), tokens),
            "\uFFFD\uFFFD\uFFFDb\u00E9");
  EXPECT_EQ(Decoded(ByteFallbackDecoder(WrongRun::kWrongPart), tokens),
            "a\uFFFD\uFFFDb\u00E9");
}

TEST(Decoder, TurnsMarksIntoBlanks) {
  const std::string m = "\u2581";
  EXPECT_EQ(
      Decoded(MetaspaceDecoder(m, LeadingMark::kDropped), {m + "a", m + "b"}),
      "a b");
  EXPECT_EQ(
      Decoded(MetaspaceDecoder(m, LeadingMark::kBlank), {m + "a", m + "b"}),
      " a b");
}

TEST(Decoder, PutsWordsTogether) {
  EXPECT_EQ(Decoded(WordPieceDecoder("##", Cleanup::kYes),
                    {"un", "##do", "it", ",", "do", "n't", "."}),
            "undo it, don't.");
  EXPECT_EQ(Decoded(WordPieceDecoder("##", Cleanup::kNo), {"a", "."}), "a .");
  EXPECT_EQ(Decoded(BpeDecoder("</w>"), {"a", "b</w>", "c</w>"}), "ab c");
  EXPECT_EQ(Decoded(BlankDecoder(), {"a", "b"}), "a b");
}

TEST(Decoder, StripsAndReplaces) {
  EXPECT_EQ(Decoded(StripDecoder(" ", 1, 1), {"  a ", "b"}), " ab");
  EXPECT_EQ(Decoded(ReplaceDecoder(Regex("x+"), "-"), {"axx", "xb"}), "a--b");
  EXPECT_EQ(Decoded(FuseDecoder(), {"a", "b"}), "ab");
}

TEST(Decoder, UndoesRepetitionsOfSpeech) {
  EXPECT_EQ(Decoded(CtcDecoder({}),
                    {"<pad>", "h", "h", "<pad>", "h", "|", "|", "i", "<pad>"}),
            "hh i");
}

// <unk> a and the bytes of U+20AC.
Tokenizer ByteTokenizer() {
  TestJson json;
  json.model = R"({"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "<0xE2>": 2, )"
               R"("<0x82>": 3, "<0xAC>": 4, "_a": 5}, "merges": []})";
  json.added_tokens = R"([{"id": 0, "content": "<unk>", "special": true}])";
  json.decoder =
      R"({"type": "Sequence", "decoders": [{"type": "Replace", )"
      R"("pattern": {"String": "_"}, "content": " "}, )"
      R"({"type": "ByteFallback"}, {"type": "Fuse"}, )"
      R"({"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";
  return json.Read();
}

std::vector<std::string> Streamed(const std::vector<TokenId>& ids) {
  const Tokenizer tokenizer = ByteTokenizer();
  Detokenizer stream(tokenizer);
  std::vector<std::string> parts;
  for (TokenId id : ids) parts.push_back(stream.Push(id));
  parts.push_back(stream.Finish());
  return parts;
}

TEST(Detokenizer, GivesWholeCharactersOnly) {
  EXPECT_EQ(Streamed({1, 2, 3, 4, 1}),
            (std::vector<std::string>{"a", "", "", "\u20AC", "a", ""}));
}

TEST(Detokenizer, LosesTheFirstBlankOnly) {
  EXPECT_EQ(Streamed({5, 5, 5}),
            (std::vector<std::string>{"a", " a", " a", ""}));
}

TEST(Detokenizer, ReplacesWhatBecomesNoCharacter) {
  EXPECT_EQ(
      Streamed({2, 3, 1, 3, 2}),
      (std::vector<std::string>{"", "", "\uFFFDa", "\uFFFD", "", "\uFFFD"}));
}

TEST(Detokenizer, SaysNothingOfSpecialTokens) {
  EXPECT_EQ(Streamed({0, 5, 0, 5}),
            (std::vector<std::string>{"", "a", "", " a", ""}));
}

}  // namespace
}  // namespace tl
