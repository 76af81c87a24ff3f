// Types and shapes of the tensor functions, known and symbolic, and what they
// say when a call does not fit. What they compute is tested with a backend.
#include "ops/functions.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/build.h"
#include "ops/indexing.h"

namespace tl {
namespace {

class TypingLowering final : public Lowering {
 public:
  TensorRef Number(double, DType dtype) override {
    return MakeRef<TensorValue>(TensorType{dtype, Shape{}});
  }
  uint64_t NextSeed() override { return 0; }

 private:
  TensorRef Make(OpId op, std::span<const TensorRef> inputs,
                 Attributes attributes) override {
    std::vector<TensorType> types;
    for (const TensorRef& input : inputs) types.push_back(input->type());
    return MakeRef<TensorValue>(ResultType(op, types, attributes));
  }
};

Argument T(Shape shape, DType dtype = DType::F16) {
  return Argument::Of(MakeRef<TensorValue>(TensorType{dtype, shape}));
}
Argument I(int64_t value) { return Argument::Int(value); }
Argument L(std::initializer_list<int64_t> values) {
  std::vector<Argument> list;
  for (int64_t value : values) list.push_back(I(value));
  return Argument::List(std::move(list));
}
Argument L(std::vector<Argument> list) { return Argument::List(std::move(list)); }

// The call as "float16[2, 3]", several results joined, or the error's text.
// Arguments are positional, as many as the function has parameters.
std::string Type(std::string_view name, std::vector<Argument> arguments) {
  const FunctionInfo* function = FindFunction(name);
  if (!function) return "no such function";
  TypingLowering lowering;
  std::vector<std::string_view> parameters(12, "x");
  const Call call(name, parameters, arguments, lowering);
  try {
    const FunctionResult result = function->lower(call);
    std::string text;
    for (const TensorRef& tensor : result.tensors) {
      if (!text.empty()) text += " ";
      text += std::string(LanguageName(tensor->dtype())) +
              tensor->shape().ToString();
    }
    return result.is_list ? "(" + text + ")" : text;
  } catch (const Error& error) {
    return error.text();
  }
}

const Argument kNone = Argument::None();
const Argument kFalse = Argument::Bool(false), kTrue = Argument::Bool(true);

TEST(Functions, MakeTensors) {
  EXPECT_EQ(Type("zeros", {L({2, 3}), kNone}), "float16[2, 3]");
  EXPECT_EQ(Type("zeros", {L({L({2, 3})}), kNone}), "float16[2, 3]");
  EXPECT_EQ(Type("ones", {L({4}), Argument::Text("float32")}), "float32[4]");
  EXPECT_EQ(Type("zeros", {L({2}), Argument::Text("float8")}),
            "zeros: 'x' is \"float8\"; expected float16, float32 or int32");
  EXPECT_EQ(Type("arange", {I(5), kNone, I(1), kNone}), "int32[5]");
  EXPECT_EQ(Type("arange", {I(5), I(0), I(-2), kNone}), "int32[3]");
  EXPECT_EQ(Type("arange", {Argument::Float(0), I(1), Argument::Float(0.25),
                            kNone}),
            "float16[4]");
  EXPECT_EQ(Type("arange", {I(0), I(5), I(0), kNone}), "arange: 'step' is 0");
  EXPECT_EQ(Type("eye", {I(3), kNone, kNone}), "float16[3, 3]");
  EXPECT_EQ(Type("causal_mask", {I(4)}), "int32[4, 4]");
  EXPECT_EQ(Type("positional_encoding", {I(10), I(8)}), "float16[10, 8]");
}

TEST(Functions, Reshape) {
  EXPECT_EQ(Type("reshape", {T({2, 6}), L({3, -1})}), "float16[3, 4]");
  EXPECT_EQ(Type("reshape", {T({2, 3}), L({4, 2})}),
            "cannot reshape [2, 3] (6 elements) to [4, 2] (8 elements)");
  EXPECT_EQ(Type("reshape", {T({2, 3}), L({4, -1})}),
            "reshape: the 6 elements of [2, 3] do not divide by 4 for the -1");
  EXPECT_EQ(Type("reshape", {T({2, 3}), L({-1, -1})}),
            "reshape: 'x' has more than one -1");
  EXPECT_EQ(Type("flatten", {T({2, 3, 4}), I(1), I(-1)}), "float16[2, 12]");
  EXPECT_EQ(Type("squeeze", {T({1, 3, 1}), kNone}), "float16[3]");
  EXPECT_EQ(Type("unsqueeze", {T({3}), I(-1)}), "float16[3, 1]");
  EXPECT_EQ(Type("heads", {T({2, 5, 12}), I(3)}), "float16[2, 5, 3, 4]");
  EXPECT_EQ(Type("heads", {T({5, 12}), I(5)}),
            "heads: the last axis of [5, 12] does not divide by 5");
  EXPECT_EQ(Type("join_heads", {T({2, 5, 3, 4})}), "float16[2, 5, 12]");
  EXPECT_EQ(Type("transpose", {T({2, 3, 4}), I(-2), I(-1)}),
            "float16[2, 4, 3]");
  EXPECT_EQ(Type("permute", {T({2, 3, 4}), L({2, 0, 1})}), "float16[4, 2, 3]");
  EXPECT_EQ(Type("permute", {T({2, 3}), L({0, 0})}),
            "permute: 'x' names axis 0 twice");
}

TEST(Functions, JoinAndPart) {
  EXPECT_EQ(Type("concat", {L({T({2, 3}), T({4, 3})}), I(0)}),
            "float16[6, 3]");
  EXPECT_EQ(Type("concat", {L({T({2, 3}), T({2, 1}), I(1)}), I(0)}),
            "float16[2, 4]");
  EXPECT_EQ(Type("cat", {L({T({2, 3}), T({2, 4})}), I(0)}),
            "cannot join [2, 3] and [2, 4] along axis 0; the other axes must be "
            "equal");
  EXPECT_EQ(Type("stack", {L({T({3}), T({3})}), I(1)}), "float16[3, 2]");
  EXPECT_EQ(Type("split", {T({5, 2}), I(2), I(0)}),
            "(float16[2, 2] float16[2, 2] float16[1, 2])");
  EXPECT_EQ(Type("split", {T({5}), L({2, 2}), I(0)}),
            "split: the sizes sum to 4; axis 0 of [5] has 5");
  EXPECT_EQ(Type("chunk", {T({5}), I(2), I(0)}), "(float16[3] float16[2])");
  EXPECT_EQ(Type("repeat", {T({2, 3}), L({2, 1, 2})}), "float16[2, 2, 6]");
  EXPECT_EQ(Type("pad", {T({2, 3}), L({1, 2}), Argument::Float(0),
                         Argument::Text("constant")}),
            "float16[2, 6]");
}

TEST(Functions, Reductions) {
  EXPECT_EQ(Type("sum", {T({2, 3}), kNone, kFalse}), "float32[]");
  EXPECT_EQ(Type("sum", {T({2, 3}), I(-1), kTrue}), "float16[2, 1]");
  EXPECT_EQ(Type("sum", {T({2, 3, 4}), L({0, 2}), kFalse}), "float16[3]");
  EXPECT_EQ(Type("max", {T({2, 3}), kNone, kTrue}), "float16[1, 1]");
  EXPECT_EQ(Type("max", {T({2, 3}), T({3}), kFalse}), "float16[2, 3]");
  EXPECT_EQ(Type("argmax", {T({2, 3}), I(1), kFalse}), "int32[2]");
  EXPECT_EQ(Type("argmax", {T({2, 3}), kNone, kFalse}), "int32[]");
  EXPECT_EQ(Type("mean", {T({4}, DType::I32), I(0), kFalse}), "float32[]");
  EXPECT_EQ(Type("sum", {T({4}, DType::I32), I(0), kFalse}), "int32[]");
  EXPECT_EQ(Type("max", {T({0, 3}), I(0), kFalse}),
            "max over no elements: axis 0 of [0, 3] is empty");
  EXPECT_EQ(Type("sum", {T({2, 3}), I(2), kFalse}),
            "sum: 'x' is 2; a tensor of rank 2 has axes -2 to 1");
  EXPECT_EQ(Type("std", {T({2, 3}), I(0), kFalse, Argument::Float(1)}),
            "float16[3]");
  EXPECT_EQ(Type("topk", {T({2, 5}), I(3), I(-1)}),
            "(float16[2, 3] int32[2, 3])");
  EXPECT_EQ(Type("topk", {T({2, 5}), I(6), I(-1)}),
            "topk: 'k' is 6; axis 1 of [2, 5] has 5 elements");
  EXPECT_EQ(Type("sort", {T({4, 2}), I(0), kFalse}),
            "(float16[4, 2] int32[4, 2])");
}

TEST(Functions, Products) {
  EXPECT_EQ(Type("matmul", {T({2, 3}), T({3, 4})}), "float16[2, 4]");
  EXPECT_EQ(Type("matmul", {T({3}), T({3, 4})}), "float16[4]");
  EXPECT_EQ(Type("matmul", {T({3}), T({3})}), "float32[]");
  EXPECT_EQ(Type("matmul", {T({5, 1, 2, 3}), T({4, 3, 2})}),
            "float16[5, 4, 2, 2]");
  EXPECT_EQ(Type("matmul", {T({2, 3}), T({4, 2})}),
            "cannot multiply float16[2, 3] by float16[4, 2]; inner dimensions 3 "
            "and 4 differ");
  EXPECT_EQ(Type("linear", {T({7, 3}), T({5, 3}), T({5})}), "float16[7, 5]");
  EXPECT_EQ(Type("linear", {T({7, 4}), T({5, 3}), kNone}),
            "linear: x of shape [7, 4] has 4 features; 'w' [5, 3] takes 3");
  EXPECT_EQ(Type("einsum", {Argument::Text("bij,bjk->bik"),
                            L({T({2, 3, 4}), T({2, 4, 5})})}),
            "float16[2, 3, 5]");
  EXPECT_EQ(Type("einsum", {Argument::Text("ij->ji"), L({T({2, 3})})}),
            "float16[3, 2]");
  EXPECT_EQ(Type("einsum", {Argument::Text("iji->ij"), L({T({2, 3, 2})})}),
            "float16[2, 3]");
  EXPECT_EQ(Type("einsum", {Argument::Text("ii"), L({T({2, 3})})}),
            "einsum: 'i' is 2 and 3 in one operand");
  EXPECT_EQ(Type("einsum", {Argument::Text("ij,jk"), L({T({2, 3}), T({4, 5})})}),
            "einsum: 'j' is 3 in one operand and 4 in another");
}

TEST(Functions, MixTypesAsTheLanguageSays) {
  EXPECT_EQ(Type("add", {T({2}), T({2}, DType::F32)}), "float32[2]");
  EXPECT_EQ(Type("add", {T({2}, DType::I32), T({2})}), "float16[2]");
  EXPECT_EQ(Type("div", {T({2}), T({}, DType::F32)}), "float16[2]");
  EXPECT_EQ(Type("mul", {T({2}, DType::I32), I(3)}), "int32[2]");
  EXPECT_EQ(Type("mul", {T({2}, DType::I32), Argument::Float(0.5)}),
            "float16[2]");
  EXPECT_EQ(Type("less", {T({2}), I(0)}), "int32[2]");
  EXPECT_EQ(Type("add", {T({2, 3}), T({2})}),
            "shapes [2, 3] and [2] do not broadcast; dimensions 3 and 2 differ");
}

TEST(Functions, Nets) {
  EXPECT_EQ(Type("layer_norm", {T({2, 4}), L({4}), T({4}), T({4}),
                                Argument::Float(1e-5)}),
            "float16[2, 4]");
  EXPECT_EQ(Type("layer_norm", {T({2, 4}), T({4}), T({4}), Argument::Float(1e-6),
                                Argument::Float(1e-5)}),
            "float16[2, 4]");
  EXPECT_EQ(Type("layer_norm", {T({2, 4}), L({3}), kNone, kNone,
                                Argument::Float(1e-5)}),
            "layer_norm: [3] are not the last axes of x, which is [2, 4]");
  EXPECT_EQ(Type("rms_norm", {T({2, 4}), T({3}), Argument::Float(1e-6)}),
            "rms_norm: argument 2 of shape [3] does not fit; expected [4]");
  EXPECT_EQ(Type("embedding", {T({10, 4}), T({2, 3}, DType::I32)}),
            "float16[2, 3, 4]");
  EXPECT_EQ(Type("attention", {T({5, 8, 4}), T({7, 2, 4}), T({7, 2, 4}), kNone,
                               kFalse, kNone, I(0), Argument::Float(0)}),
            "float16[5, 8, 4]");
  EXPECT_EQ(Type("attention", {T({5, 8, 4}), T({7, 3, 4}), T({7, 3, 4}), kNone,
                               kFalse, kNone, I(0), Argument::Float(0)}),
            "attention: q [5, 8, 4], k [7, 3, 4] and v [7, 3, 4] do not fit; "
            "expected [.., seq, heads, dim], the heads of k and v dividing "
            "those of q");
  EXPECT_EQ(Type("cross_entropy", {T({3, 10}), T({3}, DType::I32)}),
            "float32[]");
}

TEST(Functions, KnowSymbolicDims) {
  const Dim n = Dim::Named("N", 1), d = Dim::Named("D", 1);
  EXPECT_EQ(Type("matmul", {T({n, d}), T({d, 4})}), "float16[N, 4]");
  EXPECT_EQ(Type("flatten", {T({n, d, 2}), I(0), I(-1)}), "float16[2*N*D]");
  EXPECT_EQ(Type("reshape", {T({n, d * Dim(4)}),
                             L({Argument::Symbol(n), I(4), I(-1)})}),
            "float16[N, 4, D]");
  EXPECT_EQ(Type("add", {T({n, 4}), T({n, 5})}),
            "shapes [N, 4] and [N, 5] do not broadcast; dimensions 4 and 5 "
            "differ");
  EXPECT_EQ(Type("matmul", {T({n, d}), T({d + Dim(1), 4})}),
            "cannot multiply float16[N, D] by float16[D + 1, 4]; inner "
            "dimensions D and D + 1 differ");
}

TEST(Sampling, LogitsKeepShapeAndType) {
  EXPECT_EQ(Type("top_k", {T({2, 9}), I(3)}), "float16[2, 9]");
  EXPECT_EQ(Type("top_k", {T({2, 9}), I(30)}), "float16[2, 9]");
  EXPECT_EQ(Type("top_p", {T({2, 9}), Argument::Float(0.9)}), "float16[2, 9]");
  EXPECT_EQ(Type("min_p", {T({9}, DType::F32), Argument::Float(0.1)}),
            "float32[9]");
  EXPECT_EQ(Type("typical_p", {T({2, 3, 9}), Argument::Float(0.5)}),
            "float16[2, 3, 9]");
  EXPECT_EQ(Type("temperature", {T({9}, DType::I32), Argument::Float(0.5)}),
            "float32[9]");
  EXPECT_EQ(Type("top_p", {T({9}), Argument::Unknown()}), "float16[9]");
}

TEST(Sampling, SaysWhatIsWrong) {
  EXPECT_EQ(Type("top_k", {T({9}), I(0)}), "top_k: 'k' is 0; expected at least 1");
  EXPECT_EQ(Type("top_p", {T({9}), Argument::Float(1.5)}),
            "top_p: 'p' is 1.5; expected a number from 0 to 1");
  EXPECT_EQ(Type("temperature", {T({9}), Argument::Float(0)}),
            "temperature: 't' is 0; expected a finite number above 0");
  EXPECT_EQ(Type("min_p", {T({2, 0}), Argument::Float(0.5)}),
            "min_p: 'logits' of shape [2, 0] have no last axis to cut along");
}

std::string IndexType(Shape shape, std::vector<IndexItem> items) {
  TypingLowering lowering;
  try {
    const TensorRef x =
        MakeRef<TensorValue>(TensorType{DType::F16, shape});
    const TensorRef y = Index(lowering, x, items);
    return std::string(LanguageName(y->dtype())) + y->shape().ToString();
  } catch (const Error& error) {
    return error.text();
  }
}

IndexItem At(int64_t i) {
  IndexItem item;
  item.kind = IndexItem::Kind::kInt;
  item.integer = i;
  return item;
}
IndexItem Range(int64_t begin, int64_t end, int64_t step = 1) {
  IndexItem item;
  item.begin = begin;
  item.end = end;
  item.step = step;
  return item;
}
IndexItem Dots() {
  IndexItem item;
  item.kind = IndexItem::Kind::kEllipsis;
  return item;
}

TEST(Indexing, RemovesCutsAndKeepsAxes) {
  EXPECT_EQ(IndexType({4, 5}, {At(-1)}), "float16[5]");
  EXPECT_EQ(IndexType({4, 5}, {At(1), At(2)}), "float32[]");
  EXPECT_EQ(IndexType({4, 5}, {Range(0, 2), Range(1, 99)}), "float16[2, 4]");
  EXPECT_EQ(IndexType({4, 5}, {Range(-2, 4)}), "float16[2, 5]");
  EXPECT_EQ(IndexType({10}, {Range(0, 10, 3)}), "float16[4]");
  EXPECT_EQ(IndexType({2, 3, 4}, {Dots(), At(0)}), "float16[2, 3]");
}

TEST(Indexing, SaysWhatIsWrong) {
  EXPECT_EQ(IndexType({4, 5}, {At(4)}),
            "index 4 is out of range for axis 0 of [4, 5]");
  EXPECT_EQ(IndexType({4}, {At(0), At(0)}), "2 indices for a tensor of shape [4]");
  EXPECT_EQ(IndexType({4}, {Range(3, 0, -1)}),
            "a slice step of -1 is not supported; flip(x, 0) reverses");
}

}  // namespace
}  // namespace tl
