#include "format/config.h"

#include <fmt/format.h>
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

using Windows = std::vector<int64_t>;

TEST_F(ConfigTest, EachLayerHasItsWindow) {
  const auto windows = [&](const std::string& json) {
    return Field(ConfigOf(ModelWith(json)), "windows");
  };
  const std::string sizes =
      R"("num_hidden_layers": 4, "sliding_window": 9)";
  EXPECT_EQ(windows(R"({"model_type": "llama", "num_hidden_layers": 2})"),
            ConfigValue(Windows{0, 0}));
  EXPECT_EQ(windows(R"({"model_type": "mistral", "num_hidden_layers": 2,
                        "sliding_window": null})"),
            ConfigValue(Windows{0, 0}));
  EXPECT_EQ(windows(R"({"model_type": "mistral", )" + sizes + "}"),
            ConfigValue(Windows{9, 9, 9, 9}));
  EXPECT_EQ(windows(R"({"model_type": "gemma2", )" + sizes + "}"),
            ConfigValue(Windows{9, 0, 9, 0}));
  EXPECT_EQ(windows(R"({"model_type": "gemma3_text", )" + sizes + "}"),
            ConfigValue(Windows{9, 9, 9, 9}));
  EXPECT_EQ(windows(R"({"model_type": "gemma3_text",
                        "sliding_window_pattern": 3, )" + sizes + "}"),
            ConfigValue(Windows{9, 9, 0, 9}));
  EXPECT_EQ(windows(R"({"model_type": "x", "layer_types": ["full_attention",
      "sliding_attention", "full_attention", "full_attention"], )" + sizes + "}"),
            ConfigValue(Windows{0, 9, 0, 0}));
}

TEST_F(ConfigTest, AWindowThatTransformersDoesNotReadIsNone) {
  for (const char* name : {"llama", "gemma", "gpt2", "bert"}) {
    const ModelConfig config = ConfigOf(ModelWith(fmt::format(
        R"({{"model_type": "{}", "num_hidden_layers": 2, "sliding_window": 9,
             "layer_types": ["sliding_attention", "full_attention"]}})",
        name)));
    EXPECT_EQ(Field(config, "windows"), ConfigValue(Windows{0, 0})) << name;
    EXPECT_EQ(Field(config, "window"), ConfigValue()) << name;
  }
}

TEST_F(ConfigTest, QwenHasAWindowWhereItSaysSo) {
  const std::string qwen = R"({"model_type": "qwen2", "num_hidden_layers": 3,
      "sliding_window": 9, "max_window_layers": 1, "use_sliding_window": )";
  const ModelConfig unused = ConfigOf(ModelWith(qwen + "false}"));
  EXPECT_EQ(Field(unused, "windows"), ConfigValue(Windows{0, 0, 0}));
  EXPECT_EQ(Field(unused, "window"), ConfigValue());
  EXPECT_EQ(Field(ConfigOf(ModelWith(qwen + "true}")), "windows"),
            ConfigValue(Windows{0, 9, 9}));
}

TEST_F(ConfigTest, GgufSaysWhichLayersHaveAWindow) {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  const auto windows = [&] { return Field(ConfigOf(model), "windows"); };
  metadata.Set("general.architecture", "gemma2");
  EXPECT_EQ(windows(), ConfigValue());
  metadata.Set("gemma2.block_count", MetadataValue::Of(3));
  EXPECT_EQ(windows(), ConfigValue(Windows{0, 0, 0}));
  metadata.Set("gemma2.attention.sliding_window", MetadataValue::Of(7));
  EXPECT_EQ(windows(), ConfigValue(Windows{7, 0, 7}));
  metadata.Set("gemma2.attention.sliding_window_pattern", MetadataValue::Of(3));
  EXPECT_EQ(windows(), ConfigValue(Windows{7, 7, 0}));
  const std::vector<int32_t> pattern = {0, 1, 1};
  metadata.Set("gemma2.attention.sliding_window_pattern",
               MetadataValue::Numbers<int32_t>(pattern));
  EXPECT_EQ(windows(), ConfigValue(Windows{0, 7, 7}));
}

