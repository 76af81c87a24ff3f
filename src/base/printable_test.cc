#include "base/printable.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(Printable, EscapesWhatATerminalWouldAct) {
  EXPECT_EQ(Printable("a\x1b[31mred\n\t\x7f"), "a\\x1b[31mred\\n\\t\\x7f");
  EXPECT_EQ(Printable("\u009b2J\u202eright"), "\\x9b2J\\u{202e}right");
  EXPECT_EQ(Printable("a\r\nb"), "a\\x0d\\nb");
  EXPECT_EQ(Printable("\xff\x9b"), "\\xff\\x9b");
  EXPECT_EQ(Printable("na\u00efve \u6570"), "na\u00efve \u6570");
}

TEST(PrintableLines, KeepsLines) {
  EXPECT_EQ(PrintableLines("error: \x1b]0;x\x07\n\tnote: \u200b\r"),
            "error: \\x1b]0;x\\x07\n\tnote: \\u{200b}\\x0d");
}

TEST(PrintableText, KeepsWhatWritingNeeds) {
  EXPECT_EQ(PrintableText("a\r\nb\rc"), "a\r\nb\\x0dc");
  const std::string family = "\U0001F468\u200d\U0001F469";
  EXPECT_EQ(PrintableText(family + "\n\t\u0646\u200c\u0645"),
            family + "\n\t\u0646\u200c\u0645");
  EXPECT_EQ(PrintableText("\x1b[2J\u009b\x08\r\xff"),
            "\\x1b[2J\\x9b\\x08\\x0d\\xff");
}

}  // namespace
}  // namespace tl
