#include "lang/lexer.h"

#include <gtest/gtest.h>

#include <string>

namespace tl {
namespace {

// "spelling spelling ..." with a '/' before a token that begins a line.
std::string Tokens(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  const Source& source = sources.Add("t.tl", std::string(text));
  std::string shown;
  for (const Token& token : Lex(source, diagnostics).tokens) {
    if (token.kind == TokenKind::kEnd) break;
    if (!shown.empty()) shown += ' ';
    if (token.newline_before) shown += '/';
    shown += source.Text(token.span);
  }
  return shown + (diagnostics.errors() > 0 ? " !" : "");
}

std::string Faults(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  Lex(sources.Add("t.tl", std::string(text)), diagnostics);
  return Render(diagnostics, sources);
}

TEST(Lexer, TakesTheLongestToken) {
  EXPECT_EQ(Tokens("1..10 1..=2 a...b"), "1 .. 10 1 ..= 2 a ... b");
  EXPECT_EQ(Tokens("a:=b::c=>d->e**f+=g"), "a := b :: c => d -> e ** f += g");
  EXPECT_EQ(Tokens("x<-3"), "x < - 3");
}

TEST(Lexer, TakesAPointIntoANumberOnlyBeforeADigit) {
  EXPECT_EQ(Tokens("1.5 .5 1e-3 2.5E+7 1e3"), "1.5 .5 1e-3 2.5E+7 1e3");
  EXPECT_EQ(Tokens("1. 2.max 3..4"), "1 . 2 . max 3 .. 4");
}

TEST(Lexer, NamesMayBeginWithAKeyword) {
  EXPECT_EQ(WordKind("letter"), TokenKind::kName);
  EXPECT_EQ(WordKind("input"), TokenKind::kName);
  EXPECT_EQ(WordKind("format"), TokenKind::kName);
  EXPECT_EQ(WordKind("index"), TokenKind::kName);
  EXPECT_EQ(WordKind("in"), TokenKind::kIn);
  EXPECT_EQ(WordKind("let"), TokenKind::kLet);
}

TEST(Lexer, NamesMayHoldLettersOfAnyAlphabet) {
  EXPECT_EQ(Tokens("tamaño = Ω + 数"), "tamaño = Ω + 数");
}

TEST(Lexer, MarksTokensThatBeginALine) {
  EXPECT_EQ(Tokens("a\n\n b // c\nd /* e\n */ f"), "a /b /d /f");
  EXPECT_EQ(Tokens("a\r\nb"), "a /b");
}

TEST(Lexer, NestsBlockComments) {
  EXPECT_EQ(Tokens("a /* b /* c */ d */ e"), "a e");
}

TEST(Lexer, SkipsAByteOrderMark) { EXPECT_EQ(Tokens("\xEF\xBB\xBFx"), "x"); }

TEST(Lexer, KeepsCommentsAside) {
  Sources sources;
  Diagnostics diagnostics;
  const Source& source = sources.Add("t.tl", "// a\nx /* b */ y // c");
  LexedText lexed = Lex(source, diagnostics);
  ASSERT_EQ(lexed.comments.size(), 3u);
  EXPECT_EQ(source.Text(lexed.comments[0].span), "// a");
  EXPECT_EQ(lexed.comments[0].next_token, 0u);
  EXPECT_EQ(source.Text(lexed.comments[1].span), "/* b */");
  EXPECT_EQ(lexed.comments[1].next_token, 1u);
  EXPECT_EQ(lexed.comments[2].next_token, 2u);
}

TEST(Lexer, ResolvesEscapes) {
  EXPECT_EQ(StringValue(R"("a\n\t\r\"\\\u{e9}\u{1F600}")"),
            "a\n\t\r\"\\é\xF0\x9F\x98\x80");
}

TEST(Lexer, RefusesAnUnknownEscape) {
  EXPECT_EQ(Faults(R"(x = "a\q")"),
            "t.tl:1:7: error: unknown escape in a string; expected \\n, \\t, "
            "\\r, \\\", \\\\ or \\u{...}\n"
            "  x = \"a\\q\"\n"
            "        ^~\n");
}

TEST(Lexer, RefusesACodeThatIsNoCharacter) {
  EXPECT_EQ(Faults(R"("\u{d800}")"),
            "t.tl:1:2: error: U+D800 is not a character\n"
            "  \"\\u{d800}\"\n"
            "   ^~~~~~~~\n");
  EXPECT_EQ(Faults(R"("\u12")"),
            "t.tl:1:2: error: a character by its code is written \\u{1f600}; "
            "expected 1 to 6 hexadecimal digits in braces\n"
            "  \"\\u12\"\n"
            "   ^~\n");
}

TEST(Lexer, RefusesAStringWithoutEnd) {
  EXPECT_EQ(Faults("print(\"abc)\nx"),
            "t.tl:1:7: error: this string has no end; expected '\"' on its "
            "line\n"
            "  print(\"abc)\n"
            "        ^\n"
            "  hint: a newline inside a string is written '\\n'\n");
}

TEST(Lexer, RefusesACommentWithoutEnd) {
  EXPECT_EQ(Faults("x /* a /* b */"),
            "t.tl:1:3: error: this comment has no end; expected '*/'\n"
            "  x /* a /* b */\n"
            "    ^~\n");
}

TEST(Lexer, RefusesANameThatBeginsWithADigit) {
  EXPECT_EQ(Faults("2x = 1"),
            "t.tl:1:1: error: '2x' is neither a number nor a name\n"
            "  2x = 1\n"
            "  ^~\n"
            "  hint: a name does not begin with a digit\n");
}

TEST(Lexer, GuessesWhatAMarkWasMeantAs) {
  EXPECT_EQ(Faults("x = 'a' + 1\n"),
            "t.tl:1:5: error: a string stands in double quotes; expected "
            "\"...\"\n"
            "  x = 'a' + 1\n"
            "      ^~~\n");
  EXPECT_EQ(Faults("# note"),
            "t.tl:1:1: error: '#' has no meaning here\n"
            "  # note\n"
            "  ^\n"
            "  hint: a comment begins with '//'\n");
}

TEST(Lexer, ReportsARunOfForeignBytesOnce) {
  std::string zeros(1000, '\0');
  EXPECT_EQ(Faults("x = 1" + zeros).substr(0, 62),
            "t.tl:1:6: error: byte 0x00 has no meaning in a program\n"
            "  x = 1");
  Diagnostics diagnostics;
  Sources sources;
  Lex(sources.Add("t.tl", zeros), diagnostics);
  EXPECT_EQ(diagnostics.errors(), 1u);
  EXPECT_EQ(Faults("a \xFF\xFE\x80 b"),
            "t.tl:1:3: error: byte 0xff is not UTF-8\n"
            "  a \\xff\\xfe\\x80 b\n"
            "    ^~~~~~~~~~~~\n");
}

TEST(Lexer, RefusesControlBytesInStrings) {
  EXPECT_EQ(Faults(std::string_view("\"a\0b\"", 5)),
            "t.tl:1:3: error: byte 0x00 in a string; expected it written "
            "\\u{0}\n"
            "  \"a\\x00b\"\n"
            "    ^~~~\n");
}

}  // namespace
}  // namespace tl