TEST_F(ConfigTest, AnAbsurdNumberOfLayersHasNoWindows) {
  Model model = GgufModel();
  model.metadata().Set("llama.block_count",
                       MetadataValue::Of(uint64_t{1} << 40));
  EXPECT_EQ(Field(ConfigOf(model), "windows"), ConfigValue());
}

TEST_F(ConfigTest, QueriesAreScaledByTheWidthOfAHeadOrWhatTheModelSays) {
  EXPECT_EQ(Field(ConfigOf(GgufModel()), "query_scale"), ConfigValue(0.125));
  EXPECT_EQ(Field(ConfigOf(ModelWith(
                      R"({"model_type": "gemma2", "num_attention_heads": 4,
                          "head_dim": 4, "query_pre_attn_scalar": 16})")),
                  "query_scale"),
            ConfigValue(0.25));
  Model gemma("m.gguf", "GGUF");
  Metadata& metadata = gemma.metadata();
  metadata.Set("general.architecture", "gemma2");
  metadata.Set("gemma2.block_count", MetadataValue::Of(46));
  metadata.Set("gemma2.embedding_length", MetadataValue::Of(64));
  metadata.Set("gemma2.attention.head_count", MetadataValue::Of(4));
  metadata.Set("gemma2.attention.key_length", MetadataValue::Of(4));
  EXPECT_EQ(Field(ConfigOf(gemma), "query_scale"), ConfigValue(0.25));
  metadata.Set("gemma2.attention.scale", MetadataValue::Of(0.5f));
  EXPECT_EQ(Field(ConfigOf(gemma), "query_scale"), ConfigValue(0.5));
}

TEST_F(ConfigTest, BiasesAreSaidOrFound) {
  const auto biases = [](const Model& model) {
    const ModelConfig config = ConfigOf(model);
    return std::tuple(Field(config, "attn_bias"), Field(config, "output_bias"),
                      Field(config, "mlp_bias"));
  };
  using Biases = std::tuple<ConfigValue, ConfigValue, ConfigValue>;
  EXPECT_EQ(biases(ModelWith(R"({"model_type": "llama",
                "num_attention_heads": 4, "attention_bias": true,
                "mlp_bias": true})")),
            Biases(true, true, true));
  EXPECT_EQ(biases(ModelWith(
                R"({"model_type": "qwen2", "num_attention_heads": 4})")),
            Biases(true, false, ConfigValue()));
  Model gguf = GgufModel();
  gguf.Set("token_embd.weight", MakeTensor(DType::F16, {4, 8}));
  EXPECT_EQ(biases(gguf), Biases(false, false, false));
  gguf.Set("blk.0.attn_q.bias", MakeTensor(DType::F16, {8}));
  EXPECT_EQ(biases(gguf), Biases(true, false, false));
  gguf.Set("blk.0.ffn_up.bias", MakeTensor(DType::F16, {8}));
  EXPECT_EQ(biases(gguf), Biases(true, false, true));
}

TEST_F(ConfigTest, PoolingIsANameOrANumberOfGguf) {
  Model model = GgufModel();
  EXPECT_EQ(Field(ConfigOf(model), "pooling"), ConfigValue());
  const std::pair<uint32_t, ConfigValue> kinds[] = {
      {0, ConfigValue()},       {1, ConfigValue("mean")},
      {2, ConfigValue("cls")},  {3, ConfigValue("last")},
      {4, ConfigValue("rank")}, {5, ConfigValue("5")}};
  for (const auto& [number, expected] : kinds) {
    model.metadata().Set("llama.pooling_type", MetadataValue::Of(number));
    EXPECT_EQ(Field(ConfigOf(model), "pooling"), expected) << number;
  }
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
