#include "cpu/unpack.h"

#include "kernel_tests/kernel_test.h"
#include "kernel_tests/packed_test.h"
#include "tensor/decode.h"

namespace tl::cpu {
namespace {

class UnpackTest : public testing::TestWithParam<DType> {};

TEST_P(UnpackTest, AgreesBitForBitWithTheScalarDecoder) {
  const DType dtype = GetParam();
  for (int64_t blocks : {1, 2, 3, 5, 33}) {
    const int64_t count = blocks * Info(dtype).block_elements;
    const auto stored = RandomBlocks(dtype, count, uint32_t(blocks));
    std::vector<float> want(count);
    Decode(dtype, stored, want);
    ForEachTarget([&] {
      std::vector<float> got(count);
      PackedReaderOf(dtype).Decode(stored.data(), count, got.data());
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(std::bit_cast<uint32_t>(got[i]),
                  std::bit_cast<uint32_t>(want[i]))
            << "element " << i << " is " << got[i] << ", not " << want[i];
      }
    });
  }
}

TEST_P(UnpackTest, DecodeRoundsOnceToF16) {
  const DType dtype = GetParam();
  const int64_t columns = 3 * kMaxBlock, rows = 5;
  const auto stored = RandomBlocks(dtype, rows * columns, 7);
  std::vector<double> want(rows * columns);
  Decode(dtype, stored, want);
  ForEachTarget([&] {
    const TestArray y = Poisoned(DType::F16, {rows, columns});
    Call(Decode, {PackedArray(dtype, {rows, columns}, stored)}, {y});
    ExpectClose(y, want, 0.5);
  });
}

// One block far too large for f16, one too small, one that is neither.
TEST(UnpackTest, DecodeCountsWhatIsLostAsF16) {
  std::vector<std::byte> stored(3 * 34, std::byte{1});
  const uint16_t scales[] = {DoubleToHalf(65504), DoubleToHalf(0x1p-24),
                             DoubleToHalf(1)};
  for (int i = 0; i < 3; ++i) {
    std::memcpy(stored.data() + 34 * i, &scales[i], sizeof(uint16_t));
  }
  stored[2] = std::byte{2};       // 131008
  stored[34 + 2] = std::byte{0};  // zero is no loss
  ForEachTarget([&] {
    const TestArray w = PackedArray(DType::Q8_0, {1, 96}, stored);
    const TestArray y = Poisoned(DType::F16, {1, 96});
    const View input = w.AsView(), output = y.AsView();
    DecodeCounts counts;
    KernelArgs args;
    args.inputs = {&input, 1};
    args.outputs = {&output, 1};
    args.counts = &counts;
    Decode(args);
    EXPECT_EQ(counts.overflowed, 1);
    EXPECT_EQ(counts.flushed, 0);
    EXPECT_EQ(counts.nan, 0);
    EXPECT_TRUE(std::isinf(y.Get(0)));
    EXPECT_EQ(y.Get(1), 65504);
    EXPECT_EQ(y.Get(33), 0x1p-24);
  });
}

TEST_P(UnpackTest, IndexSelectDecodesTheRowsAskedFor) {
  const DType dtype = GetParam();
  const int64_t columns = 5 * kMaxBlock, rows = 7;
  const auto stored = RandomBlocks(dtype, rows * columns, 8);
  std::vector<double> values(rows * columns);
  Decode(dtype, stored, values);
  const TestArray index = ArrayOf(DType::I32, {3}, {6, 0, -2});
  std::vector<double> want;
  for (int64_t row : {6, 0, 5}) {
    want.insert(want.end(), values.begin() + row * columns,
                values.begin() + (row + 1) * columns);
  }
  ForEachTarget([&] {
    const TestArray y = Poisoned(DType::F16, {3, columns});
    Call(IndexSelect, {PackedArray(dtype, {rows, columns}, stored), index}, {y},
         {0});
    ExpectClose(y, want, 0.5);
  });
}

INSTANTIATE_TEST_SUITE_P(All, UnpackTest, testing::ValuesIn(PackedDTypes()),
                         [](const auto& info) {
                           return std::string(Info(info.param).name);
                         });

}  // namespace
}  // namespace tl::cpu
