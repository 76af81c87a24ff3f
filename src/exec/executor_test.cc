// The planner and the executor against a backend that is slow, obvious and
// records what it was asked to do.
#include "exec/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "graph/builder.h"
#include "ops/build.h"
#include "tensor/packed.h"

namespace tl {
namespace {

int64_t OffsetOf(const View& view, int64_t linear) {
  int64_t offset = 0;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    offset += linear % view.dims[axis] * view.strides[axis];
    linear /= view.dims[axis];
  }
  return offset;
}

double ReadPacked(const View& view, int64_t i) {
  const PackedType& type = PackedTypeOf(view.dtype);
  float values[kMaxBlock];
  DecodeBlock(type, view.data + i / type.block * type.bytes, values);
  return values[i % type.block];
}

double Read(const View& view, int64_t linear) {
  const int64_t i = OffsetOf(view, linear);
  if (IsPacked(view.dtype)) return ReadPacked(view, i);
  if (view.dtype == DType::F16) return HalfToFloat(view.as<uint16_t>()[i]);
  if (view.dtype == DType::F32) return view.as<float>()[i];
  return view.as<int32_t>()[i];
}

void Write(const View& view, int64_t linear, double value) {
  const int64_t i = OffsetOf(view, linear);
  if (view.dtype == DType::F16) {
    view.as<uint16_t>()[i] = DoubleToHalf(value);
  } else if (view.dtype == DType::F32) {
    view.as<float>()[i] = static_cast<float>(value);
  } else {
    view.as<int32_t>()[i] = static_cast<int32_t>(value);
  }
}

double Round(double value, DType dtype) {
  if (dtype == DType::F16) return HalfToFloat(DoubleToHalf(value));
  return dtype == DType::F32 ? static_cast<float>(value) : std::trunc(value);
}

double Compute(OpId op, double x, double y) {
  switch (op) {
    case OpId::Identity:
      return x;
    case OpId::Add:
      return x + y;
    case OpId::Mul:
      return x * y;
    case OpId::Neg:
      return -x;
    default:
      ADD_FAILURE() << "unexpected op " << Info(op).name;
      return NAN;
  }
}

class SlowBackend final : public Backend {
 public:
  std::string_view name() const override { return "slow"; }
  Device device() const override { return Device::kCpu; }
  std::shared_ptr<std::byte> Allocate(int64_t bytes) override {
    ++allocations;
    return AllocateHost(bytes);
  }
  void CopyIn(std::byte* to, const std::byte* from, int64_t n) override {
    std::memcpy(to, from, n);
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t n) override {
    std::memcpy(to, from, n);
  }
  void Wait() override {}

  void Run(OpId op, const KernelArgs& args) override {
    ran.push_back(op);
    instructions.push_back(
        args.program ? static_cast<int>(args.program->instructions.size()) : 0);
    if (op == OpId::Identity) {
      for (int64_t i = 0; i < args.outputs[0].size(); ++i) {
        RunProgram(args, args.inputs, i, {});
      }
    } else if (op == OpId::Matmul) {
      weights.push_back(args.inputs[1].dtype);
      exact.push_back(args.ints.size() > 1 && args.ints[1] == 1);
      Matmul(args);
    } else if (op == OpId::Assign) {
      Assign(args);
    } else if (op == OpId::Decode) {
      for (int64_t i = 0; i < args.outputs[0].size(); ++i) {
        Write(args.outputs[0], i, Read(args.inputs[0], i));
      }
    } else {
      ADD_FAILURE() << "unexpected kernel " << Info(op).name;
    }
  }

  std::vector<OpId> ran;
  std::vector<int> instructions;
  std::vector<DType> weights;  // of the products
  std::vector<bool> exact;
  int allocations = 0;

