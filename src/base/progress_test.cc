#include "base/progress.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(ProgressTest, ShowsPartAndAmounts) {
  EXPECT_EQ(ProgressLine("saving m", 1'100'000'000, 2'200'000'000, 79),
            "saving m  [###############               ]   50 %  1.1 of 2.2 GB");
}

TEST(ProgressTest, ANarrowTerminalGetsThePartOnly) {
  EXPECT_EQ(ProgressLine("saving m", 0, 10, 20), "0 %");
  EXPECT_EQ(ProgressLine("saving m", 10, 10, 2), "10");
  EXPECT_EQ(ProgressLine("saving m", 0, 0, 20), "100 %");
}

TEST(ProgressTest, PrintsNothingWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("saving m", 10);
    progress.Advance(10);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace tl
