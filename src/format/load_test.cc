#include "format/load.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "format/test_files.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

// A file with one U8 tensor for each name, of one byte.
std::string FileOf(const std::vector<std::string>& names,
                   const std::string& bytes) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  for (size_t i = 0; i < names.size(); ++i) {
    header += fmt::format(
        ",\"{}\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[{},{}]}}",
        names[i], i, i + 1);
  }
  return SafeTensorsFile(header + "}", bytes);
}

class LoadTest : public TempFolderTest {
 protected:
  std::string RefusalOf(const std::string& path) {
    return FailureOf([&] { LoadModel(path); });
  }
  // What is said about a file with this content, without its path.
  std::string Named(const std::string& content) {
    const std::string path = Make("file", content);
    const std::string text = RefusalOf(path);
    EXPECT_TRUE(text.starts_with(path + ": ")) << text;
    return text.substr(std::min(text.size(), path.size() + 2));
  }
  std::string MakeIndex(const std::string& weight_map) {
    return Make("model.safetensors.index.json",
                "{\"metadata\":{\"total_size\":3,\"x\":[1.5]},\n"
                "\"weight_map\":" +
                    weight_map + "}\n");
  }
};

char ByteOf(const Model& model, const std::string& name) {
  return static_cast<char>(model.Get(name).stored()[0]);
}

