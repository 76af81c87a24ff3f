#include "lang/diagnostics.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

// One error over bytes [begin, end) of `text`.
std::string Shown(std::string text, uint32_t begin, uint32_t end) {
  Sources sources;
  sources.Add("t.tl", std::move(text));
  return Render(Diagnostic{Severity::kError, {0, begin, end}, "here", "", {}},
                sources);
}

TEST(Diagnostics, ShowsPlaceLineCaretAndHint) {
  Sources sources;
  sources.Add("mlp.tl", "a\n  let y = x @ wieghts\n");
  Diagnostics diagnostics;
  diagnostics.Error({0, 16, 23}, "unknown name 'wieghts'",
                    "did you mean 'weights'?");
  EXPECT_EQ(Render(diagnostics, sources),
            "mlp.tl:2:15: error: unknown name 'wieghts'\n"
            "    let y = x @ wieghts\n"
            "                ^~~~~~~\n"
            "  hint: did you mean 'weights'?\n");
}

TEST(Diagnostics, PointsPastTheEndOfALine) {
  EXPECT_EQ(Shown("ab\ncd", 2, 2),
            "t.tl:1:3: error: here\n"
            "  ab\n"
            "    ^\n");
}

TEST(Diagnostics, MarksOnlyTheFirstLineOfASpan) {
  EXPECT_EQ(Shown("f(a,\n  b)", 0, 9),
            "t.tl:1:1: error: here\n"
            "  f(a,\n"
            "  ^~~~\n");
}

TEST(Diagnostics, CountsColumnsInCharacters) {
  EXPECT_EQ(Shown("é数 x", 6, 7),
            "t.tl:1:4: error: here\n"
            "  é数 x\n"
            "      ^\n");
}

TEST(Diagnostics, EscapesWhatATerminalWouldAct) {
  EXPECT_EQ(Shown("\x1b[2J x", 5, 6),
            "t.tl:1:6: error: here\n"
            "  \\x1b[2J x\n"
            "          ^\n");
  EXPECT_EQ(Shown("\xff\u202e\tx", 5, 6),
            "t.tl:1:4: error: here\n"
            "  \\xff\\u{202e}    x\n"
            "                  ^\n");
}

TEST(Diagnostics, CutsALongLineAroundTheCaret) {
  std::string line = std::string(500, 'a') + "b" + std::string(500, 'c');
  EXPECT_EQ(Shown(line, 500, 501),
            "t.tl:1:501: error: here\n"
            "  ..." +
                std::string(40, 'a') + "b" + std::string(56, 'c') +
                "...\n"
                "  " +
                std::string(43, ' ') + "^\n");
  EXPECT_EQ(Shown(std::string(500, 'a'), 500, 500),
            "t.tl:1:501: error: here\n"
            "  ..." +
                std::string(40, 'a') + "\n  " + std::string(43, ' ') + "^\n");
}

TEST(Diagnostics, ShowsNotesBelowTheirFault) {
  Sources sources;
  sources.Add("t.tl", "f(x\n");
  Diagnostics diagnostics;
  diagnostics.Error({0, 3, 3}, "unexpected end");
  diagnostics.Note({0, 1, 2}, "'(' opened here");
  EXPECT_EQ(Render(diagnostics, sources),
            "t.tl:1:4: error: unexpected end\n"
            "  f(x\n"
            "     ^\n"
            "t.tl:1:2: note: '(' opened here\n"
            "  f(x\n"
            "   ^\n");
}

TEST(Diagnostics, ShowsTheFirstFaultsInOrderAndCountsTheRest) {
  Sources sources;
  sources.Add("t.tl", std::string(200, 'x'));
  Diagnostics diagnostics;
  for (uint32_t i = 150; i > 0; --i) diagnostics.Error({0, i, i + 1}, "bad");
  std::string shown = Render(diagnostics, sources);
  EXPECT_EQ(shown.substr(0, 20), "t.tl:1:52: error: ba");
  EXPECT_TRUE(shown.ends_with("and 130 more errors\n"));
  EXPECT_EQ(diagnostics.errors(), 150u);
}

TEST(Diagnostics, CutsAndEscapesMessages) {
  Sources sources;
  sources.Add("t.tl", "x");
  Diagnostic fault{Severity::kError, {0, 0, 1}, "\x1b[2J", "", {}};
  EXPECT_EQ(Render(fault, sources), "t.tl:1:1: error: \\x1b[2J\n  x\n  ^\n");
  fault.message = std::string(1000, 'a');
  EXPECT_EQ(Render(fault, sources),
            "t.tl:1:1: error: " + std::string(500, 'a') + "...\n  x\n  ^\n");
}

TEST(Diagnostics, FindsTheNearestName) {
  std::string_view names[] = {"weights", "bias", "relu", "x"};
  EXPECT_EQ(NearestName("wieghts", names), "weights");
  EXPECT_EQ(NearestName("rleu", names), "relu");
  EXPECT_EQ(NearestName("banana", names), "");
  EXPECT_EQ(NearestName("y", names), "");
}

}  // namespace
}  // namespace tl
