#include "lang/checker.h"

#include <gtest/gtest.h>

#include <map>

namespace tl {
namespace {

class FakeHeaders : public HeaderSource {
 public:
  std::shared_ptr<const ModelHeader> Find(const std::string& path) override {
    if (path != "m.safetensors") return nullptr;
    auto header = std::make_shared<ModelHeader>();
    header->tensors = {{"fc1.weight", "F32", {32, 64}},
                       {"fc1.bias", "F32", {32}},
                       {"blk.0.w", "F16", {4, 4}},
                       {"ids", "I64", {7}, false}};
    return header;
  }
};

class FakeFiles : public ModuleFiles {
 public:
  std::optional<std::string> Read(const std::string& path) override {
    if (path == "lib.tl") return "fn twice(x: int) -> int { x * 2 }\nk = 3";
    return std::nullopt;
  }
  std::optional<std::string> FindModule(std::string_view) override {
    return std::nullopt;
  }
  std::string Canonical(const std::string& path) override { return path; }
};

void CheckInto(std::string_view text, Sources& sources,
               Diagnostics& diagnostics) {
  FakeFiles files;
  FakeHeaders headers;
  const Source& source = sources.Add("t.tl", std::string(text));
  LoadedProgram program =
      LoadProgram(source, "t.tl", files, sources, diagnostics);
  ASSERT_EQ(diagnostics.errors(), 0u) << Render(diagnostics, sources);
  CheckOptions options;
  options.headers = &headers;
  Check(program, options, diagnostics);
}

std::string Faults(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  CheckInto(text, sources, diagnostics);
  return Render(diagnostics, sources);
}

// "line: severity: message | hint" of each.
std::string Messages(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  CheckInto(text, sources, diagnostics);
  std::string messages;
  for (const Diagnostic& found : diagnostics.Sorted()) {
    const Source& source = sources.Get(found.span);
    messages += std::to_string(source.PositionOf(found.span.begin).line) +
                (found.severity == Severity::kError ? ": " : ": warning: ") +
                found.message + (found.hint.empty() ? "" : " | " + found.hint) +
                "\n";
  }
  return messages;
}

TEST(Checker, SaysThatALocalFunctionComesTooLate) {
  EXPECT_EQ(Faults("fn f() {\n  let a = g()\n  fn g() { 1 }\n  a\n}"),
            "t.tl:2:11: error: unknown function 'g'\n"
            "    let a = g()\n"
            "            ^\n"
            "  hint: inside a block a function stands before its use\n");
}

TEST(Checker, FindsUnknownNames) {
  EXPECT_EQ(Faults("let weights = [1.0]\nprint(wieghts)"),
            "t.tl:2:7: error: unknown name 'wieghts'\n"
            "  print(wieghts)\n"
            "        ^~~~~~~\n"
            "  hint: did you mean 'weights'?\n");
  EXPECT_EQ(Messages("print(sofmax([1.0, 2.0]))"),
            "1: unknown function 'sofmax' | did you mean 'softmax'?\n");
  EXPECT_EQ(
      Messages("print(zzzzzz)\nf16::zeroes([2])\nIntVec::now()"),
      "1: unknown name 'zzzzzz'\n"
      "2: unknown function 'f16::zeroes' | did you mean 'zeros'?\n"
      "3: unknown function 'IntVec::now' | did you mean 'IntVec::new'?\n");
}

TEST(Checker, FollowsScopes) {
  EXPECT_EQ(Messages("if true { y = 1 }\nprint(y)"),
            "2: unknown name 'y' | 'y' was declared inside a block that has "
            "ended; declare it before the block\n");
  EXPECT_EQ(Messages("y = 0\nif true { y = 1 }\nprint(y)"), "");
  EXPECT_EQ(Messages("for i in 0..3 { print(i) }\nlet f = fn(i) { i }\nf(1)"),
            "");
  EXPECT_EQ(Messages("fn f() { g() + k }\nfn g() { 1 }\nlet k = 2\nf()"), "");
  EXPECT_EQ(Messages("print(k)\nlet k = 2"), "1: unknown name 'k'\n");
  EXPECT_EQ(Messages("n += 1"), "1: unknown name 'n'\n");
  EXPECT_EQ(Messages("let max = 3\nprint(max(1.0, 2.0))"), "");
  EXPECT_EQ(Messages("let q = 3\nq(1)"),
            "2: 'q' is an int; expected a "
            "function\n");
  EXPECT_EQ(Messages("import \"lib.tl\"\nprint(twice(k))"), "");
  EXPECT_EQ(Messages("import \"lib.tl\"\nprint(twice())"),
            "2: 'twice' takes 1 argument; 0 given | 'x' is missing; its form "
            "is twice(x)\n");
}

TEST(Checker, WarnsOfAReachOutOfAFunction) {
  EXPECT_EQ(Messages("n = 0\nfn f() { n = 1 }\nfn g() { n := 1 }\n"
                     "fn h() { let n = 2\n n = 3 }\nf(); g(); h()"),
            "2: warning: this changes 'n' of the top level | ':=' says that "
            "this is meant; 'let n = ...' makes a new name\n");
}

TEST(Checker, WarnsOfStatementsWithoutEffect) {
  EXPECT_EQ(Messages("let x = 1\nx + 1\nx == 2\nrelu([1.0])\nlet v = []\n"
                     "push(v, 1)\nfn f() { x }\nf()\nif true { x }"),
            "2: warning: this statement has no effect\n"
            "3: warning: this statement has no effect | a value is assigned "
            "with '='\n"
            "4: warning: the result of 'relu' is not used\n"
            "6: warning: the list this makes is not used | 'v.push(x)' changes "
            "the variable v\n"
            "9: warning: this statement has no effect\n");
}

TEST(Checker, FindsWrongArguments) {
  EXPECT_EQ(Faults("fn f(a, b) { a }\nf(1)"),
            "t.tl:2:1: error: 'f' takes 2 arguments; 1 given\n"
            "  f(1)\n"
            "  ^~~~\n"
            "  hint: 'b' is missing; its form is f(a, b)\n");
  EXPECT_EQ(Messages("print(softmax([1.0], dmi: 0))\nlen()\n"
                     "[1].softmax(0, 1)\nprint(softmax([1.0], \"a\"))"),
            "1: 'softmax' has no parameter 'dmi'; its form is softmax(x, dim = "
            "-1) | did you mean 'dim'?\n"
            "2: 'len' takes 1 argument; 0 given | 'x' is missing; its form is "
            "len(x)\n"
            "3: 'softmax' takes 1 to 2 arguments; 3 given | its form is "
            "softmax(x, dim = -1)\n"
            "4: softmax: 'dim' is a string; expected an int\n");
  EXPECT_EQ(Messages("fn f(n: int, s: string) { s }\nf(\"a\", \"b\")\n"
                     "f(2.0, 3)\nf([1], \"x\")"),
            "2: f: 'n' is a string; expected an int\n"
            "3: f: 's' is an int; expected a string\n");
  EXPECT_EQ(Messages("\"a\" + 1"),
            "1: '+' does not work on a string and an int | 'str(x)' makes a "
            "string of any value\n");
  EXPECT_EQ(Messages("print({\"a\": 1} - 1)"),
            "1: '-' does not work on a map and an int\n");
}

TEST(Checker, FindsShapesThatClash) {
  EXPECT_EQ(Faults("let x = zeros([4, 3])\nlet w = ones([2, 3])\n"
                   "print(x @ w)"),
            "t.tl:3:7: error: cannot multiply float16[4, 3] by float16[2, 3]; "
            "inner dimensions 3 and 2 differ\n"
            "  print(x @ w)\n"
            "        ^~~~~\n"
            "  hint: the transpose would fit: '@ w.T'\n");
  EXPECT_EQ(Messages("let x = zeros([4, 3])\nprint(softmax(x, 2))\n"
                     "print(x.reshape([5, -1]))"),
            "2: softmax: 'dim' is 2; a tensor of rank 2 has axes -2 to 1\n"
            "3: reshape: the 12 elements of [4, 3] do not divide by 5 for the "
            "-1\n");
}

constexpr std::string_view kForward =
    "function forward(input: float16[N, D_in],\n"
    "                 weights: float16[D_in, D_out],\n"
    "                 bias: float16[D_out]) -> float16[N, D_out] {\n"
    "    let output = input @ weights\n"
    "    return output + bias\n"
    "}\n";

TEST(Checker, BindsDimsThroughCalls) {
  std::string forward(kForward);
  EXPECT_EQ(Messages(forward + "let y = forward(zeros([4, 3]), zeros([3, 2]), "
                               "zeros([2]))\nprint(y @ zeros([2, 5]))"),
            "");
  EXPECT_EQ(Messages(forward + "print(forward(zeros([4, 3]), zeros([2, 3]), "
                               "zeros([2])))"),
            "7: forward: 'weights' is float16[2, 3]; expected float16[D_in, "
            "D_out] with D_in = 3\n");
  EXPECT_EQ(Messages(forward + "let y = forward(zeros([4, 3]), zeros([3, 2]), "
                               "zeros([2]))\nprint(y @ zeros([3, 5]))"),
            "8: cannot multiply float16[4, 2] by float16[3, 5]; inner "
            "dimensions 2 and 3 differ\n");
  EXPECT_EQ(Messages("fn f(x: float16[T, H*D], h: int, H: int, D: int) { x }\n"
                     "f(zeros([2, 12]), 1, 3, 5)"),
            "2: f: 'x' is float16[2, 12]; expected float16[T, H * D] with T = "
            "2, H = 3, D = 5\n");
  EXPECT_EQ(Messages("fn f(x: float16[..., 4]) { x }\n"
                     "f(zeros([2, 3, 4]))\nf(zeros([2, 3]))"),
            "3: f: 'x' is float16[2, 3]; expected float16[..., 4]\n");
  EXPECT_EQ(Messages("fn f(x: float16[2]) { x }\nf(f32::zeros([2]))"),
            "2: f: 'x' is float32[2]; expected float16[2]\n");
}

TEST(Checker, ChecksBodiesOverSymbolicDims) {
  EXPECT_EQ(Messages("fn f(x: float16[N, 4]) {\n    x @ zeros([5, N])\n}"),
            "2: cannot multiply float16[N, 4] by float16[5, N]; inner "
            "dimensions 4 and 5 differ\n");
  EXPECT_EQ(Messages("fn f(n: int) -> float16[n, n] { zeros([n, n + 1]) }"),
            "1: f: the result is float16[n, n + 1]; expected float16[n, n]\n");
}

TEST(Checker, FindsMissingResults) {
  EXPECT_EQ(Messages("fn f(x) -> int { let y = x }"),
            "1: 'f' gives no value; expected an int | the last expression of "
            "the body is its value, or 'return' gives it\n");
  EXPECT_EQ(Messages("fn f(x) -> int { \"a\" }\n"
                     "fn g(x) -> string { return 1 }\n"
                     "fn h(x) -> int { if x > 1 { return 1 }\n return 2 }"),
            "1: f: the result is a string; expected an int\n"
            "2: g: the result is an int; expected a string\n");
}

TEST(Checker, RefusesASecondFunctionOfTheSameName) {
  EXPECT_EQ(Faults("fn f() { 1 }\nfn g() { 2 }\nfn f() { 3 }"),
            "t.tl:3:4: error: 'f' is declared a second time\n"
            "  fn f() { 3 }\n"
            "     ^\n"
            "t.tl:1:4: note: the first is here\n"
            "  fn f() { 1 }\n"
            "     ^\n");
  EXPECT_EQ(Messages("fn f() {\n  fn g() { 1 }\n  fn g() { 2 }\n  g()\n}\n"
                     "fn g() { 3 }"),
            "3: 'g' is declared a second time\n");
}

TEST(Checker, ShowsTheDefaultsOfAFunction) {
  EXPECT_EQ(Messages("fn f(a, b = 2, c = -1.0, d = \"x\", e = [1]) { a }\n"
                     "f(b: 1)"),
            "2: 'f' takes 1 to 5 arguments; 1 given | 'a' is missing; its "
            "form is f(a, b = 2, c = -1.0, d = \"x\", e = ...)\n");
}

TEST(Checker, ReadsModelHeaders) {
  std::string load = "let m = load_model(\"m.safetensors\")\n";
  EXPECT_EQ(Faults(load + "print(m[\"fc1.wieght\"])"),
            "t.tl:2:9: error: 'm.safetensors' has no tensor 'fc1.wieght' among "
            "its 4\n"
            "  print(m[\"fc1.wieght\"])\n"
            "          ^~~~~~~~~~~~\n"
            "  hint: did you mean 'fc1.weight'?\n");
  EXPECT_EQ(Messages(load + "print(m.fc1.weigth)\nprint(m.get_tensor(\"x\"))\n"
                            "print(m.get_tensor(\"x\", none))\n"
                            "print(get_tensor(m, \"y\"))\nprint(m.ids)\n"
                            "print(m.blk[0].w, m.names, m.blk[1])"),
            "2: 'm.safetensors' has no tensor 'fc1.weigth' among its 4 | did "
            "you mean 'fc1.weight'?\n"
            "3: 'm.safetensors' has no tensor 'x' among its 4\n"
            "5: 'm.safetensors' has no tensor 'y' among its 4\n"
            "6: 'm.safetensors': tensor 'ids' has type I64, which cannot be "
            "computed with; only floating-point types can\n"
            "7: 'm.safetensors' has no part 'blk.1'\n");
  EXPECT_EQ(Messages(load + "fn f(x: float16[N, 64]) {\n"
                            "    x @ m.fc1.weight\n}"),
            "3: cannot multiply float16[N, 64] by float16[32, 64]; inner "
            "dimensions 64 and 32 differ | the transpose would fit: '@ w.T'\n");
}

TEST(Checker, LeavesAChangedModelToTheRun) {
  EXPECT_EQ(Messages("let m = load_model(\"m.safetensors\")\n"
                     "print(m[\"new\"])\nm[\"new\"] = zeros([2])"),
            "");
  EXPECT_EQ(
      Messages("let m = load_model(\"m.safetensors\")\nm.remove(\"ids\")\n"
               "print(m.nothing)"),
      "");
}

TEST(Checker, ForgetsWhatLoopsBranchesAndFunctionsChange) {
  EXPECT_EQ(Messages("let x = zeros([2, 3])\nfor i in 0..3 {\n"
                     "    x = x @ zeros([3, 3])\n    x = x.T\n}"),
            "");
  EXPECT_EQ(Messages("let x = zeros([2, 3])\nif time() > 1.0 { x = "
                     "zeros([4, 4]) }\nprint(x @ zeros([4, 2]))"),
            "");
  EXPECT_EQ(Messages("x = 1\nfn f() { x := \"a\" }\nf()\nprint(x + \"b\")"),
            "");
  EXPECT_EQ(Messages("let x = 1\nlet f = fn() { x = \"a\" }\nf()\n"
                     "print(x + \"b\")"),
            "");
  EXPECT_EQ(Messages("let v = [1]\nv.push(\"a\")\nprint(v[0] + \"b\")"), "");
  EXPECT_EQ(Messages("x = 1\nfn f() { x + \"a\" }\nx = \"b\"\nprint(f())"), "");
}

TEST(Checker, KeepsWhatAllBranchesAgreeOn) {
  EXPECT_EQ(Messages("let x = zeros([1])\nif time() > 1.0 { x = zeros([2, 3]) }"
                     " else { x = ones([2, 3]) }\nprint(x @ zeros([4, 2]))"),
            "3: cannot multiply float16[2, 3] by float16[4, 2]; inner "
            "dimensions 3 and 4 differ\n");
}

TEST(Checker, FindsMisplacedStatements) {
  EXPECT_EQ(Messages("break\nfn f() { continue }\n"
                     "for i in 0..2 { let g = fn() { break } }"),
            "1: 'break' stands only inside a loop\n"
            "2: 'continue' stands only inside a loop\n"
            "3: 'break' stands only inside a loop\n");
}

TEST(Checker, ChecksDeclaredTensors) {
  EXPECT_EQ(Messages("tensor w: float16[2, 3] = zeros([3, 2])\n"
                     "tensor v: float16[2, 3] = \"a\"\n"
                     "tensor u: float16[2, 3] = [1, 2, 3, 4, 5, 6]\n"
                     "print(w @ zeros([4, 1]))"),
            "1: 'w' is float16[3, 2]; expected float16[2, 3]\n"
            "2: 'v' is a string; expected a tensor\n"
            "4: cannot multiply float16[2, 3] by float16[4, 1]; inner "
            "dimensions 3 and 4 differ\n");
}

TEST(Checker, ChecksShapesInListsOfTensors) {
  EXPECT_EQ(Messages("fn f(a: float16[N, 3], b: float16[N, 4]) {\n"
                     "concat([a, b], 0) }\n"
                     "stack([zeros([2, 3]), zeros([2, 4])]).shape\n"
                     "concat([zeros([2, 3]), ones([2, 4])], dim: 1).shape\n"
                     "let x = zeros([3])\n"
                     "print(zeros([sum(x), 2]).shape, stack([x, x]) @ x)"),
            "2: cannot join [N, 3] and [N, 4] along axis 0; the other axes "
            "must be equal\n"
            "3: stack: tensors of shapes [2, 3] and [2, 4]; expected all of "
            "one shape\n");
}

TEST(Checker, ChecksListsAndNumbersGivenForTensors) {
  EXPECT_EQ(Messages("tensor w: float16[2, 3] = [1, 2, 3, 4]\n"
                     "tensor v: float16[2, 3] = 0.5\n"
                     "tensor u: float16[2, 3] = [[1, 2], [3, 4]]"),
            "1: 'w' is float16[4]; expected float16[2, 3]\n"
            "3: 'u' is float16[2, 2]; expected float16[2, 3]\n");
  EXPECT_EQ(Messages("fn f(x: float16[N, 2]) { x }\nf([[1, 2], [3, 4]])\n"
                     "f([1.0, 2.0])\nf(1.0)\n"
                     "layer_norm([1.0, 2.0], [1, 1], [0, 0]).shape"),
            "3: f: 'x' is float16[2]; expected float16[N, 2]\n"
            "4: f: 'x' is a float; expected float16[N, 2]\n");
}

TEST(Checker, ChecksWhatCouldBeParsed) {
  Sources sources;
  Diagnostics diagnostics;
  FakeFiles files;
  LoadedProgram program = LoadProgram(
      sources.Add("t.tl",
                  "print(one)\nlet two = =\nfn f(x: flot) {\n    return x\n}\n"
                  "print(two, f(1))\nprint(three)"),
      "t.tl", files, sources, diagnostics);
  Check(program, {}, diagnostics);
  std::string messages;
  for (const Diagnostic& found : diagnostics.Sorted()) {
    messages += found.message.substr(0, 21) + "\n";
  }
  EXPECT_EQ(messages,
            "unknown name 'one'\nunexpected '='; expec\n'flot' is not a "
            "type;\nunknown name 'three'\n");
}

TEST(Checker, SaysNothingOfATextWhoseEndIsMissing) {
  Sources sources;
  Diagnostics diagnostics;
  FakeFiles files;
  LoadedProgram program =
      LoadProgram(sources.Add("t.tl", "print(one)\nprint(f("), "t.tl", files,
                  sources, diagnostics);
  EXPECT_FALSE(program.complete);
  Check(program, {}, diagnostics);
  EXPECT_EQ(diagnostics.errors(), 1u);
}

TEST(Checker, ChecksConditionsMembersAndSubscripts) {
  EXPECT_EQ(Messages("let x = zeros([2, 3])\nif x { print(1) }\n"
                     "print(x.shpe)\nprint(x.sum)\nprint(x[5])\n"
                     "print(x[0, 0, 0])\nprint(zeros([2]).T)\nprint(none[0])\n"
                     "for i in 3 { print(i) }"),
            "2: a tensor of shape [2, 3] is neither true nor false | 'any(x)' "
            "or 'all(x)' makes one truth of many\n"
            "3: a tensor has no member 'shpe' | did you mean 'shape'?\n"
            "4: a tensor has no member 'sum' | it is a function: write "
            "'.sum()'\n"
            "5: index 5 is out of range for axis 0 of [2, 3]\n"
            "6: 3 indices for a tensor of shape [2, 3]\n"
            "7: '.T' of a tensor of shape [2]; expected rank 2 | "
            "'transpose(x)' exchanges the last two axes\n"
            "8: none has no elements; expected a tensor, list, map, string or "
            "model\n"
            "9: a loop cannot go over an int; expected a range, list, map, "
            "tensor or model | count with '0..n'\n");
}

TEST(Checker, AcceptsTheGuide) {
  EXPECT_EQ(Messages("model = load_model(\"path/to/model.safetensors\")\n"
                     "weights = model.get_tensor(\"layer.0.weight\")\n"
                     "bias = model.get_tensor(\"layer.0.bias\")\n" +
                     std::string(kForward) +
                     "let X = tensor<float16>([\n    [1.0, 2.0, 3.0],\n"
                     "    [4.0, 5.0, 6.0],\n    [7.0, 8.0, 9.0],\n"
                     "    [10.0, 11.0, 12.0]\n], device: gpu)\n"
                     "let W = tensor<float16>([[0.1, 0.2], [0.3, 0.4], "
                     "[0.5, 0.6]], device: gpu)\n"
                     "let b = tensor<float16>([0.01, 0.02], device: gpu)\n"
                     "let output = forward(X, W, b)\n"
                     "print(\"Output shape:\", output.shape)\n"
                     "save_model(model, \"output.safetensors\")"),
            "");
}

TEST(Checker, WalksTheTallestTree) {
  std::string sum = "let x = 1\nprint(x";
  for (int i = 0; i < 900; ++i) sum += " + x";
  EXPECT_EQ(Messages(sum + ")"), "");
  std::string lists = "print(";
  for (int i = 0; i < 450; ++i) lists += "[";
  lists += "1";
  for (int i = 0; i < 450; ++i) lists += "]";
  EXPECT_EQ(Messages(lists + ")"), "");
  std::string functions;
  for (int i = 0; i < 300; ++i) functions += "let f = fn() { ";
  for (int i = 0; i < 300; ++i) functions += "}";
  EXPECT_EQ(Messages(functions), "");
}

TEST(Checker, AcceptsSessions) {
  Sources sources;
  Diagnostics diagnostics;
  FakeFiles files;
  LoadedProgram program = LoadProgram(sources.Add("repl", "x + f(1)"), "",
                                      files, sources, diagnostics);
  std::string known[] = {"x", "f"};
  CheckOptions options;
  options.known_names = known;
  options.mode = CheckOptions::Mode::kSession;
  Check(program, options, diagnostics);
  EXPECT_EQ(Render(diagnostics, sources), "");
}

}  // namespace
}  // namespace tl
