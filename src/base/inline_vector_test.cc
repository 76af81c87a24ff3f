#include "base/inline_vector.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <vector>

namespace tl {
namespace {

using Ints = InlineVector<int64_t, 2>;
using Counted = std::shared_ptr<int>;
using Pointers = InlineVector<Counted, 2>;

TEST(InlineVector, HoldsMoreThanItHasRoomInside) {
  Ints ints;
  for (int64_t i = 0; i < 5; ++i) {
    ints.push_back(i);
    EXPECT_EQ(ints.back(), i);
  }
  EXPECT_EQ(ints, (Ints{0, 1, 2, 3, 4}));
  EXPECT_FALSE(ints == (Ints{0, 1, 2, 3}));
}

TEST(InlineVector, IsMadeOfAnyStretchOfItsElements) {
  const std::vector<int64_t> numbers = {7, 8, 9};
  EXPECT_EQ(Ints(numbers), (Ints{7, 8, 9}));
  EXPECT_EQ(Ints(std::span(numbers).first(1)), Ints{7});
  const std::vector<int> narrow = {1, 2};
  EXPECT_EQ(Ints(narrow.begin(), narrow.end()), (Ints{1, 2}));
}

TEST(InlineVector, InsertsBeforeAnElement) {
  Ints ints = {5, 6};
  ints.insert(ints.begin(), {1, 2});
  EXPECT_EQ(ints, (Ints{1, 2, 5, 6}));
  ints.insert(ints.begin() + 1, {9});
  EXPECT_EQ(ints, (Ints{1, 9, 2, 5, 6}));
}

TEST(InlineVector, LetsGoOfTheLast) {
  const auto counted = std::make_shared<int>(1);
  Pointers pointers = {counted, counted, counted};
  pointers.pop_back();
  EXPECT_EQ(pointers.size(), 2u);
  EXPECT_EQ(counted.use_count(), 3);
}

// Both where elements lie inside and where they do not.
TEST(InlineVector, CopiesAndMovesWhatItHolds) {
  for (size_t count : {size_t{1}, size_t{2}, size_t{3}}) {
    const Counted item = std::make_shared<int>(1);
    Pointers first;
    for (size_t i = 0; i < count; ++i) first.push_back(item);
    Pointers copy = first;
    EXPECT_EQ(item.use_count(), static_cast<long>(1 + 2 * count));
    Pointers moved = std::move(first);
    EXPECT_TRUE(first.empty());
    first.push_back(item);  // it is good for use again
    EXPECT_EQ(item.use_count(), static_cast<long>(2 + 2 * count));
    copy = std::move(moved);
    EXPECT_EQ(copy.size(), count);
    copy = copy;
    EXPECT_EQ(item.use_count(), static_cast<long>(2 + count));
    copy.clear();
    first = copy;
    EXPECT_EQ(item.use_count(), 1);
  }
}

}  // namespace
}  // namespace tl
