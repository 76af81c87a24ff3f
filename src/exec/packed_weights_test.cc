// Packed weights of a model on their way to a product.
#include "exec/executor_test.h"

namespace tl {
namespace {

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

}  // namespace
}  // namespace tl
