#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

#include "base/half.h"

namespace tl {
namespace {

// Known answers of the Random123 distribution, tests/kat_vectors.
TEST(RandomTest, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomTest, UniformNumbersNeverReachOne) {
  EXPECT_EQ(UniformFloat(0), 0.0f);
  EXPECT_EQ(UniformFloat(0x100), 0x1p-24f);
  EXPECT_EQ(UniformFloat(~0u), 1.0f - 0x1p-24f);
  EXPECT_EQ(UniformHalf(~0u), 1.0f - 0x1p-11f);
}

TEST(RandomTest, UniformHalvesAreExactInFloat16) {
  for (uint64_t word = 0; word < uint64_t{1} << 32; word += 0x12345) {
    const float value = UniformHalf(static_cast<uint32_t>(word));
    ASSERT_EQ(HalfToFloat(FloatToHalf(value)), value) << word;
    ASSERT_LE(value, UniformFloat(static_cast<uint32_t>(word)));
  }
  for (uint32_t word = 0; word < 0x100000; word += 0x100) {  // below 2^-12
    const float value = UniformHalf(word);
    ASSERT_EQ(HalfToFloat(FloatToHalf(value)), value) << word;
  }
}

TEST(RandomTest, LogIsWithinFourSteps) {
  for (uint32_t i = 1; i <= 1u << 24; i += i < 4096 ? 1 : 61) {
    const double u = i * 0x1p-24;
    const double expected = std::log(u);
    ASSERT_NEAR(LogOfUniform(static_cast<float>(u)), expected,
                -expected * 4 * 0x1p-24)
        << i;
  }
  EXPECT_EQ(LogOfUniform(1.0f), 0.0f);
}

TEST(RandomTest, CosAndSinAreWithinTwoSteps) {
  for (uint32_t turn = 0; turn < 1u << 24; turn += 61) {
    const double angle = turn * 0x1p-24 * 2 * std::numbers::pi;
    ASSERT_NEAR(CosSinOfTurn(turn).cos, std::cos(angle), 2 * 0x1p-24) << turn;
    ASSERT_NEAR(CosSinOfTurn(turn).sin, std::sin(angle), 2 * 0x1p-24) << turn;
  }
}

// Quarter turns are exact, so no normal number is a NaN or beyond 5.77.
TEST(RandomTest, NormalPairsHoldAtTheEnds) {
  EXPECT_EQ(NormalPair(~0u, 0), (std::array<float, 2>{0, 0}));
  EXPECT_EQ(NormalPair(0, 0)[0], std::sqrt(-2.0f * LogOfUniform(0x1p-24f)));
  EXPECT_LT(NormalPair(0, 0)[0], 5.7682f);
  EXPECT_EQ(NormalPair(0, 0)[1], 0.0f);
  EXPECT_EQ(NormalPair(0, 0x40000000)[0], -0.0f);
  EXPECT_EQ(NormalPair(0, 0x40000000)[1], NormalPair(0, 0)[0]);
}

}  // namespace
}  // namespace tl
