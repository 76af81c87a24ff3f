#include "format/model_files.h"

#include "format/test_files.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class ModelFilesTest : public TempFolderTest {
 protected:
  // Relative to the test's folder, sorted.
  Names FilesOf(const std::string& name) {
    Names files;
    for (const std::string& file : FilesOfModel(Path(name))) {
      files.push_back(fs::path(file).lexically_relative(folder_).string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
};

TEST_F(ModelFilesTest, AFolderIsItsOwnFiles) {
  fs::create_directory(Path("m"));
  Make("m/config.json", "{}");
  EXPECT_EQ(FilesOf("m"), Names{"m"});
}

TEST_F(ModelFilesTest, AFileHasWhatLiesBesideItAndNothingElse) {
  for (const char* name : {"m.safetensors", "n.safetensors", "config.json",
                           "tokenizer.json", "id_rsa", "weights"}) {
    Make(name, "x");
  }
  fs::create_directory(Path("additional_chat_templates"));
  EXPECT_EQ(FilesOf("m.safetensors"),
            (Names{"additional_chat_templates", "config.json", "m.safetensors",
                   "tokenizer.json"}));
}

TEST_F(ModelFilesTest, AnIndexHasItsShards) {
  Make("a.safetensors", "x");
  Make("b.safetensors", "x");
  Make("m.safetensors.index.json",
       "{\"weight_map\":{\"t\":\"a.safetensors\",\"u\":\"gone.safetensors\"}}");
  EXPECT_EQ(FilesOf("m.safetensors.index.json"),
            (Names{"a.safetensors", "m.safetensors.index.json"}));
  Make("m.safetensors.index.json",
       "{\"weight_map\":{\"t\":\"../a.safetensors\"}}");
  EXPECT_EQ(FilesOf("m.safetensors.index.json"),
            Names{"m.safetensors.index.json"});
}

TEST_F(ModelFilesTest, APartHasTheOthers) {
  for (const char* name :
       {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
        "m-00003-of-00003.gguf", "m-00001-of-00002.gguf", "m.gguf"}) {
    Make(name, "x");
  }
  EXPECT_EQ(FilesOf("m-00001-of-00003.gguf"),
            (Names{"m-00001-of-00003.gguf", "m-00001-of-00003.gguf",
                   "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}));
  EXPECT_EQ(FilesOf("m.gguf"), Names{"m.gguf"});
}

TEST_F(ModelFilesTest, LinksOutOfTheFolderDoNotBelongToIt) {
  fs::create_directory(Path("m"));
  Make("secret", "x");
  Make("m/m.gguf", "x");
  Make("m/real.json", "x");
  fs::create_symlink("../secret", Path("m/tokenizer.json"));
  fs::create_symlink("real.json", Path("m/config.json"));
  EXPECT_EQ(FilesOf("m/m.gguf"), (Names{"m/config.json", "m/m.gguf"}));
}

TEST_F(ModelFilesTest, TheHubsCacheHasItsBlobs) {
  fs::create_directories(Path("m/snapshots/0a"));
  fs::create_directories(Path("m/blobs"));
  Make("m/blobs/1", "x");
  fs::create_symlink("../../blobs/1", Path("m/snapshots/0a/config.json"));
  fs::create_symlink("../../blobs/1", Path("m/snapshots/0a/m.safetensors"));
  EXPECT_EQ(FilesOf("m/snapshots/0a"),
            (Names{"m/blobs", "m/snapshots/0a"}));
  EXPECT_EQ(FilesOf("m/snapshots/0a/m.safetensors"),
            (Names{"m/snapshots/0a/config.json",
                   "m/snapshots/0a/m.safetensors"}));
}

TEST_F(ModelFilesTest, AnMlModelHasItsWeights) {
  fs::create_directory(Path("weights"));
  Make("m.mlmodel", "x");
  EXPECT_EQ(FilesOf("m.mlmodel"), (Names{"m.mlmodel", "weights"}));
}

}  // namespace
}  // namespace tl