 private:
  static void RunProgram(const KernelArgs& args, std::span<const View> operands,
                         int64_t i, std::vector<double> values) {
    for (const View& view : operands) values.push_back(Read(view, i));
    for (const auto& instruction : args.program->instructions) {
      const double x = values[instruction.operand[0]];
      const double y = values[instruction.operand[1]];
      values.push_back(Round(Compute(instruction.op, x, y), instruction.dtype));
    }
    for (size_t k = 0; k < args.outputs.size(); ++k) {
      Write(args.outputs[k], i, values[args.program->outputs[k]]);
    }
  }

  static void Matmul(const KernelArgs& args) {
    const View &x = args.inputs[0], &w = args.inputs[1];
    const int64_t m = x.dims[0], k = x.dims[1], n = w.dims[1];
    for (int64_t i = 0; i < m * n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j) {
        sum += Read(x, i / n * k + j) * Read(w, j * n + i % n);
      }
      sum = Round(sum, args.dtype);
      if (args.program) {
        RunProgram(args, args.inputs.subspan(2), i, {sum});
      } else {
        Write(args.outputs[0], i, sum);
      }
    }
  }

  // Rank 1: ints count, step; numbers start.
  static void Assign(const KernelArgs& args) {
    const View &x = args.inputs[0], &v = args.inputs[1], &y = args.outputs[0];
    for (int64_t i = 0; i < y.size(); ++i) Write(y, i, Read(x, i));
    for (int64_t i = 0; i < args.ints[0]; ++i) {
      Write(y, int64_t(args.numbers[0]) + i * args.ints[1], Read(v, i));
    }
  }
};

class PlanCounter final : public Observer {
 public:
  void OnPlan(const Plan&, const Structure&) override { ++plans; }
  std::string Describe(Location) override { return "here"; }
  int plans = 0;
};

class ExecutorTest : public testing::Test {
 protected:
  NodePtr Make(std::initializer_list<int64_t> dims,
               std::initializer_list<double> values) {
    Tensor tensor = MakeTensor(
        DType::F16, Shape::Of(std::span(dims.begin(), dims.size())));
    int i = 0;
    for (double value : values) {
      tensor.as<uint16_t>()[i++] = DoubleToHalf(value);
    }
    return builder_.Leaf(std::move(tensor));
  }

  std::vector<double> Values(const TensorRef& x) {
    Node* node = static_cast<Node*>(x.get());
    if (!node->has_value()) executor_.Run(std::array{node});
    std::vector<double> values;
    for (int64_t i = 0; i < node->value().size(); ++i) {
      const Tensor& t = node->value();
      values.push_back(t.dtype == DType::F16
                           ? HalfToFloat(t.as<uint16_t>()[i])
                           : t.as<float>()[i]);
    }
    return values;
  }

  TensorRef Add(const TensorRef& x, const TensorRef& y) {
    return Binary(builder_, OpId::Add, x, y);
  }
  TensorRef Mul(const TensorRef& x, const TensorRef& y) {
    return Binary(builder_, OpId::Mul, x, y);
  }
  TensorRef Number(double x) { return builder_.Number(x, DType::F32); }

  using Doubles = std::vector<double>;
  using Ops = std::vector<OpId>;

  Builder builder_;
  SlowBackend backend_;
  PlanCounter observer_;
  Executor executor_{backend_, &observer_};
};

TEST_F(ExecutorTest, FusesAChainIntoOnePass) {
  const NodePtr a = Make({3}, {1, 2, 3}), b = Make({3}, {4, 5, 6});
  const TensorRef sum = Add(Mul(a, b), a);  // the product is not held
  EXPECT_EQ(Values(sum), (Doubles{5, 12, 21}));
  EXPECT_EQ(backend_.ran, (Ops{OpId::Identity}));
  EXPECT_EQ(backend_.instructions, std::vector{2});
  EXPECT_EQ(backend_.allocations, 1);
}