TEST_F(LoadTest, NamesOtherPeoplesFiles) {
  EXPECT_EQ(Named("version https://git-lfs.github.com/spec/v1\noid sha256:4d7\n"
                  "size 123\n"),
            "is a git-lfs pointer, not the model; 'git lfs pull' fetches it");
  const std::string html =
      "is an HTML page, not a model; perhaps a download that failed";
  EXPECT_EQ(Named("<!DOCTYPE html><title>404</title>"), html);
  EXPECT_EQ(Named("\n <HTML><body>not found"), html);
  EXPECT_EQ(Named("PK\x03\x04\x14\0\0\0"s),
            "is a zip archive, as PyTorch's .pt and NumPy's .npz are; save the "
            "model with safetensors.torch.save_file");
  EXPECT_EQ(Named("\x1f\x8b\x08\0\0\0\0\0\0"s),
            "is compressed with gzip; unpack it first");
  EXPECT_EQ(Named("\x80\x02\x8a\nl\xfc\x9c\x46\xf9"),
            "is a Python pickle, which can run code when it is read; save the "
            "model with safetensors.torch.save_file");
  EXPECT_EQ(Named("\x93NUMPY\1\0v\0"s),
            "is a NumPy array, which this build does not read");
  EXPECT_EQ(Named(std::string(100'000, '\0')),
            "begins with 4096 zero bytes; a download or a save was "
            "interrupted");
  EXPECT_EQ(Named("{\"architectures\":[\"LlamaForCausalLM\"]}"),
            "is a JSON file, not a model");
}

TEST_F(LoadTest, AFileThatIsCalledGgufIsNoBrokenSafeTensors) {
  const std::string path = Make("m.gguf", "GGU");
  EXPECT_EQ(RefusalOf(path),
            path + ": does not begin with 'GGUF', as GGUF files do");
}

TEST_F(LoadTest, RefusesAPathWithNothingThere) {
  EXPECT_EQ(RefusalOf(Path("none")),
            Path("none") + ": no such file or directory");
}

TEST_F(LoadTest, ADirectoryIsItsModelFile) {
  Make("config.json", "{\"model_type\":\"llama\"}");
  Make("adapter.safetensors", FileOf({"z"}, "z"));
  Make("model.safetensors", FileOf({"a"}, "a"));
  const Model model = LoadModel(folder_);
  ASSERT_EQ(model.size(), 1);
  EXPECT_EQ(ByteOf(model, "a"), 'a');
  EXPECT_EQ(model.path(), folder_);
  EXPECT_EQ(model.ConfigJson(), "{\"model_type\":\"llama\"}");
  EXPECT_EQ(LoadModel(Path("model.safetensors")).ConfigJson(),
            "{\"model_type\":\"llama\"}");
}

TEST_F(LoadTest, ADirectoryWithoutTheUsualNamesIsAllOfItsFiles) {
  Make("two.safetensors", FileOf({"c"}, "c"));
  Make("one.safetensors", FileOf({"a", "b"}, "ab"));
  Make(".tl-1-0.partial", "x");
  const Model model = LoadModel(folder_);
  EXPECT_EQ(model.size(), 3);
  EXPECT_EQ(ByteOf(model, "c"), 'c');
  EXPECT_EQ(model.files().size(), 2u);
  EXPECT_EQ(model.ConfigJson(), std::nullopt);

  Make("zzz.safetensors", FileOf({"b"}, "x"));
  EXPECT_EQ(RefusalOf(folder_), folder_ + ": tensor 'b' is in both " +
                                    Path("one.safetensors") + " and " +
                                    Path("zzz.safetensors"));
}

TEST_F(LoadTest, RefusesADirectoryWithoutAModel) {
  EXPECT_EQ(RefusalOf(folder_), folder_ + ": holds no .safetensors or .gguf file");
}

TEST_F(LoadTest, AnIndexBringsItsFilesTogether) {
  Make("model-00001-of-00002.safetensors", FileOf({"a", "b"}, "ab"));
  Make("model-00002-of-00002.safetensors", FileOf({"c"}, "c"));
  const std::string index = MakeIndex(
      "{\"a\":\"model-00001-of-00002.safetensors\","
      "\"b\":\"model-00001-of-00002.safetensors\","
      "\"c\":\"model-00002-of-00002.safetensors\"}");
  for (const std::string& path : {index, folder_}) {
    const Model model = LoadModel(path);
    EXPECT_EQ(model.size(), 3);
    EXPECT_EQ(ByteOf(model, "b"), 'b');
    EXPECT_EQ(ByteOf(model, "c"), 'c');
    EXPECT_EQ(model.metadata().Text("format"), "pt");
    EXPECT_TRUE(model.notes().empty());
    EXPECT_EQ(model.path(), path);
  }
}

TEST_F(LoadTest, AFileOfTheIndexThatIsMissingIsNamed) {
  Make("a.safetensors", FileOf({"a"}, "a"));
  const std::string index =
      MakeIndex("{\"a\":\"a.safetensors\",\"c\":\"c.safetensors\"}");
  EXPECT_EQ(RefusalOf(folder_), Path("c.safetensors") +
                                    ": no such file or directory\nnote: the "
                                    "index " +
                                    index + " has tensor 'c' there");
}

TEST_F(LoadTest, ATensorThatItsFileDoesNotHaveIsNamed) {
  Make("a.safetensors", FileOf({"a"}, "a"));
  const std::string index =
      MakeIndex("{\"a\":\"a.safetensors\",\"b\":\"a.safetensors\"}");
  EXPECT_EQ(RefusalOf(index),
            index +
                ": tensor 'b' is not in 'a.safetensors', where the index "
                "has it");
}

TEST_F(LoadTest, TensorsThatTheIndexForgotAreKeptWithANote) {
  Make("a.safetensors", FileOf({"a", "forgotten", "b"}, "af-"));
  Make("b.safetensors", FileOf({"b"}, "b"));
  MakeIndex("{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}");
  const Model model = LoadModel(folder_);
  EXPECT_EQ(ByteOf(model, "forgotten"), 'f');
  EXPECT_EQ(ByteOf(model, "b"), 'b');
  EXPECT_EQ(model.notes(),
            (std::vector<std::string>{
                "1 of the tensors are not in the index, such as 'forgotten'",
                "1 tensors are left out: the index has them in another file"}));
}

TEST_F(LoadTest, RefusesShardNamesThatLeadElsewhere) {
  for (const std::string name :
       {"../secret.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..",
        "", ".safetensors", "passwd", "a.safetensors.txt"}) {
    const std::string index = MakeIndex("{\"a\":\"" + name + "\"}");
    EXPECT_EQ(RefusalOf(index),
              index + ": '" + name +
                  "' cannot be a shard: it must be the plain name of a "
                  ".safetensors file beside the index");
  }
}

TEST_F(LoadTest, RefusesShardsThatAreLinksOutOfTheFolder) {
  fs::create_directory(Path("elsewhere"));
  fs::create_directory(Path("model"));
  Make("elsewhere/a.safetensors", FileOf({"a"}, "a"));
  fs::create_symlink("../elsewhere/a.safetensors",
                     Path("model/a.safetensors"));
  const std::string index = Make("model/model.safetensors.index.json",
                                 "{\"weight_map\":{\"a\":\"a.safetensors\"}}");
  EXPECT_EQ(RefusalOf(index), index + ": 'a.safetensors' leads out of the model");
  EXPECT_EQ(RefusalOf(Path("model")),
            index + ": 'a.safetensors' leads out of the model");
  fs::remove(Path("model/a.safetensors"));
  Make("model/b", FileOf({"a"}, "b"));
  fs::create_symlink("b", Path("model/a.safetensors"));
  EXPECT_EQ(ByteOf(LoadModel(index), "a"), 'b');
}

TEST_F(LoadTest, RefusesAnIndexThatIsBroken) {
  Make("a.safetensors", FileOf({"a"}, "a"));
  std::string index =
      MakeIndex("{\"a\":\"a.safetensors\",\"\\u0061\":\"a.safetensors\"}");
  EXPECT_EQ(RefusalOf(index), index + ": tensor 'a' is there twice");
  index = MakeIndex("{},\"weight_map\":{}");
  EXPECT_EQ(RefusalOf(index), index + ": 'weight_map' is there twice");
  index = MakeIndex("{\"a\":7}");
  EXPECT_EQ(RefusalOf(index), index + ": the file of tensor 'a' is not a text");
  index =
      Make("model.safetensors.index.json", "{\"x\":\"\\\"weight_map\\\"\"}");
  EXPECT_EQ(RefusalOf(index), index + ": is a JSON file, not a model");
}

TEST_F(LoadTest, FollowsLinksAsTheHubCacheHasThem) {
  fs::create_directories(Path("blobs"));
  fs::create_directories(Path("snapshots/abc"));
  Make("blobs/1234", FileOf({"a"}, "a"));
  fs::create_symlink("../../blobs/1234",
                     Path("snapshots/abc/model.safetensors"));
  EXPECT_EQ(ByteOf(LoadModel(Path("snapshots/abc")), "a"), 'a');
  const std::string index =
      Make("snapshots/abc/model.safetensors.index.json",
           "{\"weight_map\":{\"a\":\"model.safetensors\"}}");
  EXPECT_EQ(ByteOf(LoadModel(index), "a"), 'a');
}

TEST_F(LoadTest, AModelKnowsWhenItsFileShrinks) {
  const std::string path = Make("m", FileOf({"a", "b"}, "ab"));
  const Model model = LoadModel(path);
  const auto size = fs::file_size(path);
  model.CheckIntact();
  fs::resize_file(path, size - 1);
  EXPECT_EQ(FailureOf([&] { model.CheckIntact(); }),
            fmt::format("{}: shrank from {} to {} bytes while it was in use",
                        path, size, size - 1));
}

// Models of other people, where they are.
class SharedModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(SharedModels())) {
      GTEST_SKIP() << SharedModels() << " is not on this machine";
    }
  }
  static std::string Path(const std::string& name) {
    return SharedModels() + "/" + name;
  }
};

