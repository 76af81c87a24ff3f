#include "cli/line_editor.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(CommonBeginning, OfSeveralWords) {
  EXPECT_EQ(CommonBeginning({"softmax", "softplus"}), "soft");
  EXPECT_EQ(CommonBeginning({"relu"}), "relu");
  EXPECT_EQ(CommonBeginning({"a", "b"}), "");
  EXPECT_EQ(CommonBeginning({}), "");
}

TEST(CommonBeginning, CutsNoCharacter) {
  // é and è begin with the same byte.
  EXPECT_EQ(CommonBeginning({"caf\u00e9", "caf\u00e8"}), "caf");
}

TEST(InColumns, FillsTheWidthDownwards) {
  EXPECT_EQ(InColumns({"a", "bb", "ccc", "d", "e"}, 10),
            "a    d\n"
            "bb   e\n"
            "ccc\n");
  EXPECT_EQ(InColumns({"long name", "b"}, 5), "long name\nb\n");
}

TEST(InColumns, SaysHowManyAreNotShown) {
  const std::vector<std::string> words(201, "w");
  EXPECT_TRUE(InColumns(words, 80).ends_with("and 1 more\n"));
}

}  // namespace
}  // namespace tl