TEST_F(ExecutorTest, RoundsInsideAFusedChainAsIfItWereStored) {
  const NodePtr big = Make({1}, {2048}), one = Make({1}, {1});
  // 2048 + 1 is not a float16: rounding gives 2048 again, twice.
  EXPECT_EQ(Values(Add(Add(big, one), one)), (Doubles{2048}));
}

TEST_F(ExecutorTest, KeepsAnIntermediateThatIsHeldAndComputesItOnce) {
  const NodePtr a = Make({2}, {1, 2});
  const TensorRef held = Mul(a, a);
  EXPECT_EQ(Values(Add(held, a)), (Doubles{2, 6}));
  EXPECT_EQ(backend_.ran.size(), 1u);
  EXPECT_TRUE(AsNode(held)->has_value());
  EXPECT_EQ(Values(held), (Doubles{1, 4}));
  EXPECT_EQ(backend_.ran.size(), 1u);
}

TEST_F(ExecutorTest, FoldsTransposeAndSliceIntoStrides) {
  const NodePtr a = Make({2, 3}, {1, 2, 3, 4, 5, 6});
  const TensorRef t = SwapAxes(builder_, a, 0, 1);          // [3, 2]
  const TensorRef row = Slice(builder_, t, 0, 1, 2);        // rows 1, 2
  EXPECT_EQ(Values(Add(row, row)), (Doubles{4, 10, 6, 12}));
  EXPECT_EQ(backend_.ran.size(), 1u);
}

TEST_F(ExecutorTest, CopiesForAReshapeThatStridesCannotExpress) {
  const NodePtr a = Make({2, 3}, {1, 2, 3, 4, 5, 6});
  const TensorRef t = SwapAxes(builder_, a, 0, 1);
  EXPECT_EQ(Values(Reshape(builder_, t, Shape{6})),
            (Doubles{1, 4, 2, 5, 3, 6}));
}

