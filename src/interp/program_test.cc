#include "interp/program.h"

#include <gtest/gtest.h>

#include "base/interrupt.h"

namespace tl {
namespace {

struct Outcome {
  std::string output;
  std::string error;  // the text and its notes, a line each
  std::string diagnostics;
  int status = 0;
};

// Runs a program that is no file.
Outcome RunText(const std::string& text) {
  Outcome outcome;
  Output output([&](std::string_view text) { outcome.output += text; });
  RunOptions options;
  options.report = [&](std::string_view text) { outcome.diagnostics += text; };
  Interpreter interpreter(options, output);
  try {
    outcome.status = interpreter.RunText("p.tl", text);
  } catch (const Error& error) {
    outcome.error = error.text();
    for (const std::string& note : error.notes()) outcome.error += "\n" + note;
  }
  return outcome;
}

std::string Printed(const std::string& text) {
  const Outcome outcome = RunText(text);
  return outcome.output + outcome.error + outcome.diagnostics;
}

TEST(Program, AssignsIntoNestedPlacesWithoutAliasing) {
  EXPECT_EQ(Printed("let m = {\"a\": [1, {\"b\": 2}]}\n"
                    "let before = m\n"
                    "m[\"a\"][1].b += 40\n"
                    "m.a.push(3)\n"
                    "m[\"a\"][0] *= 5\n"
                    "print(m, before)\n"),
            "{\"a\": [5, {\"b\": 42}, 3]} {\"a\": [1, {\"b\": 2}]}\n");
}

TEST(Program, AListInAGlobalThatAFunctionChangesIsChangedInPlace) {
  EXPECT_EQ(Printed("let v = []\n"
                    "fn add(x) { v.push(x) }\n"
                    "for i in 0..3 { add(i) }\n"
                    "v[1] += 10\n"
                    "print(v)\n"),
            "[0, 11, 2]\n");
}

TEST(Program, AFunctionsChangeOfItsArgumentIsItsOwn) {
  EXPECT_EQ(Printed("fn grow(v) { v.push(1)\n v }\n"
                    "let v = [0]\n"
                    "print(grow(v), v)\n"),
            "[0, 1] [0]\n");
}

TEST(Program, EachRoundOfALoopSharesItsOwnVariable) {
  EXPECT_EQ(Printed("let fs = []\n"
                    "for i in 0..3 {\n"
                    "  let twice = i * 2\n"
                    "  fs.push(fn() { twice += 1\n twice + i })\n"
                    "}\n"
                    "print(fs[0](), fs[2](), fs[2]())\n"),
            "1 7 8\n");
}

TEST(Program, ANestedFunctionSeesItselfAndTheVariablesAroundIt) {
  EXPECT_EQ(Printed("fn times(k, n) {\n"
                    "  fn add(m) {\n"
                    "    if m == 0 { return 0 }\n"
                    "    k + add(m - 1)\n"
                    "  }\n"
                    "  add(n)\n"
                    "}\n"
                    "print(times(3, 4), times(2, 2))\n"),
            "12 4\n");
}

TEST(Program, AMemberComesBeforeAVariableAndAFunctionOfItsName) {
  EXPECT_EQ(Printed("let f = fn(x, y) { x + y }\n"
                    "let m = {\"f\": fn(x) { x * 2 }, \"len\": 7}\n"
                    "print(m.f(4), 1.f(2), m.len(), [1].len())\n"),
            "8 3 7 1\n");
}

TEST(Program, AVariableThatCannotBeCalledDoesNotHideAFunction) {
  EXPECT_EQ(Printed("let len = 3\nprint(len([1, 2]), len)\n"), "2 3\n");
}

TEST(Program, DefaultsSeeEarlierParametersAndAreMadeAnewEachCall) {
  EXPECT_EQ(Printed("fn f(x, y = x + 1, v = []) { v.push(y)\n v }\n"
                    "print(f(1), f(1, v: [0]), f(1))\n"),
            "[2] [0, 2] [2]\n");
}

TEST(Program, DimsAreBoundCheckedAndUsableAsInts) {
  EXPECT_EQ(Printed("fn f(x: float16[N, D], y: float16[D * 2]) { [N, D] }\n"
                    "print(f(zeros([2, 3]), zeros([6])))\n"),
            "[2, 3]\n");
  EXPECT_EQ(RunText("fn f(x: float16[N, D], y: float16[N]) { N }\n"
                    "let n = len(args())\n"
                    "f(zeros([n + 2, 3]), zeros([n + 4]))\n")
                .error,
            "f: 'y' is float16[4]; expected float16[N] with N = 2\n"
            "at p.tl:1:24 in 'f'\nat p.tl:3:1");
}

TEST(Program, ACharacterIsAUnicodeOne) {
  EXPECT_EQ(Printed("let s = \"h\\u{e9}llo\"\n"
                    "print(s[1], s[-1], s[1:3], s[::2], len(s))\n"),
            "\u00e9 o \u00e9l hlo 5\n");
}

TEST(Program, ABranchOnNaNIsNotTakenEitherWay) {
  EXPECT_EQ(Printed("let n = 0.0 / 0.0\n"
                    "if n < 1 { print(\"less\") } else { print(\"not\") }\n"
                    "if not (n >= 1) { print(\"nor\") }\n"),
            "not\nnor\n");
}

TEST(Program, CountsToTheLargestInt) {
  EXPECT_EQ(Printed("let n = 0\n"
                    "for i in 9223372036854775806..=9223372036854775807 {\n"
                    "  n += 1\n"
                    "}\n"
                    "print(n)\n"),
            "2\n");
}

TEST(Program, AListNestedAMillionTimesIsReleasedInALoop) {
  EXPECT_EQ(Printed("let v = []\n"
                    "for i in 0..1000000 { v = [v] }\n"
                    "v = 1\nprint(v)\n"),
            "1\n");
}

TEST(Program, SaysWhereAnErrorHappenedAndWhoCalled) {
  EXPECT_EQ(
      RunText("fn f(v, i) { v[i] }\nlet n = 5\nprint(f([1, 2], n))\n").error,
      "index 5 is out of range for a list of 2\n"
      "at p.tl:1:14 in 'f'\nat p.tl:3:7");
}

TEST(Program, EndlessRecursionIsAnErrorAndItsTraceIsCut) {
  const std::string error = RunText("fn f(n) { f(n + 1) }\nf(0)\n").error;
  EXPECT_EQ(error.substr(0, error.find('\n')),
            "call depth 10000 exceeded by 'f'");
  EXPECT_TRUE(error.ends_with("\nand 9990 more calls")) << error;
}

TEST(Program, OverflowAndDivisionByZeroAreErrors) {
  EXPECT_EQ(RunText("let n = 9223372036854775807\nprint(n + 1)\n").error,
            "9223372036854775807 + 1 does not fit an int\nat p.tl:2:7");
  EXPECT_EQ(RunText("let n = 0\nprint(7 % n)\n").error,
            "division by zero: 7 % 0\nat p.tl:2:7");
  EXPECT_EQ(Printed("let n = -1\nprint(7 / n, 7 % n, 1.0 / 0)\n"),
            "-7 0 inf\n");
}

TEST(Program, ErrorsLeaveWhatWasPrintedBefore) {
  const Outcome outcome = RunText("print(1)\npanic(\"now\")\n");
  EXPECT_EQ(outcome.output, "1\n");
  EXPECT_EQ(outcome.error, "panic: now\nat p.tl:2:1");
}

TEST(Program, ExitEndsTheProgramWithItsStatus) {
  const Outcome outcome = RunText("print(1)\nexit(3)\nprint(2)\n");
  EXPECT_EQ(outcome.output, "1\n");
  EXPECT_EQ(outcome.status, 3);
}

TEST(Program, FormatRefusesWhatDoesNotFit) {
  EXPECT_EQ(
      Printed("print(format(\"{:>5}|{:.2f}|{{}}|{}\", \"ab\", 1, [2]))\n"),
      "   ab|1.00|{}|[2]\n");
  EXPECT_EQ(RunText("format(\"{} {}\", 1)\n").error,
            "format: the pattern has more fields than the 1 value given\n"
            "at p.tl:1:1");
  EXPECT_EQ(RunText("format(\"{:99999d}\", 1)\n").error,
            "format: '{:99999d}' does not fit an int\nat p.tl:1:1");
}

TEST(Program, CtrlCStopsALoop) {
  Output output([](std::string_view) {});
  Interpreter interpreter({}, output);
  interrupt_requested.store(true);
  EXPECT_THROW(interpreter.RunText("p.tl", "loop { }\n"), Interrupted);
  EXPECT_FALSE(interrupt_requested.load());
}

TEST(Program, CtrlCStopsRecursion) {
  Output output([](std::string_view) {});
  Interpreter interpreter({}, output);
  interrupt_requested.store(true);
  EXPECT_THROW(interpreter.RunText("p.tl", "fn f(n) { n }\nf(0)\n"),
               Interrupted);
  EXPECT_FALSE(interrupt_requested.load());
}

class Session : public testing::Test {
 protected:
  // What the entry shows, or how it failed.
  std::string Enter(const std::string& text) {
    try {
      const Interpreter::Entry entry = interpreter_.RunEntry(text);
      return entry.shown.value_or(entry.accepted ? "" : "refused");
    } catch (const Error& error) {
      return error.text();
    }
  }

