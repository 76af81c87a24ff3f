#include "cpu/unpack.h"

#include "cpu/kernel_test.h"
#include "cpu/packed_test.h"
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
