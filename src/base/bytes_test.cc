#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/failure_of.h"

namespace tl {
namespace {

constexpr auto kBytes = std::to_array<std::byte>(
    {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{'o'},
     std::byte{'k'}, std::byte{7}});

TEST(ByteReaderTest, ReadsLittleEndianInOrder) {
  ByteReader reader(kBytes, "m.bin", 100);
  EXPECT_EQ(reader.Read<uint32_t>("count"), 0x04030201u);
  EXPECT_EQ(reader.offset(), 104);
  EXPECT_EQ(reader.ReadText(2, "name"), "ok");
  EXPECT_EQ(reader.remaining(), 1);
}

TEST(ByteReaderTest, RefusesToLeaveItsBytesAndStaysWhereItWas) {
  ByteReader reader(kBytes, "m.bin", 100);
  reader.Read<uint16_t>("version");
  EXPECT_EQ(FailureOf([&] { reader.Read<uint64_t>("tensor count"); }),
            "m.bin: byte 102: tensor count needs 8 bytes, 5 left");
  EXPECT_EQ(FailureOf([&] { reader.Take(-1, "name"); }),
            "m.bin: byte 102: name needs 18446744073709551615 bytes, 5 left");
  EXPECT_EQ(reader.Read<uint8_t>("flag"), 3);
}

TEST(CheckedArithmeticTest, GivesNothingWhenTheResultDoesNotFit) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(CheckedMultiply(3, 4), 12);
  EXPECT_EQ(CheckedMultiply(kMax, 2), std::nullopt);
  EXPECT_EQ(CheckedMultiply(kMax, 0), 0);
  EXPECT_EQ(CheckedAdd(kMax, 0), kMax);
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedTruncate(-2.9), -2);
  EXPECT_EQ(CheckedTruncate(-0x1p63), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(CheckedTruncate(0x1p63), std::nullopt);
  EXPECT_EQ(CheckedTruncate(std::nan("")), std::nullopt);
}

// What nobody thought of checking (CMakeLists.txt).
TEST(CheckedArithmeticDeathTest, SumThatDoesNotFitEndsTheProgram) {
  volatile int64_t size = std::numeric_limits<int64_t>::max();
  EXPECT_DEATH(size = size + 1, "");
}

}  // namespace
}  // namespace tl
