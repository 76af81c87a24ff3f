#include "format/rope_factors.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

constexpr RopeFrequencies kLlama3 = {.base = 500000, .dim = 128};

TEST(RopeFactorsTest, ShortWavesStayLongOnesAreStretchedByTheWholeFactor) {
  const std::vector<float> factors = RopeFactors({.factor = 8}, kLlama3);
  ASSERT_EQ(factors.size(), 64u);
  EXPECT_EQ(factors[28], 1);
  // A wave of 2401.74 positions, computed apart.
  EXPECT_FLOAT_EQ(factors[29], 1.207483871f);
  EXPECT_FLOAT_EQ(factors[34], 5.257326589f);
  EXPECT_EQ(factors[35], 8);
  EXPECT_EQ(factors[63], 8);
}

TEST(RopeFactorsTest, TheFactorIsFoundAgain) {
  for (double factor : {8.0, 32.0}) {
    std::vector<float> factors = RopeFactors({.factor = factor}, kLlama3);
    for (float& value : factors) value *= 1 + 1e-6f;
    const auto found = FindLlama3Scaling(factors, kLlama3);
    ASSERT_TRUE(found);
    EXPECT_NEAR(found->factor, factor, 1e-4);
    EXPECT_EQ(found->context, 8192);
  }
}

TEST(RopeFactorsTest, FactorsOfAnotherScalingAreNotTakenForIt) {
  EXPECT_FALSE(FindLlama3Scaling({}, kLlama3));
  EXPECT_FALSE(FindLlama3Scaling(std::vector<float>(64, 2), kLlama3));
  EXPECT_FALSE(
      FindLlama3Scaling(RopeFactors({.context = 4096}, kLlama3), kLlama3));
  EXPECT_FALSE(
      FindLlama3Scaling(RopeFactors({}, kLlama3), {.base = 10000, .dim = 128}));
  EXPECT_FALSE(
      FindLlama3Scaling(RopeFactors({}, kLlama3), {.base = 500000, .dim = 64}));
}

}  // namespace
}  // namespace tl