TEST_F(SharedModelsTest, LoadsATrainedNetwork) {
  const Model model = LoadModel(Path("safetensors/mnist_cnn.safetensors"));
  EXPECT_EQ(model.size(), 20);
  int floats = 0, integers = 0;
  for (const TensorEntry& entry : model.tensors()) {
    floats += entry.dtype == DType::F32;
    integers += entry.dtype == DType::I64;
  }
  EXPECT_EQ(floats, 18);
  EXPECT_EQ(integers, 2);
}

TEST_F(SharedModelsTest, LoadsEveryTypeOfTheFormat) {
  for (const auto& file : fs::directory_iterator(Path("safetensors/dtypes"))) {
    if (file.path().extension() != ".safetensors") continue;
    const Model model = LoadModel(file.path());
    EXPECT_GT(model.size(), 0) << file.path();
    for (const TensorEntry& entry : model.tensors()) {
      EXPECT_TRUE(entry.dtype) << file.path() << " " << entry.name;
    }
  }
}

TEST_F(SharedModelsTest, LoadsADirectoryOfTheHub) {
  const Model model = LoadModel(Path("safetensors/model2vec-f16"));
  EXPECT_GT(model.size(), 0);
  EXPECT_TRUE(model.ConfigJson());
}

TEST_F(SharedModelsTest, RefusesTheBrokenOnesByTheirNumbers) {
  const std::string trailing =
      Path("malformed/las7_trailing5_tiny.safetensors");
  EXPECT_EQ(FailureOf([&] { LoadModel(trailing); }),
            trailing + ": has 32773 data bytes, its tensors need only 32768");
}

}  // namespace
}  // namespace tl
