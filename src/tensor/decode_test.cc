#include "tensor/decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace tl {
namespace {

template <class T>
std::vector<double> DecodeAll(DType dtype, std::vector<T> stored) {
  std::vector<double> values(stored.size());
  Decode(dtype, std::as_bytes(std::span(stored)), values);
  return values;
}

using Doubles = std::vector<double>;

TEST(DecodeTest, ReadsTheWideTypes) {
  EXPECT_EQ(DecodeAll<double>(DType::F64, {0.1, -1e300}),
            (Doubles{0.1, -1e300}));
  EXPECT_EQ(DecodeAll<float>(DType::F32, {0.5f}), Doubles{0.5});
  EXPECT_EQ(DecodeAll<uint16_t>(DType::F16, {0x3c00, 0xfbff, 0x0001}),
            (Doubles{1, -65504, 0x1p-24}));
  EXPECT_EQ(DecodeAll<uint16_t>(DType::BF16, {0x3f80, 0xc000}),
            (Doubles{1, -2}));
}

TEST(DecodeTest, ReadsIntegers) {
  EXPECT_EQ(DecodeAll<int64_t>(DType::I64, {-5, int64_t{1} << 53}),
            (Doubles{-5, 0x1p53}));
  EXPECT_EQ(DecodeAll<uint64_t>(DType::U64, {~uint64_t{0}}), Doubles{0x1p64});
  EXPECT_EQ(DecodeAll<int8_t>(DType::I8, {-128, 127}), (Doubles{-128, 127}));
  EXPECT_EQ(DecodeAll<uint8_t>(DType::BOOL, {0, 1}), (Doubles{0, 1}));
}

TEST(DecodeTest, F8ExtremesAreTheOnesOfTheirStandards) {
  EXPECT_EQ(DecodeF8E4M3(0x7e), 448);
  EXPECT_EQ(DecodeF8E4M3(0x01), 0x1p-9f);
  EXPECT_EQ(DecodeF8E4M3(0x08), 0x1p-6f);
  EXPECT_TRUE(std::signbit(DecodeF8E4M3(0x80)));
  EXPECT_TRUE(std::isnan(DecodeF8E4M3(0x7f)));
  EXPECT_TRUE(std::isnan(DecodeF8E4M3(0xff)));

  EXPECT_EQ(DecodeF8E5M2(0x7b), 57344);
  EXPECT_EQ(DecodeF8E5M2(0x01), 0x1p-16f);
  EXPECT_TRUE(std::isinf(DecodeF8E5M2(0x7c)));
  EXPECT_TRUE(std::isnan(DecodeF8E5M2(0x7d)));

  EXPECT_EQ(DecodeF8E4M3FNUZ(0x7f), 240);
  EXPECT_EQ(DecodeF8E4M3FNUZ(0xff), -240);
  EXPECT_EQ(DecodeF8E4M3FNUZ(0x01), 0x1p-10f);
  EXPECT_TRUE(std::isnan(DecodeF8E4M3FNUZ(0x80)));

  EXPECT_EQ(DecodeF8E5M2FNUZ(0x7f), 57344);
  EXPECT_EQ(DecodeF8E5M2FNUZ(0x01), 0x1p-17f);
  EXPECT_TRUE(std::isnan(DecodeF8E5M2FNUZ(0x80)));

  EXPECT_EQ(DecodeF8E8M0(0), 0x1p-127f);
  EXPECT_EQ(DecodeF8E8M0(127), 1);
  EXPECT_EQ(DecodeF8E8M0(254), 0x1p127f);
  EXPECT_TRUE(std::isnan(DecodeF8E8M0(255)));
}

TEST(DecodeTest, EveryF8ThatIsNoScaleIsExactInHalf) {
  for (int byte = 0; byte < 256; ++byte) {
    for (auto decode :
         {DecodeF8E4M3, DecodeF8E5M2, DecodeF8E4M3FNUZ, DecodeF8E5M2FNUZ}) {
      const float value = decode(static_cast<uint8_t>(byte));
      if (std::isnan(value)) continue;
      EXPECT_EQ(HalfToFloat(FloatToHalf(value)), value) << byte;
    }
  }
}

TEST(DecodeTest, PackedTypesHaveNoValue) {
  EXPECT_FALSE(CanDecode(DType::F4));
  EXPECT_TRUE(CanDecode(DType::F8_E8M0));
  try {
    DecodeAll<uint8_t>(DType::F4, {0, 0});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.text(), "F4 elements have no value of their own");
  }
}

}  // namespace
}  // namespace tl
