#include "cuda/address_set.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace tl::cuda {
namespace {

TEST(AddressSet, AgreesWithAMarkOnEachByte) {
  constexpr int kBytes = 200;
  const std::array<std::byte, kBytes + 1> memory = {};
  std::mt19937 random(3);
  AddressSet set;
  std::array<bool, kBytes> marked = {};
  const auto some = [&](int most) {
    const auto begin = static_cast<int>(random() % (kBytes - most));
    return std::pair(begin, begin + 1 + static_cast<int>(random() % most));
  };
  for (int round = 0; round < 2000; ++round) {
    if (round % 40 == 0) {
      set.clear();
      marked = {};
    }
    const auto [begin, end] = some(12);
    set.Insert(&memory[begin], &memory[end]);
    std::fill(marked.begin() + begin, marked.begin() + end, true);
    const auto [from, to] = some(9);
    const auto first = marked.begin() + from, last = marked.begin() + to;
    EXPECT_EQ(set.Meets(&memory[from], &memory[to]),
              std::find(first, last, true) != last);
    EXPECT_EQ(set.Covers(&memory[from], &memory[to]),
              std::find(first, last, false) == last);
    const auto [without, behind] = some(5);
    set.Remove(&memory[without], &memory[behind]);
    std::fill(marked.begin() + without, marked.begin() + behind, false);
  }
}

TEST(AddressSet, HasWhatIsLeftOnBothSidesOfWhatWasRemoved) {
  const std::array<std::byte, 31> memory = {};
  AddressSet set;
  set.Insert(&memory[0], &memory[30]);
  set.Remove(&memory[10], &memory[20]);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.Covers(&memory[0], &memory[10]));
  EXPECT_TRUE(set.Covers(&memory[20], &memory[30]));
  EXPECT_FALSE(set.Meets(&memory[10], &memory[20]));
  EXPECT_FALSE(set.Covers(&memory[9], &memory[21]));
}

TEST(AddressSet, JoinsRangesThatTouch) {
  const std::array<std::byte, 31> memory = {};
  AddressSet set;
  set.Insert(&memory[0], &memory[10]);
  set.Insert(&memory[20], &memory[30]);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_FALSE(set.Meets(&memory[10], &memory[20]));
  set.Insert(&memory[10], &memory[20]);
  EXPECT_EQ(set.size(), 1u);
  set.Insert(&memory[5], &memory[6]);
  EXPECT_EQ(set.size(), 1u);
}

}  // namespace
}  // namespace tl::cuda
