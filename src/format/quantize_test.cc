#include "format/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "format/load.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {
namespace {

std::vector<std::byte> Packed(DType dtype, const std::vector<float>& values) {
  const DTypeInfo& info = Info(dtype);
  std::vector<std::byte> bytes(values.size() / info.block_elements *
                               info.block_bytes);
  Quantize(dtype, values, bytes);
  return bytes;
}

std::vector<float> Unpacked(DType dtype, const std::vector<std::byte>& bytes,
                            size_t count) {
  std::vector<float> values(count);
  Decode(dtype, bytes, std::span<float>(values));
  return values;
}

double RootMeanSquare(const std::vector<float>& a,
                      const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

std::vector<DType> AllTypes() {
  std::vector<DType> types;
  for (int i = 0; i < 256; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (CanQuantize(dtype)) types.push_back(dtype);
    if (dtype == DType::IQ1_M) break;  // the last row of dtype.def
  }
  return types;
}

uint64_t Fnv1a(const std::vector<std::byte>& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (std::byte byte : bytes) {
    hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  }
  return hash;
}

TEST(QuantizeTest, GivesTheBytesOfTheGgufPackage) {
  std::vector<float> values(512);
  for (int i = 0; i < 512; ++i) {
    values[i] = static_cast<float>((i * 37 % 101 - 50) * (1 + i / 64)) / 16;
  }
  // gguf.quants.quantize() of version 0.19.
  const std::pair<DType, uint64_t> expected[] = {
      {DType::F16, 0x5bacc31d5be2ad90},   {DType::BF16, 0xf14baeebbb94524a},
      {DType::Q4_0, 0xff2ad13f8e206413},  {DType::Q4_1, 0x5b5fc8db0c271d72},
      {DType::Q5_0, 0x02bb6b4d146e605a},  {DType::Q5_1, 0xe15ee22c160e7159},
      {DType::Q8_0, 0x359bdbff2bc766a1},  {DType::TQ1_0, 0x463a134cab59dfdd},
      {DType::TQ2_0, 0x60639787ba78ec40}, {DType::MXFP4, 0x9859aeff636a23f5},
  };
  for (const auto& [dtype, hash] : expected) {
    EXPECT_EQ(Fnv1a(Packed(dtype, values)), hash) << Info(dtype).name;
  }
}

TEST(QuantizeTest, EveryPackedTypeCanBeWritten) {
  for (int i = 0; i <= static_cast<int>(DType::IQ1_M); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!IsPacked(dtype)) continue;
    EXPECT_TRUE(CanQuantize(dtype)) << Info(dtype).name;
  }
  EXPECT_FALSE(CanQuantize(DType::IQ2_XXS));
  EXPECT_FALSE(CanQuantize(DType::I32));
}

TEST(QuantizeTest, ZerosStayZeros) {
  for (DType dtype : AllTypes()) {
    const std::vector<float> zeros(256, 0);
    EXPECT_EQ(Unpacked(dtype, Packed(dtype, zeros), 256), zeros)
        << Info(dtype).name;
  }
}

// Root mean square errors on the normal distribution; half of each is less than
// so many bits could reach.
TEST(QuantizeTest, TheErrorIsThatOfTheBits) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(256 * 64);
  for (float& value : values) value = normal(random);
  const struct {
    DType dtype;
    double most;
  } kMost[] = {
      {DType::F32, 0},        {DType::F16, 0.0003},   {DType::BF16, 0.0025},
      {DType::Q8_0, 0.0065},  {DType::Q6_K, 0.0185},  {DType::Q5_K, 0.038},
      {DType::Q5_1, 0.040},   {DType::Q5_0, 0.046},   {DType::Q4_K, 0.074},
      {DType::IQ4_NL, 0.076}, {DType::IQ4_XS, 0.077}, {DType::Q4_1, 0.082},
      {DType::Q4_0, 0.090},   {DType::NVFP4, 0.10},   {DType::MXFP4, 0.12},
      {DType::Q3_K, 0.15},    {DType::Q2_K, 0.28},    {DType::Q2_0, 0.50},
      {DType::Q1_0, 0.61},
  };
  for (const auto& [dtype, most] : kMost) {
    const double error = RootMeanSquare(
        Unpacked(dtype, Packed(dtype, values), values.size()), values);
    EXPECT_LE(error, most) << Info(dtype).name;
    EXPECT_GE(error, most / 2) << Info(dtype).name;
  }
}

TEST(QuantizeTest, ABlockDependsOnNothingButItsValues) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(256 * 5);
  for (float& value : values) value = uniform(random);
  for (DType dtype : AllTypes()) {
    const auto together = Packed(dtype, values);
    std::vector<std::byte> apart;
    for (size_t i = 0; i < values.size(); i += 256) {
      const auto one = Packed(
          dtype,
          std::vector<float>(values.begin() + i, values.begin() + i + 256));
      apart.insert(apart.end(), one.begin(), one.end());
    }
    EXPECT_EQ(together, apart) << Info(dtype).name;
  }
}

// What a type can express comes back exactly.
TEST(QuantizeTest, WholeNumbersSurvive) {
  std::vector<float> values(256);
  for (int i = 0; i < 256; ++i) {
    values[i] = static_cast<float>(i * 7 % 16 - 8);  // has -8
  }
  for (DType dtype : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::F16,
                      DType::BF16, DType::Q5_K, DType::Q6_K}) {
    EXPECT_LT(
        RootMeanSquare(Unpacked(dtype, Packed(dtype, values), 256), values),
        0.035)
        << Info(dtype).name;
  }
  EXPECT_EQ(Unpacked(DType::Q4_0, Packed(DType::Q4_0, values), 256), values);
  EXPECT_EQ(Unpacked(DType::Q4_1, Packed(DType::Q4_1, values), 256), values);
}

TEST(QuantizeTest, RoundsToFloat16AsOneNumberAtATime) {
  std::mt19937 random(7);
  std::vector<float> values(1 << 16);
  for (float& value : values) {
    do {
      value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    } while (!std::isfinite(value));
  }
  const auto halves = Packed(DType::F16, values);
  const auto brains = Packed(DType::BF16, values);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half, brain;
    std::memcpy(&half, halves.data() + 2 * i, 2);
    std::memcpy(&brain, brains.data() + 2 * i, 2);
    ASSERT_EQ(half, FloatToHalf(values[i])) << values[i];
    ASSERT_EQ(brain, FloatToBFloat16(values[i])) << values[i];
  }
}

TEST(QuantizeTest, TheLargestMagnitudeIsStillFinite) {
  for (DType dtype : AllTypes()) {
    const std::vector<float> values(256, -MaxMagnitude(dtype));
    for (float value : Unpacked(dtype, Packed(dtype, values), 256)) {
      ASSERT_TRUE(std::isfinite(value)) << Info(dtype).name;
    }
  }
}

TEST(QuantizeTest, SmallScalesGiveSmallNumbers) {
  for (DType dtype : AllTypes()) {
    std::vector<float> values(256, 1e-42f);
    values[3] = -3e-41f;
    for (float value : Unpacked(dtype, Packed(dtype, values), 256)) {
      ASSERT_LE(std::abs(value), 1e-37f) << Info(dtype).name;
    }
  }
}

}  // namespace
}  // namespace tl
