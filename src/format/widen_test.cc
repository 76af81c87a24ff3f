#include "format/widen.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "tensor/decode.h"

namespace tl {
namespace {

// Every number of 16 bits, at a length that is not whole vectors.
TEST(WidenTest, IsWhatDecodeGives) {
  std::vector<uint16_t> stored(65536 + 3);
  for (size_t i = 0; i < stored.size(); ++i) {
    stored[i] = static_cast<uint16_t>(i);
  }
  const auto bytes = std::as_bytes(std::span(stored));
  for (DType dtype : {DType::F16, DType::BF16}) {
    std::vector<float> ours(stored.size()), expected(stored.size());
    Widen(dtype, bytes, ours);
    Decode(dtype, bytes, std::span<float>(expected));
    for (size_t i = 0; i < ours.size(); ++i) {
      // A NaN of bfloat16 keeps its bits here and is made quiet there.
      ASSERT_EQ(std::bit_cast<uint32_t>(ours[i]) | (ours[i] != ours[i]) << 22,
                std::bit_cast<uint32_t>(expected[i]) |
                    (expected[i] != expected[i]) << 22)
          << Info(dtype).name << ' ' << i;
    }
  }
}

TEST(WidenTest, OtherTypesAreDecoded) {
  const std::vector<double> stored = {1, -2.5, 1e300};
  std::vector<float> values(3);
  Widen(DType::F64, std::as_bytes(std::span(stored)), values);
  EXPECT_EQ(values[1], -2.5f);
  EXPECT_EQ(values[2], std::numeric_limits<float>::infinity());
}

TEST(WidenTest, NothingIsLargerThanNan) {
  std::vector<float> values(37, 1);
  values[35] = -3;
  EXPECT_EQ(std::bit_cast<float>(LargestMagnitudeBits(values)), 3);
  values[2] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(LargestMagnitudeBits(values), 0x7f800000u);
  values[36] = -std::numeric_limits<float>::quiet_NaN();
  EXPECT_GT(LargestMagnitudeBits(values), 0x7f800000u);
  EXPECT_EQ(LargestMagnitudeBits({}), 0u);
}

}  // namespace
}  // namespace tl
