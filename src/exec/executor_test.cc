// The planner and the executor against a backend that records what it does.
#include "exec/executor_test.h"

#include "base/error.h"

namespace tl {
namespace {

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

TEST_F(ExecutorTest, PreparesAWeightOnceAsLongAsItLives) {
  backend_.prepared_operand = 1;
  const NodePtr w = Make({2, 1}, {3, 4});
  for (int round = 0; round < 2; ++round) {
    Values(MatrixProduct(builder_, Make({1, 2}, {1, 2}), w));
  }
  Values(MatrixProduct(builder_, Make({1, 2}, {1, 2}), Make({2, 1}, {5, 6})));
  EXPECT_EQ(backend_.prepared, (std::vector{1, 1, 2}));
}

TEST_F(ExecutorTest, PreparesAWeightAgainForAnotherShape) {
  backend_.prepared_operand = 1;
  const NodePtr w = Make({2, 2}, {1, 2, 3, 4});
  Values(MatrixProduct(builder_, Make({1, 2}, {1, 2}), w));
  Values(MatrixProduct(builder_, Make({1, 4}, {1, 1, 1, 1}),
                       Reshape(builder_, w, Shape{4, 1})));
  EXPECT_EQ(backend_.prepared, (std::vector{1, 2}));
}

TEST_F(ExecutorTest, PreparesNeitherAPartOfAWeightNorAResult) {
  backend_.prepared_operand = 1;
  const NodePtr x = Make({1, 2}, {1, 2}), w = Make({2, 2}, {1, 2, 3, 4});
  Values(MatrixProduct(builder_, x, Slice(builder_, w, 1, 0, 1)));
  Values(MatrixProduct(builder_, x, SwapAxes(builder_, w, 0, 1)));
  Values(MatrixProduct(builder_, x, Add(w, w)));
  EXPECT_EQ(backend_.preparations, 0);
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

TEST_F(ExecutorTest, AResultSaysWhichWorkMakesIt) {
  const NodePtr a = Make({1}, {3});
  const TensorRef x = Add(a, a), y = Mul(a, a);
  Values(x);
  Values(y);
  EXPECT_EQ(AsNode(a)->value().ticket, 0u);
  EXPECT_EQ(AsNode(x)->value().ticket, 1u);
  EXPECT_EQ(AsNode(y)->value().ticket, 2u);
}

// Who waits for a token does not wait for what was handed over behind it.
TEST_F(ExecutorTest, AViewIsMadeByTheWorkThatMakesWhatItLooksAt) {
  const NodePtr a = Make({2}, {3, 4});
  const TensorRef sum = Add(a, a), view = Unsqueeze(builder_, sum, 0);
  executor_.Run(std::array{AsNode(sum).get()});
  Values(Mul(a, a));
  executor_.Run(std::array{AsNode(view).get()});
  EXPECT_EQ(AsNode(view)->value().ticket, 1u);
}

// Who copies waits at the end of each time.
TEST_F(ExecutorTest, BringsTogetherWhatIsConvertedWhileThereIsRoom) {
  backend_.where = Device::kGpu;
  const auto converted = [&](float value) {
    Tensor stored = MakeTensor(DType::F32, Shape{2});
    stored.as<float>()[0] = value, stored.as<float>()[1] = 1;
    return builder_.Lowering::Apply(OpId::Decode,
                                    {builder_.Leaf(std::move(stored))},
                                    {{int64_t(DType::F16)}, {}});
  };
  const auto copies = [&](int64_t free, bool limited) {
    backend_.memory = {1024, free};
    backend_.limited = limited;
    backend_.copied_in.clear();
    const TensorRef two = Add(converted(3), converted(4));
    EXPECT_EQ(Values(Add(two, converted(5))), (Doubles{12, 3}));
    return backend_.copied_in;
  };
  // A sixteenth of what is free, beside the first; each has 8 bytes.
  EXPECT_EQ(copies(256, false), (std::vector<size_t>{3}));
  EXPECT_EQ(copies(255, false), (std::vector<size_t>{2, 1}));
  EXPECT_EQ(copies(127, false), (std::vector<size_t>{1, 1, 1}));
  EXPECT_EQ(copies(256, true), (std::vector<size_t>{1, 1, 1}));
}

// On another device it could only say later that an index has no place.
TEST_F(ExecutorTest, KnowsThatTheLargestOfAsManyHasItsPlace) {
  backend_.where = Device::kGpu;
  const NodePtr few = Make({3}, {1, 5, 2}), many = Make({4}, {1, 5, 2, 7});
  const NodePtr table = Make({3}, {10, 20, 30});
  const auto largest = [&](const NodePtr& of) {
    const TensorRef number =
        builder_.Apply(OpId::Argmax, {of}, {{0, 0}, {}});
    return Unsqueeze(builder_, number, 0);
  };
  const auto chosen = [&](const TensorRef& index) {
    return builder_.Apply(OpId::IndexSelect, {table, index}, {{0}, {}});
  };
  const TensorRef before = largest(few);
  Values(before);  // of an earlier run, too
  EXPECT_EQ(Values(chosen(before)), (Doubles{20}));
  EXPECT_EQ(Values(chosen(largest(few))), (Doubles{20}));
  const TensorRef of_many = largest(many);
  executor_.Run(std::array{AsNode(of_many).get()});
  EXPECT_EQ(AsNode(of_many)->indices_of, 4);
  EXPECT_EQ(backend_.indices_checked, (std::vector<bool>{true, true}));
  Values(chosen(largest(Make({4}, {1, 5, 2, 4}))));
  EXPECT_EQ(backend_.indices_checked, (std::vector<bool>{true, true, false}));
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
