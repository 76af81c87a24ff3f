#include "lang/format.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "lang/lexer.h"

namespace tl {
namespace {

// Kinds, texts and line breaks of all tokens, and the comments.
std::string Stream(const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  const Source& source = sources.Add("t.tl", text);
  LexedText lexed = Lex(source, diagnostics);
  std::string stream;
  for (const Token& token : lexed.tokens) {
    bool line = token.newline_before && token.kind != TokenKind::kEnd;
    if (line && !stream.empty()) stream += '/';
    stream += source.Text(token.span);
    stream += ' ';
  }
  for (const Comment& comment : lexed.comments) {
    std::string_view shown = source.Text(comment.span);
    stream += shown.substr(0, shown.find_last_not_of(" \t\r") + 1);
  }
  return stream;
}

std::string Formatted(const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  std::optional<std::string> once =
      Format(sources.Add("t.tl", text), diagnostics);
  if (!once) return Render(diagnostics, sources);
  EXPECT_EQ(Format(sources.Add("t.tl", *once), diagnostics), once);
  EXPECT_EQ(Stream(*once), Stream(text));
  return *once;
}

TEST(Format, SpacesOperatorsAndMarks) {
  EXPECT_EQ(Formatted("let   x=a+b *c@d"), "let x = a + b * c @ d\n");
  EXPECT_EQ(Formatted("x=- y**- 2 ; z = ! a"), "x = -y ** -2; z = !a\n");
  EXPECT_EQ(Formatted("f ( a ,dim :- 1 ) . T [ 0 ]"), "f(a, dim: -1).T[0]\n");
  EXPECT_EQ(Formatted("x [ 1 : , a+1 : b : 2 , ... ,: ] = y"),
            "x[1:, a + 1:b:2, ..., :] = y\n");
  EXPECT_EQ(Formatted("m={ \"a\" :1 ,\"b\":[ 1,2 ] }"),
            "m = {\"a\": 1, \"b\": [1, 2]}\n");
  EXPECT_EQ(Formatted("let t=tensor < float16 > ([1.0],device:gpu)"),
            "let t = tensor<float16>([1.0], device: gpu)\n");
  EXPECT_EQ(Formatted("f16 :: zeros( [2] ); for i in 0 .. n-1{ }"),
            "f16::zeros([2]); for i in 0..n - 1 {}\n");
  EXPECT_EQ(Formatted("if a<b and not(c){x}else{y}"),
            "if a < b and not (c) { x } else { y }\n");
  EXPECT_EQ(Formatted("match v{1|2=>a,_=>{b}}"),
            "match v { 1 | 2 => a, _ => { b } }\n");
  EXPECT_EQ(
      Formatted("fn f( x:float16[ N,2*D,? ],e=1 )->int{return x as int}"),
      "fn f(x: float16[N, 2 * D, ?], e = 1) -> int { return x as int }\n");
}

TEST(Format, KeepsTokensApartThatWouldJoin) {
  EXPECT_EQ(Formatted("x = 0 .. .5"), "x = 0.. .5\n");
  EXPECT_EQ(Formatted("x = a - -b"), "x = a - -b\n");
  EXPECT_EQ(Formatted("x = - -b"), "x = --b\n");
}

TEST(Format, IndentsByBlocksAndAlignsInBrackets) {
  EXPECT_EQ(Formatted("function forward(input: float16[N, D],\n"
                      "  bias: float16[D]) -> float16[N, D] {\n"
                      "let y = input\n"
                      "if a {\n"
                      "y = 1\n"
                      "}\n"
                      "else {\n"
                      "y = [\n"
                      "1,\n"
                      "  ]\n"
                      "}\n"
                      "}"),
            "function forward(input: float16[N, D],\n"
            "                 bias: float16[D]) -> float16[N, D] {\n"
            "    let y = input\n"
            "    if a {\n"
            "        y = 1\n"
            "    }\n"
            "    else {\n"
            "        y = [\n"
            "            1,\n"
            "        ]\n"
            "    }\n"
            "}\n");
  EXPECT_EQ(Formatted("let X = tensor<f16>([\n[1.0],\n[2.0]\n], device: gpu)"),
            "let X = tensor<f16>([\n    [1.0],\n    [2.0]\n], device: gpu)\n");
  EXPECT_EQ(Formatted("let first = 1\nf(a,\nb)"),
            "let first = 1\nf(a,\n  b)\n");
  EXPECT_EQ(Formatted("g(m, on: fn(t) {\nprint(t)\n})"),
            "g(m, on: fn(t) {\n    print(t)\n})\n");
  EXPECT_EQ(Formatted("y = x\n.relu()\n.sum()\nz = a +\nb"),
            "y = x\n    .relu()\n    .sum()\nz = a +\n    b\n");
  EXPECT_EQ(Formatted("match v {\n1 => a,\n_ =>\nb\n}"),
            "match v {\n    1 => a,\n    _ =>\n        b\n}\n");
}

TEST(Format, KeepsCommentsAndOneBlankLine) {
  EXPECT_EQ(
      Formatted("\n\n// a  \n\n\n\nx=1//b\nfn f() {\n\n// c\ny /* d */+1\n"
                "\n}\n/* e\n   f */\n\n"),
      "// a\n\nx = 1  //b\nfn f() {\n    // c\n    y /* d */ + 1\n}\n"
      "/* e\n   f */\n");
  EXPECT_EQ(Formatted("\n// a"), "// a\n");
  EXPECT_EQ(Formatted(""), "");
}

TEST(Format, TakesLineEndsOfAllKindsFromComments) {
  EXPECT_EQ(Formatted("// a\r\nx = 1 // b\t\r\t\r\n//\r"),
            "// a\nx = 1  // b\n//\n");
}

TEST(Format, AlignsTheCommentsOfNeighbouringLines) {
  EXPECT_EQ(Formatted("a = 1 // x\nlonger = 2     // y\n\nb = 3 // z"),
            "a = 1       // x\nlonger = 2  // y\n\nb = 3  // z\n");
  EXPECT_EQ(Formatted("é = 1 // x\nx = f( // y\n1) // z"),
            "é = 1   // x\nx = f(  // y\n    1)  // z\n");
}

TEST(Format, KeepsACommentUnderTheOneItGoesOnFrom) {
  EXPECT_EQ(Formatted("a = 1 // x\n      // y\nlonger = 2 // z\n// w"),
            "a = 1       // x\n            // y\nlonger = 2  // z\n// w\n");
}

TEST(Format, ReportsSyntaxErrorsInstead) {
  EXPECT_EQ(Formatted("let = 1"),
            "t.tl:1:5: error: unexpected '='; expected a name after 'let'\n"
            "  let = 1\n"
            "      ^\n");
}

TEST(Format, ChangesNoTokenOfAnyProgramInTheTree) {
  size_t programs = 0;
  for (const char* folder : {"examples", "std", "tests"}) {
    std::filesystem::path root = std::filesystem::path(TL_SOURCE_DIR) / folder;
    if (!std::filesystem::exists(root)) continue;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(root)) {
      if (entry.path().extension() != ".tl") continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      EXPECT_NE(Formatted(text.str()), "") << entry.path();
      ++programs;
    }
  }
  EXPECT_GT(programs, 0u);
}

}  // namespace
}  // namespace tl
