#include "cli/table.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

using Align = Table::Align;

TEST(Table, AlignsColumnsAndLeavesNoBlanksAtTheEnd) {
  Table table({{"name"}, {"bytes", Align::kRight}, {"note"}});
  table.AddRow({"fc1.weight", "8", ""});
  table.AddRow({"b", "1024", "odd"});
  EXPECT_EQ(table.ToString(),
            "name        bytes  note\n"
            "fc1.weight      8\n"
            "b            1024  odd\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({{"n"}, {"x"}});
  table.AddRow({"\u00e9\u00e9", "1"});
  table.AddRow({"ab", "2"});
  EXPECT_EQ(table.ToString(), "n   x\n\u00e9\u00e9  1\nab  2\n");
}

TEST(Table, AVeryLongCellDoesNotWidenItsColumn) {
  Table table({{"n"}, {"x"}});
  const std::string name(Table::kMaxWidth + 1, 'n');
  table.AddRow({name, "1"});
  table.AddRow({"ab", "2"});
  EXPECT_EQ(table.ToString(), "n   x\n" + name + "  1\nab  2\n");
}

TEST(PrintableCut, SaysHowMuchThereIs) {
  EXPECT_EQ(PrintableCut("abcdef", 6), "abcdef");
  EXPECT_EQ(PrintableCut("\u00e9\u00e9\u00e9\u00e9", 2),
            "\u00e9\u00e9... (4 characters)");
}

TEST(WithSeparators, GroupsThousands) {
  EXPECT_EQ(WithSeparators(0), "0");
  EXPECT_EQ(WithSeparators(999), "999");
  EXPECT_EQ(WithSeparators(1000), "1,000");
  EXPECT_EQ(WithSeparators(7241732096), "7,241,732,096");
  EXPECT_EQ(WithSeparators(-123456), "-123,456");
}

TEST(ShortCount, HasThreeDigits) {
  EXPECT_EQ(ShortCount(999), "999");
  EXPECT_EQ(ShortCount(2986), "2.99 K");
  EXPECT_EQ(ShortCount(9995), "10.0 K");
  EXPECT_EQ(ShortCount(999500), "1.00 M");
  EXPECT_EQ(ShortCount(124439808), "124 M");
  EXPECT_EQ(ShortCount(7241732096), "7.24 B");
}

}  // namespace
}  // namespace tl
