#include "tensor/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/half.h"
#include "tensor/decode.h"

namespace tl {
namespace {

// Blocks of pseudo-random bytes with sane scales, and hashes of what ggml's own
// dequantize_row_* makes of them.
struct Golden {
  DType dtype;
  uint64_t bytes_hash;
  uint64_t floats_hash;
  uint64_t halves_hash;
};

constexpr auto kGolden = std::to_array<Golden>({
    {DType::Q4_0, 0x72a9f20dd148758f, 0xa4c4a870b46defbc,
     0xfd890c826fcb9a5b},
    {DType::Q4_1, 0x51bb2ad47d578950, 0xd5de243cb64bb912,
     0x656d0b5bfff2b0c7},
    {DType::Q5_0, 0x2d21040dbffb105a, 0x0b35a691fa154eb3,
     0x0e4a1fafba3c63f1},
    {DType::Q5_1, 0x6d2c8c6d569a97f2, 0xe28f18544c055372,
     0xf66eb76f9dbef212},
    {DType::Q8_0, 0xa78e55e4dd3905bc, 0x8e87ccb2ad896456,
     0x775a71bdace24fdc},
    {DType::Q2_K, 0xc397e12285c5406c, 0xcc7ab9346c2a087c,
     0xf972db728f30a00a},
    {DType::Q3_K, 0x81b3d223018ad290, 0xf38fe5f5453e794b,
     0xe62e1769d6a5fc35},
    {DType::Q4_K, 0x2df406c66d2178e0, 0xa5db0ddad2daa923,
     0x27c54cc035e038dd},
    {DType::Q5_K, 0x94f41f68a1f9e882, 0x6719fc0e106d7c04,
     0xa8a9b617f3a1d6ec},
    {DType::Q6_K, 0xff526f19d352331f, 0xe039c1711100989a,
     0xe5bfcc801eecdea5},
    {DType::IQ4_NL, 0xc873fac3c8865a38, 0x4cae31279956d8b2,
     0x9751c5c2efea66e8},
    {DType::IQ4_XS, 0xb9844c4f6b4c0448, 0xec8c36962b5656b4,
     0x6afa8057c30f5dcd},
    {DType::TQ1_0, 0x6609f8b6eb88d2cf, 0xde0e9e8f52bce5b6,
     0xdb729e4e0112d095},
    {DType::TQ2_0, 0xa511d48308cb46be, 0x3062fad9ef0d0e13,
     0xab05e4683fc49e63},
    {DType::MXFP4, 0x480554476e73c8d0, 0x40237ccb1cbe7a17,
     0xe0a2c29bd46f7105},
    {DType::NVFP4, 0xc7a0ee407a2cf9e6, 0xd3bf37fe504e0727,
     0x649702a07c0ca4fe},
    {DType::Q1_0, 0xe838370578ad8fdc, 0x7c4f7fb389fe9c03,
     0x937d1ce821e48a03},
    {DType::Q2_0, 0x3092e10bd804679b, 0x319ef4a37d591c5e,
     0xfba103b755ca6059},
});

// FNV-1a with the start value that the published hashes used.
uint64_t Hash(std::span<const std::byte> bytes) {
  uint64_t hash = 1469598103934665603u;
  for (std::byte byte : bytes) {
    hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211u;
  }
  return hash;
}

void PutHalf(std::vector<std::byte>& block, int at, uint16_t half) {
  std::memcpy(block.data() + at, &half, sizeof(half));
}

constexpr uint16_t kScale = 0x224c;    // f16(0.0123)
constexpr uint16_t kMinimum = 0x29d6;  // f16(0.0456)
constexpr uint16_t kMinusHalf = 0xb800;

void PutScales(DType dtype, std::vector<std::byte>& block) {
  switch (dtype) {
    case DType::Q4_1:
    case DType::Q5_1:
      PutHalf(block, 0, kScale);
      return PutHalf(block, 2, kMinusHalf);
    case DType::Q4_K:
    case DType::Q5_K:
      PutHalf(block, 0, kScale);
      return PutHalf(block, 2, kMinimum);
    case DType::Q2_K:
      PutHalf(block, 80, kScale);
      return PutHalf(block, 82, kMinimum);
    case DType::Q3_K:
      return PutHalf(block, 108, kScale);
    case DType::Q6_K:
      return PutHalf(block, 208, kScale);
    case DType::TQ1_0:
      return PutHalf(block, 52, kScale);
    case DType::TQ2_0:
      return PutHalf(block, 64, kScale);
    case DType::MXFP4:
      block[0] = std::byte{120};
      return;
    case DType::NVFP4:
      for (int i = 0; i < 4; ++i) {
        block[i] = std::byte(std::array{0x38, 0x01, 0x7e, 0x45}[i]);
      }
      return;
    default:
      return PutHalf(block, 0, kScale);
  }
}

std::vector<std::byte> GoldenBlock(DType dtype) {
  uint32_t state = 1000 + Info(dtype).gguf;
  std::vector<std::byte> block(Info(dtype).block_bytes);
  for (std::byte& byte : block) {
    state = state * 1664525 + 1013904223;
    byte = std::byte(state >> 24);
  }
  PutScales(dtype, block);
  return block;
}

class PackedTypeTest : public testing::TestWithParam<Golden> {};

TEST_P(PackedTypeTest, DecodesToTheBitsOfGgml) {
  const Golden& golden = GetParam();
  const std::vector<std::byte> block = GoldenBlock(golden.dtype);
  ASSERT_EQ(Hash(block), golden.bytes_hash);
  std::vector<float> values(Info(golden.dtype).block_elements);
  Decode(golden.dtype, block, values);
  EXPECT_EQ(Hash(std::as_bytes(std::span(values))), golden.floats_hash);
  std::vector<uint16_t> halves;
  for (float value : values) halves.push_back(DoubleToHalf(value));
  EXPECT_EQ(Hash(std::as_bytes(std::span(halves))), golden.halves_hash);
}

INSTANTIATE_TEST_SUITE_P(All, PackedTypeTest, testing::ValuesIn(kGolden),
                         [](const auto& info) {
                           return std::string(Info(info.param.dtype).name);
                         });

TEST(PackedTest, EveryPackedTypeHasAGoldenBlock) {
  for (uint32_t number = 0; number < 64; ++number) {
    const auto dtype = FindGgufDType(number);
    if (!dtype || !IsPacked(*dtype)) continue;
    EXPECT_TRUE(std::any_of(kGolden.begin(), kGolden.end(),
                            [&](const Golden& g) { return g.dtype == *dtype; }))
        << Info(*dtype).name;
  }
}

TEST(PackedTest, AnInvalidExponentOfMXFP4IsNaN) {
  std::vector<std::byte> block(17);
  block[0] = std::byte{255};
  std::vector<float> values(32);
  Decode(DType::MXFP4, block, values);
  for (float value : values) EXPECT_TRUE(std::isnan(value));
}

TEST(PackedTest, BlocksFollowOneAnother) {
  std::vector<std::byte> two = GoldenBlock(DType::Q8_0);
  const std::vector<std::byte> one = two;
  two.insert(two.end(), one.begin(), one.end());
  std::vector<double> values(64);
  Decode(DType::Q8_0, two, values);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(values[i], values[32 + i]);
}

}  // namespace
}  // namespace tl
