#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(WithColour, PaintsPlaceSeverityCaretsAndHint) {
  EXPECT_EQ(WithColour("a.tl:1:5: error: unknown name 'x'\n"
                       "  let y = x\n"
                       "          ^\n"
                       "  hint: did you mean 'z'?\n"),
            "\x1b[1ma.tl:1:5: \x1b[0m\x1b[1;31merror: \x1b[0m"
            "unknown name 'x'\n"
            "  let y = x\n"
            "\x1b[1;32m          ^\x1b[0m\n"
            "\x1b[1;36m  hint: \x1b[0mdid you mean 'z'?\n");
}

TEST(WithColour, PaintsASeverityWithoutAPlace) {
  EXPECT_EQ(WithColour("warning: no GPU\nnote: at a.tl:1:2\n"),
            "\x1b[1;35mwarning: \x1b[0mno GPU\n"
            "\x1b[1;36mnote: \x1b[0mat a.tl:1:2\n");
}

TEST(WithColour, LeavesOtherLinesAlone) {
  const std::string text = "and 3 more errors\nan error: here\n  x\n";
  EXPECT_EQ(WithColour(text), text);
}

}  // namespace
}  // namespace tl
