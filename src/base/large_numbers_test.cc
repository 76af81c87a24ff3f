#include "base/large_numbers.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(LargeNumbers, BecomeReals) {
  EXPECT_EQ(WithLargeNumbersAsReals(
                R"({"a": 1000000000000000019884624838656, "b": -1234})"),
            R"({"a": 1000000000000000019884624838656.0, "b": -1234})");
  EXPECT_EQ(WithLargeNumbersAsReals("[-12345678901234567890]"),
            "[-12345678901234567890.0]");
}

TEST(LargeNumbers, OfStringsAndRealsStayAsTheyAre) {
  for (const char* text :
       {R"(["1000000000000000019884624838656", "a\"1234567890123456789012"])",
        "[0.1000000000000000055511151231257827, 12345678901234567890e3]",
        "[123456789012345678]", ""}) {
    EXPECT_EQ(WithLargeNumbersAsReals(text), text);
  }
}

}  // namespace
}  // namespace tl
