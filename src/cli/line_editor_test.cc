#include "cli/line_editor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

TEST(LineEditor, ReplacesItsHistoryInOneStep) {
  std::string folder = testing::TempDir() + "tl_history_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/history", old = folder + "/old";
  const std::string link = folder + "/link";
  std::ofstream(file) << "_HiStOrY_V2_\nbefore\n";
  fs::create_hard_link(file, old);
  fs::create_symlink(file, link);
  {
    LineEditor editor(link, [](std::string_view) { return Completion(); });
    editor.AddToHistory("sum(x)");
  }
  EXPECT_EQ(ReadTextFile(file, 100), "_HiStOrY_V2_\nbefore\nsum(x)\n");
  EXPECT_EQ(ReadTextFile(old, 100), "_HiStOrY_V2_\nbefore\n");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 3);
  fs::remove_all(folder);
}

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
