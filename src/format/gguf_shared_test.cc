// Real files that other people made: see format/test_files.h.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "format/config.h"
#include "format/diff.h"
#include "format/load.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {
namespace {

class SharedGgufTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(SharedModels())) {
      GTEST_SKIP() << SharedModels() << " is not on this machine";
    }
  }
  static std::string Path(const std::string& name) {
    return SharedModels() + "/" + name;
  }
  static std::string RefusalOf(const std::string& name) {
    return FailureOf([&] { LoadModel(Path(name)); });
  }
};

TEST_F(SharedGgufTest, PartsAreEqualToTheWhole) {
  const Model whole = LoadModel(Path("gguf/split/dummy.gguf"));
  const Model parts = LoadModel(Path("gguf/split/dummy-00001-of-00002.gguf"));
  const ModelDifference difference = Compare(whole, parts);
  EXPECT_GT(difference.same_tensors, 0);
  EXPECT_TRUE(difference.tensors.empty());
  EXPECT_EQ(difference.metadata, std::vector<std::string>());
}

TEST_F(SharedGgufTest, LoadsATrainedLlama) {
  const Model model = LoadModel(Path("gguf/stories260K/stories260K.gguf"));
  EXPECT_EQ(model.size(), 48);
  EXPECT_EQ(model.Get("token_embd.weight").shape,
            (std::vector<int64_t>{512, 64}));
  EXPECT_EQ(model.Get("blk.0.ffn_down.weight").shape,
            (std::vector<int64_t>{64, 172}));
  EXPECT_EQ(model.metadata().Text("general.architecture"), "llama");
  const MetadataArray tokens =
      model.metadata().Find("tokenizer.ggml.tokens")->array();
  EXPECT_EQ(tokens.size(), 512);
  EXPECT_EQ((*tokens.begin()).Text(), "<unk>");
}

// ggml packed these, and wrote what it unpacks them to.
TEST_F(SharedGgufTest, UnpacksToTheBitsOfGgml) {
  const Model model = LoadModel(Path("gguf/ktens-mnistmlp-64x512.gguf"));
  int types = 0;
  for (const TensorEntry& entry : model.tensors()) {
    if (!entry.name.starts_with("q.")) continue;
    const TensorEntry& expected = model.Get("dequant." + entry.name.substr(2));
    std::vector<float> values(entry.elements);
    Decode(*entry.dtype, entry.stored(), values);
    ASSERT_EQ(expected.bytes, entry.elements * int64_t{sizeof(float)});
    EXPECT_EQ(std::memcmp(values.data(), expected.data.get(), expected.bytes),
              0)
        << entry.name;
    ++types;
  }
  EXPECT_EQ(types, 14);
}

TEST_F(SharedGgufTest, GivesTheConfigurationOfATrainedLlama) {
  const Model model = LoadModel(Path("gguf/stories260K/stories260K.gguf"));
  std::string text;
  for (const ConfigField& field : ConfigOf(model)) {
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
      text += fmt::format("{}={} ", field.name, *number);
    }
  }
  EXPECT_EQ(text,
            "layers=5 dim=64 ffn=172 heads=8 kv_heads=4 head_dim=8 vocab=512 "
            "context=2048 ");
}

TEST_F(SharedGgufTest, LoadsVocabulariesWithoutTensors) {
  const Model model = LoadModel(Path("vocab/ggml-vocab-gpt-2.gguf"));
  EXPECT_EQ(model.size(), 0);
  EXPECT_EQ(model.files().size(), 1u);
  EXPECT_EQ(model.metadata().Find("tokenizer.ggml.tokens")->array().size(),
            50257);
}

TEST_F(SharedGgufTest, ReadsVersion1) {
  const Model model = LoadModel(Path("malformed/llama-vocab-gguf-v1.gguf"));
  EXPECT_EQ(model.format_version(), 1);
  const MetadataArray tokens =
      model.metadata().Find("tokenizer.ggml.tokens")->array();
  EXPECT_EQ(tokens.size(), 32000);
  EXPECT_EQ((*tokens.begin()).Text(), "<unk>");
}

TEST_F(SharedGgufTest, RefusesTheBrokenOnesByTheirNumbers) {
  const std::string kind = "malformed/bad_kv_type13_test_writer.gguf";
  EXPECT_EQ(
      RefusalOf(kind),
      Path(kind) + ": metadata 'dict1' has a value of the unknown kind 13");
  const std::string cut = "malformed/las7_truncated_tiny.gguf";
  EXPECT_EQ(RefusalOf(cut),
            Path(cut) +
                ": has 122 bytes, its tensors are to begin at byte "
                "128; the file is incomplete");
}

}  // namespace
}  // namespace tl
