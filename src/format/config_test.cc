#include "format/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace tl {
namespace {

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "config_test";
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Model ModelWith(const std::string& json) {
    std::ofstream(folder_ + "/config.json") << json;
    return Model(folder_ + "/model.safetensors", "SafeTensors");
  }

  static ConfigValue Field(const ModelConfig& config, std::string_view name) {
    for (const ConfigField& field : config) {
      if (field.name == name) return field.value;
    }
    ADD_FAILURE() << "no field " << name;
    return {};
  }

  std::string folder_;
};

TEST_F(ConfigTest, GivesTheNamesOfTransformersTheirCommonOnes) {
  const ModelConfig config = ConfigOf(ModelWith(
      R"({"model_type": "llama", "num_hidden_layers": 22, "hidden_size": 2048,
          "num_attention_heads": 32, "num_key_value_heads": 4,
          "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "vocab_size": 32000,
          "tie_word_embeddings": false, "sliding_window": null})"));
  EXPECT_EQ(Field(config, "arch"), ConfigValue("llama"));
  EXPECT_EQ(Field(config, "layers"), ConfigValue(int64_t{22}));
  EXPECT_EQ(Field(config, "kv_heads"), ConfigValue(int64_t{4}));
  EXPECT_EQ(Field(config, "head_dim"), ConfigValue(int64_t{64}));
  EXPECT_EQ(Field(config, "eps"), ConfigValue(1e-5));
  EXPECT_EQ(Field(config, "tied"), ConfigValue(false));
  EXPECT_EQ(Field(config, "window"), ConfigValue());
  EXPECT_EQ(Field(config, "context"), ConfigValue());
}

TEST_F(ConfigTest, IsAllAbsentWithoutTheFile) {
  const ModelConfig config =
      ConfigOf(Model(folder_ + "/model.safetensors", "SafeTensors"));
  EXPECT_EQ(Field(config, "arch"), ConfigValue());
}

Model GgufModel() {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  metadata.Set("general.architecture", "llama");
  metadata.Set("llama.block_count", MetadataValue::Of(uint32_t{22}));
  metadata.Set("llama.embedding_length", MetadataValue::Of(uint64_t{2048}));
  metadata.Set("llama.attention.head_count", MetadataValue::Of(32));
  metadata.Set("llama.attention.layer_norm_rms_epsilon",
               MetadataValue::Of(1e-5f));
  metadata.Set("llama.rope.freq_base", MetadataValue::Of(10000.0f));
  return model;
}

TEST_F(ConfigTest, GivesTheKeysOfGgufTheSameNames) {
  const ModelConfig config = ConfigOf(GgufModel());
  EXPECT_EQ(Field(config, "arch"), ConfigValue("llama"));
  EXPECT_EQ(Field(config, "layers"), ConfigValue(int64_t{22}));
  EXPECT_EQ(Field(config, "heads"), ConfigValue(int64_t{32}));
  EXPECT_EQ(Field(config, "kv_heads"), ConfigValue(int64_t{32}));
  EXPECT_EQ(Field(config, "head_dim"), ConfigValue(int64_t{64}));
  EXPECT_EQ(Field(config, "eps"), ConfigValue(1e-5));
  EXPECT_EQ(Field(config, "rope"), ConfigValue(10000.0));
  EXPECT_EQ(Field(config, "vocab"), ConfigValue());
  EXPECT_EQ(Field(config, "tied"), ConfigValue());
}

TEST_F(ConfigTest, NumbersOfLayersAreOneWhereAllAreTheSame) {
  Model model = GgufModel();
  const std::vector<uint32_t> same = {4, 4, 4};
  const std::vector<int32_t> different = {4, 8};
  model.metadata().Set("llama.attention.head_count_kv",
                       MetadataValue::Numbers<uint32_t>(same));
  model.metadata().Set("llama.feed_forward_length",
                       MetadataValue::Numbers<int32_t>(different));
  const ModelConfig config = ConfigOf(model);
  EXPECT_EQ(Field(config, "kv_heads"), ConfigValue(int64_t{4}));
  EXPECT_EQ(Field(config, "ffn"), ConfigValue(std::vector<int64_t>{4, 8}));
}

TEST_F(ConfigTest, TheTensorsTellWhatIsTiedAndHowManyTokensThereAre) {
  Model model = GgufModel();
  const std::vector<std::string> tokens = {"a", "b", "c"};
  model.metadata().Set("tokenizer.ggml.tokens", MetadataValue::Strings(tokens));
  EXPECT_EQ(Field(ConfigOf(model), "vocab"), ConfigValue(int64_t{3}));
  model.Set("token_embd.weight", MakeTensor(DType::F16, {4, 8}));
  EXPECT_EQ(Field(ConfigOf(model), "vocab"), ConfigValue(int64_t{4}));
  EXPECT_EQ(Field(ConfigOf(model), "tied"), ConfigValue(true));
  model.Set("output.weight", MakeTensor(DType::F16, {4, 8}));
  EXPECT_EQ(Field(ConfigOf(model), "tied"), ConfigValue(false));
}

TEST_F(ConfigTest, PrefersTheMetadataOfGgufAndOtherwiseTheFile) {
  ModelWith(R"({"model_type": "mistral"})");
  Model gguf = GgufModel();
  Model beside(folder_ + "/m.gguf", "GGUF");
  beside.metadata() = gguf.metadata();
  EXPECT_EQ(Field(ConfigOf(beside), "arch"), ConfigValue("llama"));
  Model converted(folder_ + "/model.safetensors", "SafeTensors");
  converted.metadata() = gguf.metadata();
  EXPECT_EQ(Field(ConfigOf(converted), "arch"), ConfigValue("mistral"));
  std::filesystem::remove(folder_ + "/config.json");
  EXPECT_EQ(Field(ConfigOf(converted), "arch"), ConfigValue("llama"));
}

TEST_F(ConfigTest, RefusesAConfigThatIsNoObject) {
  const Model model = ModelWith("[1]");
  try {
    ConfigOf(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.text(), model.Label() + ": its config.json is not a JSON object");
  }
}

}  // namespace
}  // namespace tl
