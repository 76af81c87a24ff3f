#include "lang/signature.h"

#include <gtest/gtest.h>

#include "ops/functions.h"

namespace tl {
namespace {

using Names = std::vector<std::string_view>;

std::string Refusal(std::string_view row, const Names& names) {
  ArgumentBinding binding = Bind(ParseSignature(row), names);
  return binding.hint.empty() ? binding.fault
                              : binding.fault + " | " + binding.hint;
}

TEST(Signature, ReadsARow) {
  Signature s = ParseSignature(
      "f(x: Tensor, n: int = -1, eps: float = 1e-5, s: string = \"a, b\", "
      "flag: bool = true, o: any = none, more: any...) -> list");
  EXPECT_EQ(s.ToString(),
            "f(x, n = -1, eps = 1e-05, s = \"a, b\", flag = true, o = none, "
            "more...)");
  EXPECT_EQ(s.result, TypeKind::kList);
  EXPECT_EQ(s.parameters[0].type, TypeKind::kTensor);
  EXPECT_FALSE(s.parameters[0].optional);
  EXPECT_EQ(std::get<int64_t>(s.parameters[1].default_value), -1);
  EXPECT_EQ(s.FindRest(), 6u);
}

TEST(Signature, EveryRowOfEveryTableIsWellFormed) {
  for (const FunctionInfo& function : Functions()) {
    EXPECT_EQ(ParseSignature(function.signature).name, function.name);
  }
  for (const BuiltinInfo& builtin : Builtins()) {
    EXPECT_EQ(ParseSignature(builtin.signature).name, builtin.name);
    EXPECT_FALSE(builtin.doc.empty()) << builtin.name;
  }
}

TEST(Signature, BindsPositionalNamedAndDefaultArguments) {
  Signature s = ParseSignature("f(a: any, b: any = 1, c: any = 2)");
  EXPECT_EQ(Bind(s, Names{""}).arguments, (std::vector<int>{0, -1, -1}));
  EXPECT_EQ(Bind(s, Names{"", "c"}).arguments, (std::vector<int>{0, -1, 1}));
  EXPECT_EQ(Bind(s, Names{"b", "a"}).arguments, (std::vector<int>{1, 0, -1}));
}

TEST(Signature, GivesTheRestToTheRestParameter) {
  Signature s = ParseSignature("cat(tensors: any..., dim: int = 0)");
  ArgumentBinding binding = Bind(s, Names{"", "", "dim"});
  EXPECT_EQ(binding.rest, (std::vector<int>{0, 1}));
  EXPECT_EQ(binding.arguments, (std::vector<int>{-1, 2}));
}

TEST(Signature, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Refusal("f(a: any, b: any)", {""}),
            "'f' takes 2 arguments; 1 given | 'b' is missing; its form is "
            "f(a, b)");
  EXPECT_EQ(Refusal("f(a: any)", {"", ""}),
            "'f' takes 1 argument; 2 given | its form is f(a)");
  EXPECT_EQ(Refusal("f(a: any, b: any = 1)", {}),
            "'f' takes 1 to 2 arguments; 0 given | 'a' is missing; its form is "
            "f(a, b = 1)");
  EXPECT_EQ(Refusal("f(x: any, dim: any = 1)", {"", "dmi"}),
            "'f' has no parameter 'dmi'; its form is f(x, dim = 1) | did you "
            "mean 'dim'?");
  EXPECT_EQ(Refusal("f(a: any)", {"", "a"}), "'a' of 'f' is given twice");
  EXPECT_EQ(Refusal("f(a: any, more: any...)", {}),
            "'f' takes at least 1 argument; 0 given | 'a' is missing; its "
            "form is f(a, more...)");
}

TEST(Signature, ABuiltinGoesBeforeATensorFunction) {
  EXPECT_EQ(FindSignature("to")->parameters[1].name, "target");
  EXPECT_EQ(FindSignature("softmax")->ToString(), "softmax(x, dim = -1)");
  EXPECT_EQ(FindSignature("sofmax"), nullptr);
  EXPECT_EQ(FindConstant("f16")->value, "float16");
}

}  // namespace
}  // namespace tl
