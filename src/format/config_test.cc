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