TEST_F(ExecutorTest, AViewOfALeafCostsNoStep) {
  const NodePtr a = Make({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(Values(Reshape(builder_, a, Shape{4})), (Doubles{1, 2, 3, 4}));
  EXPECT_TRUE(backend_.ran.empty());
}

TEST_F(ExecutorTest, AddsBiasInTheMatmulsEpilogue) {
  const NodePtr x = Make({1, 2}, {1, 2}), w = Make({2, 2}, {1, 2, 3, 4}),
                bias = Make({2}, {10, 20});
  const TensorRef y = Add(MatrixProduct(builder_, x, w), bias);
  EXPECT_EQ(Values(Unary(builder_, OpId::Neg, y)), (Doubles{-17, -30}));
  EXPECT_EQ(backend_.ran, (Ops{OpId::Matmul}));
  EXPECT_EQ(backend_.instructions, std::vector{2});
}

TEST_F(ExecutorTest, ConvertsABiasBeforeTheProductThatAddsIt) {
  const NodePtr x = Make({1, 2}, {1, 2}), w = Make({2, 2}, {1, 2, 3, 4});
  Tensor stored = MakeTensor(DType::F32, Shape{2});
  stored.as<float>()[0] = 10, stored.as<float>()[1] = 20;
  const NodePtr leaf = builder_.Leaf(std::move(stored));
  const TensorRef product = MatrixProduct(builder_, x, w);
  const TensorRef bias = builder_.Lowering::Apply(
      OpId::Decode, {leaf}, {{int64_t(DType::F16)}, {}});
  EXPECT_EQ(Values(Add(product, bias)), (Doubles{17, 30}));
  EXPECT_EQ(backend_.ran, (Ops{OpId::Decode, OpId::Matmul}));
}

TEST_F(ExecutorTest, AConvertedWeightServesASecondProduct) {
  Tensor stored = MakeTensor(DType::F32, Shape{2, 2});
  for (int i = 0; i < 4; ++i) stored.as<float>()[i] = float(i);
  const TensorRef w = builder_.Lowering::Apply(
      OpId::Decode, {builder_.Leaf(std::move(stored))},
      {{int64_t(DType::F16)}, {}});
  for (int round = 0; round < 2; ++round) {
    const NodePtr x = Make({1, 2}, {1, 2});
    const TensorRef y = MatrixProduct(builder_, x, SwapAxes(builder_, w, 0, 1));
    EXPECT_EQ(Values(y), (Doubles{2, 8}));
  }
}

TEST_F(ExecutorTest, AMatmulWithoutEpilogueHasNoProgram) {
  const NodePtr x = Make({1, 2}, {1, 2}), w = Make({2, 1}, {3, 4});
  EXPECT_EQ(Values(MatrixProduct(builder_, x, w)), (Doubles{11}));
  EXPECT_EQ(backend_.instructions, std::vector{0});
}

// Two rows of 32 weights: all 1, and all -2.
class PackedWeightsTest : public ExecutorTest {
 protected:
  PackedWeightsTest() {
    Tensor stored = MakeTensor(DType::Q8_0, Shape{2, 32});
    const uint16_t one = DoubleToHalf(1);
    for (int row = 0; row < 2; ++row) {
      std::byte* block = stored.data.get() + 34 * row;
      std::memcpy(block, &one, sizeof(one));
      std::fill_n(block + 2, 32, std::byte(row == 0 ? 1 : 256 - 2));
    }
    w_ = builder_.Lowering::Apply(OpId::Decode, {builder_.Leaf(stored)},
                                  {{int64_t(DType::F16)}, {}});
    Tensor x = MakeTensor(DType::F16, Shape{1, 32});
    std::fill_n(x.as<uint16_t>(), 32, one);
    x_ = builder_.Leaf(std::move(x));
  }

  TensorRef Product() {
    return MatrixProduct(builder_, x_, SwapAxes(builder_, w_, 0, 1));
  }

  TensorRef w_;  // as a model's tensor: held, not computed
  TensorRef x_;
};

TEST_F(PackedWeightsTest, GoToTheProductAsTheyAre) {
  EXPECT_EQ(Values(Product()), (Doubles{32, -64}));
  EXPECT_EQ(backend_.ran, (Ops{OpId::Matmul}));
  EXPECT_EQ(backend_.weights, std::vector{DType::Q8_0});
  EXPECT_FALSE(AsNode(w_)->has_value());
}

TEST_F(PackedWeightsTest, StayPackedForProductsAfterSomebodyReadTheirValues) {
  EXPECT_EQ(Values(w_)[32], -2);
  EXPECT_EQ(Values(Product()), (Doubles{32, -64}));
  EXPECT_EQ(backend_.ran, (Ops{OpId::Decode, OpId::Matmul}));
  EXPECT_EQ(backend_.weights, std::vector{DType::Q8_0});
}

TEST_F(PackedWeightsTest, AreSharedByBatches) {
  const TensorRef x = BroadcastTo(builder_, x_, Shape{3, 1, 32});
  const TensorRef y =
      MatrixProduct(builder_, Reshape(builder_, x, Shape{3, 1, 32}),
                    SwapAxes(builder_, w_, 0, 1));
  const Attributes& attributes = AsNode(y)->inputs()[1]->attributes();
  EXPECT_EQ(AsNode(y)->inputs()[1]->dtype(), DType::Q8_0);
  EXPECT_EQ(attributes.ints, (std::vector<int64_t>{3, 32, 2}));
}

TEST_F(PackedWeightsTest, AreDecodedForAProductAlongTheirRows) {
  const TensorRef x = Make({1, 2}, {1, 1});
  EXPECT_EQ(Values(MatrixProduct(builder_, x, w_))[0], -1);
  EXPECT_EQ(backend_.ran, (Ops{OpId::Decode, OpId::Matmul}));
}

TEST_F(PackedWeightsTest, AreMultipliedExactlyWhenTheProgramIs) {
  Values(Product());
  builder_.set_exact(true);
  Values(Product());
  EXPECT_EQ(backend_.exact, (std::vector{false, true}));
}

TEST_F(PackedWeightsTest, GoToTheProductAsAStretchOfTheirRows) {
  const TensorRef row = Slice(builder_, w_, 0, 1, 1);
  const TensorRef y =
      MatrixProduct(builder_, x_, SwapAxes(builder_, row, 0, 1));
  EXPECT_EQ(Values(y), Doubles{-64});
  EXPECT_EQ(backend_.ran, (Ops{OpId::Matmul}));
  EXPECT_EQ(backend_.weights, std::vector{DType::Q8_0});
}

TEST_F(PackedWeightsTest, AreDecodedToFloat32WhereAnExactProductMustDecode) {
  builder_.set_exact(true);
  const TensorRef x = Make({1, 2}, {1, 1});
  EXPECT_EQ(Values(MatrixProduct(builder_, x, w_))[0], -1);
  EXPECT_EQ(backend_.ran, (Ops{OpId::Decode, OpId::Matmul}));
  EXPECT_EQ(backend_.weights, std::vector{DType::F32});
}

TEST_F(PackedWeightsTest, AreNotComputedBecauseTheyAreHeld) {
  EXPECT_EQ(builder_.pending(), 0);
}

TEST_F(ExecutorTest, DoesNotFuseAcrossAViewOfTheGroupItself) {
  const NodePtr a = Make({2, 2}, {1, 2, 3, 4});
  const TensorRef doubled = Add(a, a);
  const TensorRef sum = Add(doubled, SwapAxes(builder_, doubled, 0, 1));
  EXPECT_EQ(Values(sum), (Doubles{4, 10, 10, 16}));
  EXPECT_EQ(backend_.ran.size(), 2u);
}

TEST_F(ExecutorTest, DoesNotFuseABroadcastMemberOfTheGroup) {
  const NodePtr a = Make({2, 2}, {1, 2, 3, 4}), b = Make({2}, {1, 1});
  const TensorRef narrow = Add(b, b);
  EXPECT_EQ(Values(Add(Mul(a, a), narrow)), (Doubles{3, 6, 11, 18}));
}

TEST_F(ExecutorTest, PlansOnceForALoopWhateverItsNumbers) {
  const NodePtr a = Make({4}, {1, 2, 3, 4});
  for (int step = 0; step < 3; ++step) {
    const TensorRef part = Slice(builder_, a, 0, step, 2);
    EXPECT_EQ(Values(Mul(part, Number(step))),
              (Doubles{double(step * (step + 1)), double(step * (step + 2))}));
  }
  EXPECT_EQ(observer_.plans, 1);
}

TEST_F(ExecutorTest, AnotherShapeIsAnotherPlan) {
  Values(Add(Make({2}, {1, 2}), Make({2}, {1, 2})));
  Values(Add(Make({3}, {1, 2, 3}), Make({3}, {1, 2, 3})));
  EXPECT_EQ(observer_.plans, 2);
}

TEST_F(ExecutorTest, WritesInPlaceWhenNobodyElseHoldsTheOldValue) {
  NodePtr x = Make({3}, {1, 2, 3});
  const std::byte* memory = x->value().data.get();
  const TensorRef assigned =
      Assign(builder_, x, std::array<int64_t, 1>{1}, std::array<int64_t, 1>{1},
             Shape{1}, Number(9));
  x = nullptr;
  EXPECT_EQ(Values(assigned), (Doubles{1, 9, 3}));
  EXPECT_EQ(AsNode(assigned)->value().data.get(), memory);
}

TEST_F(ExecutorTest, CopiesBeforeWritingWhenTheOldValueIsHeld) {
  const NodePtr x = Make({3}, {1, 2, 3});
  const TensorRef assigned =
      Assign(builder_, x, std::array<int64_t, 1>{0}, std::array<int64_t, 1>{2},
             Shape{2}, Number(9));
  EXPECT_EQ(Values(assigned), (Doubles{9, 2, 9}));
  EXPECT_EQ(Values(x), (Doubles{1, 2, 3}));
}

TEST_F(ExecutorTest, CopiesBeforeWritingWhenThePartIsAViewOfTheTensor) {
  const NodePtr a = Make({5}, {1, 2, 3, 4, 5});
  TensorRef x = Unary(builder_, OpId::Neg, Unary(builder_, OpId::Neg, a));
  const TensorRef part = Slice(builder_, x, 0, 0, 4);
  x = Assign(builder_, x, std::array<int64_t, 1>{1},
             std::array<int64_t, 1>{1}, Shape{4}, part);
  EXPECT_EQ(Values(x), (Doubles{1, 1, 2, 3, 4}));
}

TEST_F(ExecutorTest, CopiesBeforeWritingAViewOfALeafThatOthersHold) {
  NodePtr a = Make({4}, {1, 2, 3, 4});
  const TensorRef view = Reshape(builder_, a, Shape{2, 2});
  a = nullptr;  // only the view holds the leaf now
  const TensorRef assigned =
      Assign(builder_, view, std::array<int64_t, 2>{0, 0},
             std::array<int64_t, 2>{1, 1}, Shape{1, 1}, Number(9));
  EXPECT_EQ(Values(assigned), (Doubles{9, 2, 3, 4}));
  EXPECT_EQ(Values(view), (Doubles{1, 2, 3, 4}));
}

TEST_F(ExecutorTest, ReshapesAReversedView) {
  const NodePtr a = Make({2, 3}, {0, 1, 2, 3, 4, 5});
  const TensorRef rows = Slice(builder_, a, 1, 2, 3, -1);
  EXPECT_EQ(Values(Reshape(builder_, rows, Shape{6})),
            (Doubles{2, 1, 0, 5, 4, 3}));
  const TensorRef both = Slice(builder_, rows, 0, 1, 2, -1);
  EXPECT_EQ(Values(Reshape(builder_, both, Shape{6})),
            (Doubles{5, 4, 3, 2, 1, 0}));
}

TEST_F(ExecutorTest, RunsNoKernelForATensorWithoutElements) {
  const NodePtr a = Make({0, 3}, {});
  EXPECT_EQ(Values(Add(a, Number(1))), Doubles{});
  EXPECT_TRUE(backend_.ran.empty());
}

TEST_F(ExecutorTest, ALongChainNeedsNoStackToRunOrToDie) {
  const NodePtr one = Make({1}, {1});
  TensorRef x = Make({1}, {0});
  for (int i = 0; i < 200000; ++i) x = Unary(builder_, OpId::Neg, x);
  EXPECT_EQ(builder_.pending(), 200000);
  EXPECT_EQ(Values(x), (Doubles{0}));
  EXPECT_EQ(builder_.pending(), 0);
  for (int i = 0; i < 200000; ++i) x = Unary(builder_, OpId::Neg, x);
  x = nullptr;
  EXPECT_EQ(builder_.pending(), 0);
}

TEST_F(ExecutorTest, ASweepComputesWhatSomebodyHolds) {
  const NodePtr a = Make({1}, {3});
  const TensorRef x = Add(a, a), y = Mul(a, a);
  executor_.Sweep(builder_.PendingNodes());
  EXPECT_TRUE(AsNode(x)->has_value());
  EXPECT_TRUE(AsNode(y)->has_value());
}

TEST_F(ExecutorTest, FindsTheFirstOperationThatIsNotFinite) {
  executor_.set_check_finite(true);
  const NodePtr big = Make({2}, {60000, 1});
  try {
    Values(Mul(big, big));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.text(),
              "elementwise operations made 1 inf and 0 NaN of 2 values out of "
              "finite operands");
    EXPECT_EQ(error.notes(), std::vector<std::string>{"computed at here"});
  }
}

}  // namespace
}  // namespace tl
