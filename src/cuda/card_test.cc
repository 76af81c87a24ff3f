// The tests of this room need a card, real or emulated: without one only
// Card.IsThere is run, which says why there is none.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <vector>

#include "cuda/runtime.h"

int main(int argc, char** argv) {
  setenv("TL_EMULATED_GPU", "1", 1);
  testing::InitGoogleTest(&argc, argv);
  if (!tl::cuda::FindCard().available) GTEST_FLAG_SET(filter, "Card.IsThere");
  return RUN_ALL_TESTS();
}

namespace tl::cuda {
namespace {

TEST(Card, IsThere) {
  if (!FindCard().available) GTEST_SKIP() << "no GPU: " << FindCard().why;
}

TEST(Card, SaysWhatItIs) {
  EXPECT_FALSE(Card().name.empty());
  EXPECT_GE(Card().capability, 75);
  EXPECT_GT(Card().multiprocessors, 0);
  EXPECT_GT(FreeMemory(), 0);
}

TEST(Card, CopiesThereAndBack) {
  const int64_t before = PlacedBytes();
  std::vector<std::byte> bytes(300000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 7);
  const auto size = static_cast<int64_t>(bytes.size());
  const auto first = Allocate(size), second = Allocate(size);
  EXPECT_GE(PlacedBytes(), before + 2 * size);
  CopyToDevice(first.get(), bytes.data(), size);
  Fill(second.get(), 1, size);
  CopyOnDevice(second.get() + 1000, first.get() + 1000, size - 2000);
  std::vector<std::byte> got(bytes.size());
  CopyFromDevice(got.data(), second.get(), size);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool copied = i >= 1000 && i < bytes.size() - 1000;
    ASSERT_EQ(got[i], copied ? bytes[i] : std::byte{1}) << i;
  }
}

// Also of marks that are long gone, and of more bytes than are copied aside.
TEST(Card, CopiesWhatIsDoneAtAMark) {
  for (const int64_t size : {1, 4, 4096, 5 << 20}) {
    const auto block = Allocate(size);
    Fill(block.get(), 3, size);
    const uint64_t first = MarkWork();
    std::vector<std::byte> got(size);
    for (int i = 0; i < 200; ++i) {
      Fill(Allocate(size).get(), i, size);
      const uint64_t mark = MarkWork();
      EXPECT_EQ(mark, first + i + 1);
      if (i % 50 != 0) continue;
      got.assign(size, std::byte{9});
      CopyWhenDone(got.data(), block.get(), size, first);
      EXPECT_EQ(got, std::vector<std::byte>(size, std::byte{3}));
      CopyWhenDone(got.data(), block.get(), size, mark);
    }
    Synchronize();
    CopyWhenDone(got.data(), block.get(), size, 0);
    EXPECT_EQ(got, std::vector<std::byte>(size, std::byte{3}));
  }
}

TEST(Card, CopiesNothingOfNothing) {
  CopyWhenDone(nullptr, nullptr, 0, MarkWork());
  EXPECT_TRUE(IsDone());
}

}  // namespace
}  // namespace tl::cuda
