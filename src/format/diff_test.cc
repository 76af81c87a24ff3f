#include "format/diff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tl {
namespace {

Tensor Floats(const std::vector<float>& values) {
  Tensor tensor =
      MakeTensor(DType::F32, Shape{static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<float>());
  return tensor;
}

Tensor Halves(const std::vector<uint16_t>& values) {
  Tensor tensor =
      MakeTensor(DType::F16, Shape{static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<uint16_t>());
  return tensor;
}

Model ModelOf(const std::string& name, Tensor tensor) {
  Model model;
  model.Set(name, std::move(tensor));
  return model;
}

TEST(CompareTest, EqualModelsAreTheSame) {
  const Model a = ModelOf("w", Floats({1, NAN}));
  const Model b = ModelOf("w", Floats({1, NAN}));
  const ModelDifference difference = Compare(a, b);
  EXPECT_TRUE(difference.same());
  EXPECT_EQ(difference.same_tensors, 1);
}

TEST(CompareTest, ListsTensorsThatOnlyOneHas) {
  const Model a = ModelOf("old", Floats({1}));
  const Model b = ModelOf("new", Floats({1}));
  const ModelDifference difference = Compare(a, b);
  ASSERT_EQ(difference.tensors.size(), 2u);
  EXPECT_EQ(difference.tensors[0].name, "old");
  EXPECT_EQ(difference.tensors[0].b, nullptr);
  EXPECT_EQ(difference.tensors[1].name, "new");
  EXPECT_EQ(difference.tensors[1].a, nullptr);
  EXPECT_FALSE(difference.same());
}

TEST(CompareTest, FindsTheLargestDifferenceAndWhereItIs) {
  std::vector<float> values(400'000, 1), changed = values;
  changed[7] = 1.5;
  changed[300'000] = -2;
  const Model a = ModelOf("w", Floats(values));
  const Model b = ModelOf("w", Floats(changed));
  const ModelDifference difference = Compare(a, b);
  ASSERT_EQ(difference.tensors.size(), 1u);
  EXPECT_EQ(difference.tensors[0].values->differing, 2);
  EXPECT_EQ(difference.tensors[0].values->largest, 3);
  EXPECT_EQ(difference.tensors[0].values->largest_at, 300'000);
}

TEST(CompareTest, ComparesAcrossTypesByValue) {
  const Model a = ModelOf("w", Floats({1, 0.1f}));
  const Model b = ModelOf("w", Halves({0x3c00, 0x2e66}));
  const ModelDifference difference = Compare(a, b);
  ASSERT_EQ(difference.tensors.size(), 1u);
  EXPECT_EQ(difference.tensors[0].values->differing, 1);
  EXPECT_NEAR(difference.tensors[0].values->largest, 2.4e-5, 1e-6);
}

TEST(CompareTest, NaNAndInfinityAreFarFromNumbersButNotFromThemselves) {
  const float inf = std::numeric_limits<float>::infinity();
  const Model a = ModelOf("w", Floats({NAN, inf, -0.0f, NAN}));
  const Model b = ModelOf("w", Floats({NAN, inf, 0.0f, 1}));
  const ModelDifference difference = Compare(a, b);
  ASSERT_EQ(difference.tensors.size(), 1u);
  EXPECT_EQ(difference.tensors[0].values->differing, 1);
  EXPECT_EQ(difference.tensors[0].values->largest, inf);
  EXPECT_EQ(difference.tensors[0].values->largest_at, 3);
}

TEST(CompareTest, TensorsOfOtherShapesHaveNoValueDifference) {
  const Model a = ModelOf("w", Floats({1, 2}));
  const Model b = ModelOf("w", Floats({1}));
  const ModelDifference difference = Compare(a, b);
  ASSERT_EQ(difference.tensors.size(), 1u);
  EXPECT_EQ(difference.tensors[0].values, std::nullopt);
}

TEST(CompareTest, ListsMetadataThatDiffers) {
  Model a, b;
  const auto add = [](Model& model, const char* key, const char* text) {
    model.metadata().Set(key, text);
  };
  add(a, "format", "pt");
  add(a, "x", "1");
  add(a, "same", "s");
  add(b, "same", "s");
  add(b, "format", "np");
  add(b, "y", "1");
  EXPECT_EQ(Compare(a, b).metadata,
            (std::vector<std::string>{"format", "x", "y"}));
}

}  // namespace
}  // namespace tl
