#include "lang/parser.h"

#include <gtest/gtest.h>

#include <string>

#include "lang/ast_print.h"

namespace tl {
namespace {

// The tree, then the faults.
std::string Parsed(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  SyntaxTree tree = Parse(sources.Add("t.tl", std::string(text)), diagnostics);
  return Print(tree) + Render(diagnostics, sources);
}

std::string Faults(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  Parse(sources.Add("t.tl", std::string(text)), diagnostics);
  return Render(diagnostics, sources);
}

// The messages alone, without where, lines and hints.
std::string Messages(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  Parse(sources.Add("t.tl", std::string(text)), diagnostics);
  std::string messages;
  for (const Diagnostic& found : diagnostics.Sorted()) {
    messages += found.message + '\n';
  }
  return messages;
}

TEST(Parser, BindsOperatorsFromTightToLoose) {
  EXPECT_EQ(Parsed("a + b * c"), "(+ a (* b c))\n");
  EXPECT_EQ(Parsed("a @ b * c / d % e"), "(% (/ (* (@ a b) c) d) e)\n");
  EXPECT_EQ(Parsed("-x ** 2"), "(- (** x 2))\n");
  EXPECT_EQ(Parsed("2 ** -1 * 3"), "(* (** 2 (- 1)) 3)\n");
  EXPECT_EQ(Parsed("2 ** 3 ** 4"), "(** 2 (** 3 4))\n");
  EXPECT_EQ(Parsed("-x as int * y"), "(* (as (- x) int) y)\n");
  EXPECT_EQ(Parsed("0..n - 1"), "(.. 0 (- n 1))\n");
  EXPECT_EQ(Parsed("i in 0..=n"), "(in i (..= 0 n))\n");
  EXPECT_EQ(Parsed("not a == b and c or d || e && f"),
            "(or (or (and (not (== a b)) c) d) (and e f))\n");
  EXPECT_EQ(Parsed("!a == b"), "(== (not a) b)\n");
  EXPECT_EQ(Parsed("(a + b) * c"), "(* (+ a b) c)\n");
  EXPECT_EQ(Parsed("-a.b[0](c)"), "(- (call ([] (. a b) 0) c))\n");
}

TEST(Parser, ReadsLiterals) {
  EXPECT_EQ(Parsed("[1, 2.5, \"a\", true, false, none,]"),
            "(list 1 2.5 \"a\" true false none)\n");
  EXPECT_EQ(Parsed("x = {\"a\": 1, k: [2]\n \"c\": {}}"),
            "(= x (map (\"a\" 1) (k (list 2)) (\"c\" (map))))\n");
  EXPECT_EQ(Parsed("-9223372036854775808"), "-9223372036854775808\n");
  EXPECT_EQ(Messages("9223372036854775808"),
            "this number does not fit a 64-bit int\n");
  EXPECT_EQ(Messages("1e999"),
            "this number is outside the range of a 64-bit float\n");
}

TEST(Parser, ReadsSubscripts) {
  EXPECT_EQ(Parsed("x[i, j]"), "([] x i j)\n");
  EXPECT_EQ(Parsed("x[..., 0]"), "([] x ... 0)\n");
  EXPECT_EQ(Parsed("x[1, :]"), "([] x 1 (: _ _ _))\n");
  EXPECT_EQ(Parsed("x[0:2, 1:, :3]"), "([] x (: 0 2 _) (: 1 _ _) (: _ 3 _))\n");
  EXPECT_EQ(Parsed("x[a:b:step, ::2, a: :c]"),
            "([] x (: a b step) (: _ _ 2) (: a _ c))\n");
  EXPECT_EQ(Parsed("x[-1]"), "([] x (- 1))\n");
}

TEST(Parser, ReadsCallsPathsAndTypedTensors) {
  EXPECT_EQ(Parsed("f(a, dim: -1, in: 2,)"), "(call f a dim:(- 1) in:2)\n");
  EXPECT_EQ(Parsed("f16::zeros([2, 3])"), "(call f16::zeros (list 2 3))\n");
  EXPECT_EQ(Parsed("tensor<float16>([1.0], device: gpu)"),
            "(tensor<float16> (list 1) device:gpu)\n");
  EXPECT_EQ(Parsed("tensor<f32>(x)"), "(tensor<float32> x)\n");
  EXPECT_EQ(Parsed("tensor < n"), "(< tensor n)\n");
  EXPECT_EQ(Parsed("m.for.in()"), "(call (. (. m for) in))\n");
}

TEST(Parser, ReadsFunctions) {
  EXPECT_EQ(Parsed("function forward(input: float16[N, D_in],\n"
                   "  w: float16[D_in, 2*D + 1], eps: float = 1e-5) ->\n"
                   "  float16[N, ?] {\n"
                   "  let y = input @ w\n"
                   "  return y\n"
                   "}"),
            "(function forward (input: float16[N, D_in] w: float16[D_in, 2 * D "
            "+ 1] eps: float = 1e-05) -> float16[N, ?] {(let y (@ input w)) "
            "(return y)})\n");
  EXPECT_EQ(Parsed("fn f(x, y: half[..., D]) {}"),
            "(function f (x y: float16[..., D]) {})\n");
  EXPECT_EQ(Parsed("fn f(x: float32) -> void {}"),
            "(function f (x: float32[...]) -> void {})\n");
  EXPECT_EQ(Parsed("g(on: fn(t) {\n print(t)\n t\n}, 1..2)").substr(0, 38),
            "t.tl:4:4: error: unexpected '1'; expec");
  EXPECT_EQ(Parsed("g(on: fn(t) {\n print(t)\n t + 1\n})"),
            "(call g on:(fn (t) {(call print t) (+ t 1)}))\n");
}

TEST(Parser, ReadsStatements) {
  EXPECT_EQ(
      Parsed("tensor w: float16[2, 3] learnable = [[1, 2, 3], [4, 5, 6]]"),
      "(tensor w: float16[2, 3] learnable (list (list 1 2 3) (list 4 5 "
      "6)))\n");
  EXPECT_EQ(Parsed("tensor w: f32[2]"), "(tensor w: float32[2])\n");
  EXPECT_EQ(Parsed("x := 1; x += 2; x -= 3; x *= 4; x /= 5"),
            "(:= x 1)\n(+= x 2)\n(-= x 3)\n(*= x 4)\n(/= x 5)\n");
  EXPECT_EQ(Parsed("x[i, :] = v; m.k = 1"),
            "(= ([] x i (: _ _ _)) v)\n(= (. m k) 1)\n");
  EXPECT_EQ(Parsed("for i in 0..n { continue }\nwhile c { break }\nloop { }"),
            "(for i (.. 0 n) {(continue)})\n(while c {(break)})\n(loop {})\n");
  EXPECT_EQ(Parsed("import \"a/b.tl\"\nimport std.llama"),
            "(import \"a/b.tl\")\n(import std.llama)\n");
  EXPECT_EQ(Parsed("main { print(1) }\ntest \"adds\" { assert(true) }"),
            "(main {(call print 1)})\n(test \"adds\" {(call assert true)})\n");
}

TEST(Parser, ReadsIfAsStatementAndExpression) {
  EXPECT_EQ(Parsed("if a { 1 }\nelse if b { 2 }\nelse { 3 }"),
            "(if a {1} b {2} {3})\n");
  EXPECT_EQ(Parsed("let y = if a { 1 } else { 2 }"),
            "(let y (if a {1} {2}))\n");
}

TEST(Parser, ReadsMatch) {
  EXPECT_EQ(
      Parsed("match v {\n 1 | 2 => print(\"low\")\n \"a\" => { x = 1 },\n "
             "n if n > 3 => return n, -1.5 => none\n _ => 0\n}"),
      "(match v (1 | 2 => {(call print \"low\")}) (\"a\" => {(= x 1)}) "
      "(n if (> n 3) => {(return n)}) (-1.5 => {none}) (_ => {0}))\n");
  EXPECT_EQ(Messages("match v { n | 1 => 2 }"),
            "'n' names the value, so it stands alone\n");
}

TEST(Parser, EndsStatementsAtNewlines) {
  EXPECT_EQ(Parsed("a\n(b)\n[c]\n-d"), "a\nb\n(list c)\n(- d)\n");
  EXPECT_EQ(Parsed("a +\nb\nx =\n1\nf(a\n+ b\n,\nc)"),
            "(+ a b)\n(= x 1)\n(call f (+ a b) c)\n");
  EXPECT_EQ(Parsed("x\n  .relu()\n  .sum()"),
            "(call (. (call (. x relu)) sum))\n");
  EXPECT_EQ(Parsed("f(fn() {\n a\n -b\n})"), "(call f (fn () {a (- b)}))\n");
  EXPECT_EQ(Parsed("fn f()\n-> int\n{ 1 }"), "(function f () -> int {1})\n");
}

TEST(Parser, LeavesWordsOfOneFormFreeAsNames) {
  EXPECT_EQ(Parsed("model = init(query, rule)\ntest = main\nlearn = 1\n"
                   "tensor = import\nstruct = python\nfact(relation)"),
            "(= model (call init query rule))\n(= test main)\n(= learn 1)\n"
            "(= tensor import)\n(= struct python)\n(call fact relation)\n");
}

TEST(Parser, SaysWhichFormsAreNotSupportedYet) {
  EXPECT_EQ(Faults("learn {\n  objective: loss,\n  epochs: 3\n}\nprint(1)"),
            "t.tl:1:1: error: 'learn' blocks are not supported yet\n"
            "  learn {\n"
            "  ^~~~~\n");
  EXPECT_EQ(Messages("relation parent(x, y)\nfact parent(a, b)\n"
                     "Parent(a, b).\n"
                     "P(x, z) <- Q(x, y),\n  R(y, z)\nP(a, X)?\n"
                     "Y[i, k] = X[i, j] W[j, k]\nstruct S { a: int }\n"
                     "impl S { fn f() { } }\npython import numpy\nprint(1)"),
            "relations are not supported yet\n"
            "facts are not supported yet\n"
            "facts are not supported yet\n"
            "rules are not supported yet\n"
            "queries are not supported yet\n"
            "tensor equations are not supported yet\n"
            "'struct' is not supported yet\n"
            "'impl' is not supported yet\n"
            "Python imports are not supported yet\n");
}

TEST(Parser, ReportsEveryFaultyStatement) {
  EXPECT_EQ(Faults("let x = \nlet = 3\nfn f() {\n  y = 1 +* 2\n  z = 3\n}\n"
                   "print(x"),
            "t.tl:1:8: error: unexpected end of the line; expected an "
            "expression\n"
            "  let x = \n"
            "         ^\n"
            "t.tl:2:5: error: unexpected '='; expected a name after 'let'\n"
            "  let = 3\n"
            "      ^\n"
            "t.tl:4:10: error: unexpected '*'; expected an expression\n"
            "    y = 1 +* 2\n"
            "           ^\n"
            "t.tl:7:8: error: unexpected end of the text; expected ',' or ')'\n"
            "  print(x\n"
            "         ^\n"
            "t.tl:7:6: note: '(' opened here\n"
            "  print(x\n"
            "       ^\n");
}

TEST(Parser, SaysHowAMissingCompoundAssignmentIsWritten) {
  EXPECT_EQ(Faults("v %= 3"),
            "t.tl:1:4: error: unexpected '='; expected an expression\n"
            "  v %= 3\n"
            "     ^\n"
            "  hint: there is no '%='; write 'x = x % y'\n");
}

TEST(Parser, GoesOnAfterAFaultInsideBrackets) {
  EXPECT_EQ(Messages("f(a b,\n  c)\ng(\nlet x = 1 1"),
            "unexpected 'b'; expected ',' or ')'\n"
            "unexpected 'let'; expected an expression\n"
            "unexpected '1'; expected the end of the statement\n");
  EXPECT_EQ(Messages("match v {\n 1 -> 2\n 3 => 4\n}\nlet 5"),
            "unexpected '->'; expected '|', 'if' or '=>'\n"
            "unexpected '5'; expected a name after 'let'\n");
}

TEST(Parser, PointsAtTheEndOfALineWhereSomethingIsMissing) {
  EXPECT_EQ(Faults("for i in\n"),
            "t.tl:1:9: error: unexpected end of the text; expected an "
            "expression\n"
            "  for i in\n"
            "          ^\n");
  EXPECT_EQ(Faults("tensor w: float16[2] learnable 3"),
            "t.tl:1:32: error: unexpected '3'; expected the end of the "
            "statement\n"
            "  tensor w: float16[2] learnable 3\n"
            "                                 ^\n");
  EXPECT_EQ(Faults("let x\nlet y = 1"),
            "t.tl:1:6: error: unexpected end of the line; expected '='\n"
            "  let x\n"
            "       ^\n");
}

TEST(Parser, HintsAtWhatWasMeant) {
  EXPECT_EQ(Faults("x = (a // b)\n"),
            "t.tl:1:7: error: unexpected end of the text; expected ')'\n"
            "  x = (a // b)\n"
            "        ^\n"
            "  hint: '//' begins a comment; an int quotient is written 'a / "
            "b'\n"
            "t.tl:1:5: note: '(' opened here\n"
            "  x = (a // b)\n"
            "      ^\n");
  EXPECT_EQ(Faults("x = n // 2\n"),
            "t.tl:1:7: warning: this is a comment\n"
            "  x = n // 2\n"
            "        ^~~~\n"
            "  hint: '//' begins a comment; an int quotient is written 'a / "
            "b'\n");
  EXPECT_EQ(Faults("a < b < c"),
            "t.tl:1:7: error: comparisons do not chain\n"
            "  a < b < c\n"
            "        ^\n"
            "  hint: write 'a < b and b < c'\n");
  EXPECT_EQ(Faults("x = 1."),
            "t.tl:1:7: error: unexpected end of the text; expected a digit "
            "after the point\n"
            "  x = 1.\n"
            "        ^\n"
            "  hint: a whole float is written '1.0'\n");
  EXPECT_EQ(Faults("if x = 1 { }"),
            "t.tl:1:6: error: unexpected '='; expected '{'\n"
            "  if x = 1 { }\n"
            "       ^\n"
            "  hint: equality is written '=='\n");
  EXPECT_EQ(Faults("fn f(x: flot16[2]) { }"),
            "t.tl:1:9: error: 'flot16' is not a type; expected float16[...], "
            "Tensor, int, float, bool, string, list, map, Model, Cache, "
            "Tokenizer or Function\n"
            "  fn f(x: flot16[2]) { }\n"
            "          ^~~~~~\n"
            "  hint: did you mean 'float16'?\n");
  EXPECT_EQ(Faults("m.blk.0.w"),
            "t.tl:1:6: error: unexpected '.0'; expected the end of the "
            "statement\n"
            "  m.blk.0.w\n"
            "       ^~\n"
            "  hint: an element is written 'x[0]'\n");
}

TEST(Parser, RefusesWhatStandsInTheWrongPlace) {
  EXPECT_EQ(Messages("}\nx = 1"), "unexpected '}'; it closes nothing\n");
  EXPECT_EQ(Messages("fn f() { import \"a.tl\" }"),
            "'import' stands only at the top level of a file\n");
  EXPECT_EQ(
      Messages("f(x) = 1"),
      "this cannot be assigned to; expected a name, 'x[i]' or 'x.name'\n");
  EXPECT_EQ(Messages("a = b = c"),
            "unexpected '='; expected the end of the statement\n");
  EXPECT_EQ(Messages("f(a: 1, 2)"),
            "unexpected '2'; expected a named argument after another\n");
  EXPECT_EQ(Messages("fn f(a = 1, b) {}\nfn g(a, a) {}"),
            "'b' has no default but stands after 'a', which has one\n"
            "two parameters are named 'a'\n");
  EXPECT_EQ(Faults("main { }\nmain { }"),
            "t.tl:2:1: error: a second 'main'; a file has one\n"
            "  main { }\n"
            "  ^~~~\n"
            "t.tl:1:1: note: the first stands here\n"
            "  main { }\n"
            "  ^~~~\n");
}

std::string Repeat(std::string_view text, size_t times) {
  std::string repeated;
  for (size_t i = 0; i < times; ++i) repeated += text;
  return repeated;
}

TEST(Parser, RefusesToNestTooDeeply) {
  const std::string message = "nested too deeply; at most 1000 levels\n";
  for (const char* open :
       {"(", "[", "f(", "x[", "{1: ", "-", "not ", "!", "fn() { ", "if x { ",
        "match x { 1 => ", "2 ** ", "while x { "}) {
    EXPECT_EQ(Messages(Repeat(open, 100'000)), message) << open;
  }
  EXPECT_EQ(Messages("fn f(x: float16[" + Repeat("(", 100'000)), message);
  for (const char* more : {"+ 1", ".x", "(1)", "[1]", " and x", " as int"}) {
    EXPECT_EQ(Messages("x" + Repeat(more, 100'000)), message) << more;
  }
}

TEST(Parser, TakesAnyNumberOfSiblings) {
  EXPECT_EQ(Messages("if a { }" + Repeat(" else if b { }", 100'000)), "");
  EXPECT_EQ(Messages("[" + Repeat("1, ", 1'000'000) + "]"), "");
  EXPECT_EQ(Messages(Repeat("x = 1\n", 100'000)), "");
}

TEST(Parser, SurvivesHostileText) {
  EXPECT_EQ(Messages(std::string(10'000'000, 'a')), "");
  EXPECT_EQ(Messages(Repeat(")", 1000)).substr(0, 50),
            "unexpected ')'; expected an expression\n");
  EXPECT_EQ(Messages("= 1"), "unexpected '='; expected an expression\n");
  std::string every_byte;
  for (int i = 0; i < 100'000; ++i) every_byte += static_cast<char>(i * 7919);
  EXPECT_NE(Faults(every_byte), "");
  EXPECT_EQ(Messages(std::string("x = \0 1", 7)),
            "byte 0x00 has no meaning in a program\n");
}

TEST(Parser, KnowsWhetherMoreTextIsNeeded) {
  EXPECT_TRUE(IsUnfinished("fn f() {"));
  EXPECT_TRUE(IsUnfinished("x = [1,\n"));
  EXPECT_TRUE(IsUnfinished("x = 1 +"));
  EXPECT_TRUE(IsUnfinished("/* a"));
  EXPECT_FALSE(IsUnfinished("x = 1"));
  EXPECT_FALSE(IsUnfinished("x = )"));
  EXPECT_FALSE(IsUnfinished("\"abc"));
}

}  // namespace
}  // namespace tl