  Output output_{[](std::string_view) {}};
  Interpreter interpreter_{{.report = [](std::string_view) {}}, output_};
};

TEST_F(Session, KeepsNamesAndSurvivesErrors) {
  EXPECT_EQ(Enter("let x = [1, 2]"), "");
  EXPECT_EQ(Enter("x[7] = 1"), "index 7 is out of range for a list of 2");
  EXPECT_EQ(Enter("y + 1"), "refused");
  EXPECT_EQ(Enter("x.push(3)\nx"), "[1, 2, 3]");
  EXPECT_EQ(Enter("\"a\" + \"b\""), "\"ab\"");
}

TEST_F(Session, AFunctionDefinedAgainReplacesTheOldOne) {
  EXPECT_EQ(Enter("fn f() { 1 }\nfn g() { f() }"), "");
  EXPECT_EQ(Enter("g()"), "1");
  EXPECT_EQ(Enter("fn f() { 2 }"), "");
  EXPECT_EQ(Enter("g()"), "2");
}

TEST_F(Session, HasNoLastEntry) {
  // More functions, and more entries, than can be numbered at once.
  Enter("let sum = 0");
  for (int i = 0; i < 66000; ++i) {
    ASSERT_EQ(Enter("fn f(x) { fn(y) { x + y } }\nsum = f(sum)(1)"), "") << i;
  }
  EXPECT_EQ(Enter("sum"), "66000");
}

TEST_F(Session, KeepsTheCodeThatAValueCanCall) {
  Enter("fn adder(n) { fn(x) { x + n } }\nlet by = {\"two\": adder(2)}");
  Enter("fn adder(n) { none }\nlet other = fn(x) { x[9] }");
  for (int i = 0; i < 10; ++i) Enter("fn(x) { x * 1000 }(1)");
  EXPECT_EQ(Enter("by[\"two\"](40)"), "42");
  EXPECT_EQ(Enter("other([1])"), "index 9 is out of range for a list of 1");
}

TEST_F(Session, KnowsWhereWhatIsPendingStands) {
  Enter("let x = ones(2)");
  Enter("\n let z = x[[0, 9]]");
  for (int i = 0; i < 10; ++i) Enter("1 + 1");
  try {
    interpreter_.RunEntry("z");
    FAIL();
  } catch (const Error& error) {
    ASSERT_FALSE(error.notes().empty());
    EXPECT_EQ(error.notes()[0], "computed at input:2:10");
  }
}

TEST_F(Session, ACacheForgetsWhatAFailingEntryWrote) {
  Enter("let c = kv_cache(2, length: 8)\nlet x = ones(2, 1, 4)");
  Enter("attention(x, x, x, cache: c[0])\nattention(x, x, x, cache: c[1])");
  EXPECT_EQ(Enter("c.pos"), "2");
  EXPECT_EQ(Enter("attention(x, x, x, cache: c[0])\n"
                  "attention(x, x, ones(2, 2, 4), cache: c[1])"),
            "cache: keys [2, 1, 4] and values [2, 2, 4] do not fit; expected "
            "[seq, kv_heads, dim] behind positions of [8, 1, 4] and [8, 1, 4]");
  EXPECT_EQ(Enter("[c[0].pos, c[1].pos]"), "[2, 2]");
  // Positions of layer 0 that are there already, in a computed buffer.
  EXPECT_EQ(Enter("print(attention(x, x, 3 * x, cache: c[0]))\npanic(\"no\")"),
            "panic: no");
  EXPECT_EQ(Enter("c[0].pos"), "2");
  EXPECT_EQ(Enter("c.append(0, x, x)\nc.append(1, x, x)\nc.append(1, x)"),
            "append: 2 arguments; its form is append(layer, k, v)");
  EXPECT_EQ(Enter("c"), "cache(2 layers, 2 of 8 positions)");
  EXPECT_EQ(Enter("attention(x, 5 * x, x, cache: c[0])\nsum(c.get_k(0))"),
            "48.0");
}

TEST_F(Session, ACacheForgetsWhatCannotBeComputed) {
  Enter("let c = kv_cache(1, length: 8)\nlet x = ones(2, 1, 4)");
  Enter("let y = attention(x, x, x, cache: c)");
  // Nothing has been computed: neither what is good nor what is not.
  Enter("let z = attention(x[[0, 9]], x[[0, 9]], x, cache: c)");
  EXPECT_EQ(Enter("c.pos"), "4");
  EXPECT_EQ(Enter("z"), "index 9 is out of range for axis 0 of size 2");
  EXPECT_EQ(Enter("c.pos"), "2");
  EXPECT_EQ(Enter("sum(c.get_k(0))"), "8.0");
  // A prompt that fills the cache.
  Enter("c.clear()\nlet all = x[[0, 0, 0, 0, 0, 0, 0, 9]]");
  EXPECT_EQ(Enter("attention(all, all, all, cache: c)"),
            "index 9 is out of range for axis 0 of size 2");
  EXPECT_EQ(Enter("c.pos"), "0");
  EXPECT_EQ(Enter("attention(x, 2 * x, x, cache: c)\nsum(c.get_k(0))"), "16.0");
}

TEST_F(Session, ACacheForgetsWhatWasInterrupted) {
  Enter("let c = kv_cache(1, length: 8)\nlet x = ones(2, 1, 4)");
  Enter("attention(x, x, x, cache: c)");
  EXPECT_THROW(
      {
        interrupt_requested.store(true);
        interpreter_.RunEntry(
            "attention(x, x, x, cache: c)\nfor i in 0..1000000 { i }");
      },
      Interrupted);
  EXPECT_EQ(Enter("c.pos"), "2");
}

TEST_F(Session, WhatACopyOfACacheForgetsIsItsOwn) {
  Enter("let c = kv_cache(1, length: 8)\nlet x = ones(2, 1, 4)");
  Enter("attention(x, x, x, cache: c)\nlet d = c.copy()");
  EXPECT_EQ(Enter("attention(x, x, x, cache: d)\npanic(\"no\")"), "panic: no");
  EXPECT_EQ(Enter("[c.pos, d.pos]"), "[2, 2]");
  // What is truncated before a fault is gone: it may be overwritten by then.
  EXPECT_EQ(Enter("d.truncate(1)\nd.append(0, x, x)\npanic(\"no\")"),
            "panic: no");
  EXPECT_EQ(Enter("[c.pos, d.pos]"), "[2, 1]");
}

// What was to be written behind is not computed: it would fail.
TEST_F(Session, ATruncatedCacheNeverComputesWhatItForgot) {
  Enter("let c = kv_cache(1, length: 8)\nlet x = ones(2, 1, 4)");
  Enter("attention(x, x, x, cache: c)");
  Enter("let bad = x[tensor([0, 9], dtype: \"int32\")]");
  EXPECT_EQ(Enter("c.append(0, x, x)\nc.append(0, bad, bad)\nc.truncate(3)\nc.pos"),
            "3");
  EXPECT_EQ(Enter("c.append(0, 3 * x, x)\nsum(c.get_k(0), dim: [1, 2])"),
            "[ 4.,  4.,  4., 12., 12.]");
  EXPECT_EQ(Enter("c.truncate(4)\nc.append(0, 2 * x, x)\npanic(\"no\")"),
            "panic: no");
  EXPECT_EQ(Enter("c.pos"), "4");
}

TEST_F(Session, TellsItsNames) {
  Enter("let b = {}\nlet a = 1");
  EXPECT_EQ(interpreter_.Names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(interpreter_.KindOf("b"), MemberOwner::kMap);
  EXPECT_EQ(interpreter_.KindOf("a"), std::nullopt);
}

}  // namespace
}  // namespace tl
