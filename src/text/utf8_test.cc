#include "text/utf8.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(Utf8, DecodesWhatItAppends) {
  for (char32_t c :
       {U'\0', U'a', U'\x7F', U'\x80', U'\x7FF', U'\x800', U'\xD7FF', U'\xE000',
        U'\xFFFF', U'\x10000', U'\x10FFFF'}) {
    std::string text;
    AppendUtf8(text, c);
    EXPECT_EQ(Utf8Size(text[0]), text.size());
    const Utf8Step step = DecodeUtf8(text + "x");
    EXPECT_TRUE(step.valid) << static_cast<uint32_t>(c);
    EXPECT_EQ(step.code_point, c);
    EXPECT_EQ(step.size, text.size());
  }
}

// The rows are those of the Unicode standard, 3.9, tables 3-8 to 3-11.
TEST(Utf8, ReplacesEachMaximalSubpartOnce) {
  const std::string mark = "\xEF\xBF\xBD";
  const auto marks = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += mark;
    return text;
  };
  EXPECT_EQ(WholeText("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), marks(8) + "A");
  EXPECT_EQ(WholeText("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), marks(8) + "A");
  EXPECT_EQ(WholeText("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            marks(5) + "A" + marks(2) + "B");
  EXPECT_EQ(WholeText("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), marks(4) + "A");
}

TEST(Utf8, LeavesValidTextAlone) {
  const std::string text("a\0\xC3\xB6\xE2\x82\xAC\xF0\x9F\x98\x80", 11);
  EXPECT_TRUE(IsUtf8(text));
  EXPECT_EQ(WholeText(text), text);
}

TEST(Utf8, CountsWhatACharacterStillLacks) {
  EXPECT_EQ(UnfinishedUtf8(""), 0u);
  EXPECT_EQ(UnfinishedUtf8("a"), 0u);
  EXPECT_EQ(UnfinishedUtf8("a\xC3"), 1u);
  EXPECT_EQ(UnfinishedUtf8("a\xE2\x82"), 2u);
  EXPECT_EQ(UnfinishedUtf8("a\xE2\x82\xAC"), 0u);
  EXPECT_EQ(UnfinishedUtf8("\xF0\x9F\x98"), 3u);
  EXPECT_EQ(UnfinishedUtf8("\xF0\x9F\x98\x80"), 0u);
}

TEST(Utf8, WaitsForNoCharacterThatCannotCome) {
  EXPECT_EQ(UnfinishedUtf8("a\x80"), 0u);
  EXPECT_EQ(UnfinishedUtf8("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(UnfinishedUtf8("\xE0\x80"), 0u);
  EXPECT_EQ(UnfinishedUtf8("\xF5"), 0u);
}

}  // namespace
}  // namespace tl
