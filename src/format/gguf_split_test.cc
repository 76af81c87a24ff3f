#include "format/gguf_split.h"

#include <gtest/gtest.h>

#include <optional>

#include "format/gguf_test_file.h"
#include "format/load.h"
#include "format/test_files.h"

namespace tl {
namespace {

class GgufSplitTest : public TempFolderTest {
 protected:
  // One tensor of one number.
  void Part(const std::string& file, const std::string& tensor,
            std::optional<uint16_t> number, uint16_t count, int32_t tensors) {
    GgufFile part;
    if (number) part.Key("split.no", 2, Raw(*number));
    part.Key("split.count", 2, Raw(count));
    part.Key("split.tensors.count", 5, Raw(tensors));
    part.Text("general.name", file);
    Make(file, part.Tensor(tensor, {1}, 0, 0).Data(tensor + "234").Bytes());
  }
  void ThreeParts() {
    Part("m-00001-of-00003.gguf", "a", 0, 3, 3);
    Part("m-00002-of-00003.gguf", "b", 1, 3, 3);
    Part("m-00003-of-00003.gguf", "c", 2, 3, 3);
  }
  std::string RefusalOf(const std::string& name) const {
    return FailureOf([&] { LoadModel(Path(name)); });
  }
};

TEST(GgufPartNameTest, IsTheEndOfTheName) {
  const auto name = FindGgufPartName("x/m-00002-of-00013.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->base, "x/m");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 13);
  EXPECT_EQ(name->path(), "x/m-00002-of-00013.gguf");
  for (const char* other :
       {"m.gguf", "m-00002-of-00013", "m-2-of-13.gguf", "m-0000x-of-00013.gguf",
        "m-00002_of-00013.gguf", "00002-of-00013.gguf", "-of-00013.gguf",
        ".gguf", ""}) {
    EXPECT_FALSE(FindGgufPartName(other)) << other;
  }
}

TEST_F(GgufSplitTest, TheFirstPartOpensTheWholeModel) {
  ThreeParts();
  const Model model = LoadModel(Path("m-00001-of-00003.gguf"));
  EXPECT_EQ(model.size(), 3);
  EXPECT_EQ(model.files().size(), 3u);
  EXPECT_EQ(model.Get("c").stored()[0], std::byte{'c'});
  // It is no part of anything any more.
  EXPECT_EQ(model.metadata().size(), 1);
  EXPECT_EQ(model.metadata().Text("general.name"), "m-00001-of-00003.gguf");
}

TEST_F(GgufSplitTest, ADirectoryHoldsOneModel) {
  ThreeParts();
  EXPECT_EQ(LoadModel(folder_).size(), 3);
  Make("other.gguf", GgufFile().Bytes());
  EXPECT_EQ(FailureOf([&] { LoadModel(folder_); }),
            folder_ +
                ": holds 2 models, such as 'm-00001-of-00003.gguf' and "
                "'other.gguf'; name one");
}

TEST_F(GgufSplitTest, ADirectoryWithOneFileIsThatFile) {
  Make("README.md", "x");
  Make("m.gguf", GgufFile().Text("general.name", "m").Bytes());
  const Model model = LoadModel(folder_);
  EXPECT_EQ(model.metadata().Text("general.name"), "m");
  EXPECT_EQ(model.path(), Path("m.gguf"));
}

TEST_F(GgufSplitTest, OtherPartsNameTheFirst) {
  ThreeParts();
  EXPECT_EQ(RefusalOf("m-00002-of-00003.gguf"),
            Path("m-00002-of-00003.gguf") +
                ": is part 2 of 3 of a model; open the first part, " +
                Path("m-00001-of-00003.gguf"));
  Part("odd.gguf", "a", 1, 3, 3);
  EXPECT_EQ(
      RefusalOf("odd.gguf"),
      Path("odd.gguf") + ": is part 2 of 3 of a model; open the first part");
  std::filesystem::remove(Path("odd.gguf"));
  std::filesystem::remove(Path("m-00001-of-00003.gguf"));
  EXPECT_EQ(FailureOf([&] { LoadModel(folder_); }),
            Path("m-00002-of-00003.gguf") +
                ": is part 2 of 3 of a model; open the first part, " +
                Path("m-00001-of-00003.gguf"));
}

TEST_F(GgufSplitTest, RefusesPartsThatDoNotBelongTogether) {
  ThreeParts();
  const std::string first = "m-00001-of-00003.gguf";
  Part("renamed.gguf", "a", 0, 3, 3);
  EXPECT_EQ(RefusalOf("renamed.gguf"),
            Path("renamed.gguf") +
                ": is the first of 3 parts of a model; the others are found "
                "only if its name ends in '-00001-of-00003.gguf'");
  Part("m-00003-of-00003.gguf", "c", 1, 3, 3);
  EXPECT_EQ(RefusalOf(first),
            Path("m-00003-of-00003.gguf") +
                ": says that it is part 2 of 3, not part 3 of 3 as its name "
                "does");
  Part("m-00003-of-00003.gguf", "c", 2, 4, 3);
  EXPECT_EQ(RefusalOf(first),
            Path("m-00003-of-00003.gguf") +
                ": says that it is part 3 of 4, not part 3 of 3 as its name "
                "does");
  Part("m-00003-of-00003.gguf", "c", std::nullopt, 3, 3);
  EXPECT_EQ(RefusalOf(first),
            Path("m-00003-of-00003.gguf") +
                ": says that it is part ? of 3, not part 3 of 3 as its name "
                "does");
  Part("m-00003-of-00003.gguf", "a", 2, 3, 3);
  EXPECT_EQ(RefusalOf(first), Path("m-00003-of-00003.gguf") +
                                  ": tensor 'a' is also in " + Path(first));
  std::filesystem::remove(Path("m-00003-of-00003.gguf"));
  EXPECT_EQ(RefusalOf(first),
            Path("m-00003-of-00003.gguf") +
                ": no such file or directory\nnote: " + Path(first) +
                " is the first of 3 parts of a model");
}

TEST_F(GgufSplitTest, CountsTheTensorsOfAllParts) {
  ThreeParts();
  Part("m-00001-of-00003.gguf", "a", 0, 3, 4);
  EXPECT_EQ(RefusalOf("m-00001-of-00003.gguf"),
            Path("m-00001-of-00003.gguf") +
                ": is to have 4 tensors in 3 parts, which have 3");
}

TEST_F(GgufSplitTest, RefusesANumberOfPartsThatIsNone) {
  GgufFile part;
  part.Text("split.count", "two");
  Make("m.gguf", part.Bytes());
  EXPECT_EQ(RefusalOf("m.gguf"),
            Path("m.gguf") +
                ": metadata 'split.count' is no number of parts, of which "
                "there are at most 99999");
}

TEST_F(GgufSplitTest, RefusesMorePartsThanCanBeCounted) {
  EXPECT_EQ(MetadataOfPart(Metadata(), {7, 65535, 65535}).Int("split.count"),
            65535);
  EXPECT_EQ(FailureOf([] {
              MetadataOfPart(Metadata(), {0, 65536, 65536});
            }),
            "a model of 65536 parts; GGUF counts at most 65535: use larger "
            "shards");
}

}  // namespace
}  // namespace tl
