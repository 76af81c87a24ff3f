#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tl {
namespace {

static_assert(FloatToHalf(1) == 0x3c00 && HalfToFloat(0x3c00) == 1);

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(HalfTest, RoundsFloatsToNearestEven) {
  EXPECT_EQ(FloatToHalf(65504), 0x7bff);
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520), 0x7c00);
  EXPECT_EQ(FloatToHalf(65536), 0x7c00);
  EXPECT_EQ(FloatToHalf(1e30f), 0x7c00);
  EXPECT_EQ(FloatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToHalf(0.1f), 0x2e66);
  EXPECT_EQ(FloatToHalf(-0.0f), 0x8000);
  EXPECT_EQ(FloatToHalf(0x1p-24f), 0x0001);
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0x0000);
  EXPECT_EQ(FloatToHalf(-0x1p-25f), 0x8000);
  EXPECT_EQ(FloatToHalf(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(FloatToHalf(0x1p-14f), 0x0400);
  EXPECT_EQ(FloatToHalf(6.0975552e-5f), 0x03ff);
  EXPECT_EQ(FloatToHalf(2049), 0x6800);
  EXPECT_EQ(FloatToHalf(2051), 0x6802);
}

TEST(HalfTest, RoundsDoublesOnce) {
  EXPECT_EQ(DoubleToHalf(1 + 0x1p-11 + 0x1p-40), 0x3c01);
  EXPECT_EQ(DoubleToHalf(1 + 3 * 0x1p-11 - 0x1p-40), 0x3c01);
  EXPECT_EQ(DoubleToHalf(65520 - 0x1p-20), 0x7bff);
  EXPECT_EQ(DoubleToHalf(0x1p-25 * (1 + 0x1p-30)), 0x0001);
  EXPECT_EQ(DoubleToHalf(kInf), 0x7c00);
  EXPECT_EQ(DoubleToHalf(5e-324), 0x0000);
}

// Every pair of neighbours: the tie goes to the even one, and the doubles on
// either side of the tie go to the nearer one.
TEST(HalfTest, RoundsEveryIntervalAtItsMiddle) {
  for (int half = 0; half < 0x7bff; ++half) {
    const double low = HalfToFloat(half);
    const double high = HalfToFloat(half + 1);
    const double middle = (low + high) / 2;
    ASSERT_EQ(DoubleToHalf(middle), half + (half & 1)) << half;
    ASSERT_EQ(DoubleToHalf(std::nextafter(middle, 0)), half) << half;
    ASSERT_EQ(DoubleToHalf(std::nextafter(middle, kInf)), half + 1) << half;
    ASSERT_EQ(DoubleToHalf(-middle), 0x8000 + half + (half & 1)) << half;
  }
}

TEST(HalfTest, EveryHalfSurvivesTheWayThroughFloat) {
  for (int half = 0; half < 0x10000; ++half) {
    const int quiet = IsHalfNaN(half) ? 0x200 : 0;
    ASSERT_EQ(FloatToHalf(HalfToFloat(half)), half | quiet) << half;
  }
}

TEST(HalfTest, KeepsTheTopOfANaNPayload) {
  EXPECT_EQ(FloatToHalf(std::bit_cast<float>(0x7fc00000)), 0x7e00);
  EXPECT_EQ(FloatToHalf(std::bit_cast<float>(0xffd5a000)), 0xfead);
  EXPECT_EQ(FloatToHalf(std::bit_cast<float>(0x7f800001)), 0x7e00);
  EXPECT_EQ(std::bit_cast<uint32_t>(HalfToFloat(0x7c01)), 0x7fc02000u);
}

TEST(HalfTest, ConvertsBFloat16) {
  EXPECT_EQ(BFloat16ToFloat(0x3f80), 1);
  EXPECT_EQ(BFloat16ToFloat(0x477f), 65280);
  EXPECT_EQ(FloatToHalf(BFloat16ToFloat(0x477f)), 0x7bf8);
  EXPECT_EQ(FloatToHalf(BFloat16ToFloat(0x4780)), 0x7c00);
  EXPECT_EQ(FloatToBFloat16(1 + 0x1p-8f), 0x3f80);
  EXPECT_EQ(FloatToBFloat16(1 + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(FloatToBFloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x7f800001)), 0x7fc0);
}

TEST(HalfTest, CountsTheBFloat16CodesThatDoNotFit) {
  int overflow = 0, flushed = 0, inexact = 0;
  for (int bits = 0; bits < 0x7f80; ++bits) {
    const float value = BFloat16ToFloat(bits);
    const float half = HalfToFloat(FloatToHalf(value));
    if (std::isinf(half))
      ++overflow;
    else if (half == 0 && value != 0)
      ++flushed;
    else if (half != value)
      ++inexact;
  }
  EXPECT_EQ(overflow, 14336);
  EXPECT_EQ(flushed, 13056);
  EXPECT_EQ(inexact, 896);
}

}  // namespace
}  // namespace tl
