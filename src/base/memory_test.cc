#include "base/memory.h"

#include <gtest/gtest.h>

#include "base/failure_of.h"

namespace tl {
namespace {

class MemoryTest : public testing::Test {
 protected:
  MemoryTest() { most_memory_at_once = 100'000'000; }
  ~MemoryTest() override { most_memory_at_once = INT64_MAX; }
};

TEST_F(MemoryTest, ARequestThatCannotBeMetIsRefusedWithBothNumbers) {
  RequireMemory(99'000'000);
  EXPECT_EQ(FailureOf([] { RequireMemory(200'000'000); }),
            "out of memory: 200.0 MB needed, 100.0 MB available");
}

TEST_F(MemoryTest, ATextThatGrowsAsksFirst) {
  std::string text(60'000'000, 'a');
  text.shrink_to_fit();
  EXPECT_EQ(FailureOf([&] { AppendText(text, "b"); }),
            "out of memory: 120.0 MB needed, 100.0 MB available");
  EXPECT_EQ(text.size(), 60'000'000u);
  text = "a";
  AppendText(text, "bc");
  EXPECT_EQ(text, "abc");
}

}  // namespace
}  // namespace tl
