#include "format/rope.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace tl {
namespace {

// The expected frequencies are those of transformers, for heads of 8 numbers.
class RopeTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "rope_test";
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // config.json with these members besides the sizes.
  Model Json(const std::string& members) {
    std::ofstream(folder_ + "/config.json")
        << R"({"model_type": "llama", "num_attention_heads": 4, "head_dim": 8,)"
        << R"("max_position_embeddings": 64, )" << members << "}";
    return Model(folder_ + "/model.safetensors", "SafeTensors");
  }

  RopeSettings Settings(const std::string& members) {
    return *RopeOf(Json(members));
  }

  static Model Gguf(const std::string& arch = "llama") {
    Model model("m.gguf", "GGUF");
    Metadata& metadata = model.metadata();
    metadata.Set("general.architecture", arch);
    metadata.Set(arch + ".attention.head_count", MetadataValue::Of(4));
    metadata.Set(arch + ".attention.key_length", MetadataValue::Of(8));
    metadata.Set(arch + ".rope.freq_base", MetadataValue::Of(1000.0f));
    model.Set("token_embd.weight", MakeTensor(DType::F16, {4, 32}));
    return model;
  }

  static void SetFactors(Model& model, const char* name,
                         const std::vector<float>& factors) {
    Tensor tensor =
        MakeTensor(DType::F32, {static_cast<int64_t>(factors.size())});
    std::copy(factors.begin(), factors.end(), tensor.as<float>());
    model.Set(name, std::move(tensor));
  }

  static void ExpectNear(const std::vector<float>& got,
                         const std::vector<float>& expected) {
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_FLOAT_EQ(got[i], expected[i]);
    }
  }

  static std::string Fault(const Model& model) {
    try {
      RopeOf(model);
    } catch (const Error& error) {
      return error.text();
    }
    return "no error";
  }

  std::string folder_;
};

const std::vector<float> kPlain = {1, 0.17782794f, 0.031622777f, 0.0056234133f};
const std::vector<float> kLlama3 = {0.95492959f, 0.044456985f, 0.0079056947f,
                                    0.0014058533f};
const std::vector<float> kLong = {1, 0.08891397f, 0.0070272838f,
                                  0.00080334471f};
const std::vector<float> kShort = {1, 0.14226235f, 0.02108185f, 0.0028117066f};

TEST_F(RopeTest, FrequenciesFallFromOneByPowersOfTheBase) {
  const RopeSettings rope = Settings(R"("rope_theta": 1000.0)");
  EXPECT_EQ(rope.type, "default");
  EXPECT_EQ(rope.base, 1000);
  EXPECT_EQ(rope.dims, 8);
  EXPECT_EQ(rope.scale, 1);
  EXPECT_TRUE(rope.halves);
  ExpectNear(rope.frequencies, kPlain);
  EXPECT_EQ(Settings(R"("rope_scaling": null)").base, 10000);
}

TEST_F(RopeTest, NewerFilesKeepAllOfItTogether) {
  const RopeSettings rope = Settings(
      R"("rope_parameters": {"rope_type": "default", "rope_theta": 1000.0})");
  ExpectNear(rope.frequencies, kPlain);
}

TEST_F(RopeTest, PartOfAHeadIsRotated) {
  const RopeSettings rope =
      Settings(R"("rope_theta": 1000.0, "partial_rotary_factor": 0.5)");
  EXPECT_EQ(rope.dims, 4);
  ExpectNear(rope.frequencies, {1, 0.031622777f});
  Model gguf = Gguf();
  gguf.metadata().Set("llama.rope.dimension_count", MetadataValue::Of(4));
  ExpectNear(RopeOf(gguf)->frequencies, {1, 0.031622777f});
}

TEST_F(RopeTest, LinearSlowsAllAlike) {
  const std::vector<float> expected = {0.4f, 0.071131177f, 0.012649111f,
                                       0.0022493652f};
  ExpectNear(Settings(R"("rope_theta": 1000, "rope_scaling":
                         {"type": "linear", "factor": 2.5})")
                 .frequencies,
             expected);
  Model gguf = Gguf();
  gguf.metadata().Set("llama.rope.scaling.type", "linear");
  gguf.metadata().Set("llama.rope.scaling.factor", MetadataValue::Of(2.5f));
  ExpectNear(RopeOf(gguf)->frequencies, expected);
}

TEST_F(RopeTest, Llama3SlowsLongWaves) {
  const RopeSettings rope = Settings(
      R"("rope_theta": 1000, "rope_scaling": {"rope_type": "llama3",
         "factor": 4, "low_freq_factor": 1, "high_freq_factor": 4,
         "original_max_position_embeddings": 24})");
  ExpectNear(rope.frequencies, kLlama3);
  Model gguf = Gguf();
  SetFactors(gguf, "rope_freqs.weight", rope.factors);
  ExpectNear(RopeOf(gguf)->frequencies, kLlama3);
}

TEST_F(RopeTest, YarnSlowsTheLongestWavesWhollyAndScales) {
  std::ofstream(folder_ + "/config.json") << R"({"num_attention_heads": 4,
      "head_dim": 16, "rope_scaling": {"rope_type": "yarn", "factor": 4,
      "original_max_position_embeddings": 256}})";
  const RopeSettings rope =
      *RopeOf(Model(folder_ + "/model.safetensors", "SafeTensors"));
  ExpectNear(rope.frequencies, {1, 0.25693506f, 0.0625f, 0.013834965f, 0.0025f,
                                0.00079056947f, 0.00025f, 7.9056947e-05f});
  EXPECT_NEAR(rope.scale, 1.138629436111989, 1e-15);
}

TEST_F(RopeTest, TheRampOfYarnIsNotRoundedWhereTheModelSaysSo) {
  std::ofstream(folder_ + "/config.json") << R"({"num_attention_heads": 4,
      "head_dim": 16, "rope_scaling": {"rope_type": "yarn", "factor": 4,
      "truncate": false, "original_max_position_embeddings": 256}})";
  const RopeSettings rope =
      *RopeOf(Model(folder_ + "/model.safetensors", "SafeTensors"));
  ExpectNear(rope.frequencies,
             {1, 0.25397229f, 0.055398636f, 0.009639943f, 0.0025f,
              0.00079056947f, 0.00025f, 7.9056947e-05f});
  EXPECT_NEAR(rope.scale, 1.138629436111989, 1e-15);
  Model gguf = Gguf();
  gguf.metadata().Set("llama.attention.key_length", MetadataValue::Of(16));
  gguf.metadata().Set("llama.rope.freq_base", MetadataValue::Of(10000.0f));
  gguf.metadata().Set("llama.rope.scaling.attn_factor",
                      MetadataValue::Of(1.25f));
  SetFactors(gguf, "rope_freqs.weight", rope.factors);
  ExpectNear(RopeOf(gguf)->frequencies, rope.frequencies);
  EXPECT_EQ(RopeOf(gguf)->scale, 1.25);
}

TEST_F(RopeTest, ScaleOfYarnIsWhatTheModelSays) {
  const std::string yarn = R"("rope_scaling": {"rope_type": "yarn", "factor": 4,
      "original_max_position_embeddings": 16, )";
  EXPECT_EQ(Settings(yarn + R"("attention_factor": 0.75})").scale, 0.75);
  EXPECT_NEAR(
      Settings(yarn + R"("mscale": 0.707, "mscale_all_dim": 1.5})").scale,
      0.9089915353640435, 1e-15);
  Model gguf = Gguf();
  gguf.metadata().Set("llama.rope.scaling.type", "yarn");
  gguf.metadata().Set("llama.rope.scaling.factor", MetadataValue::Of(4.0f));
  gguf.metadata().Set("llama.rope.scaling.original_context_length",
                      MetadataValue::Of(16));
  EXPECT_NEAR(RopeOf(gguf)->scale, 1.138629436111989, 1e-15);
  // GGUF's factor is one more.
  gguf.metadata().Set("llama.rope.scaling.attn_factor",
                      MetadataValue::Of(0.5f));
  EXPECT_NEAR(RopeOf(gguf)->scale, 0.5 * 1.138629436111989, 1e-15);
}

TEST_F(RopeTest, LongropeHasFactorsForShortAndForLongTexts) {
  const RopeSettings rope = Settings(
      R"("rope_theta": 1000, "original_max_position_embeddings": 16,
         "rope_scaling": {"type": "longrope", "short_factor": [1, 1.25, 1.5, 2],
                          "long_factor": [1, 2, 4.5, 7]})");
  ExpectNear(rope.frequencies, kShort);
  ExpectNear(rope.long_frequencies, kLong);
  EXPECT_EQ(rope.original_context, 16);
  EXPECT_NEAR(rope.scale, 1.224744871391589, 1e-15);

  Model gguf = Gguf("phi3");
  SetFactors(gguf, "rope_factors_short.weight", rope.factors);
  SetFactors(gguf, "rope_factors_long.weight", rope.long_factors);
  gguf.metadata().Set("phi3.context_length", MetadataValue::Of(64));
  gguf.metadata().Set("phi3.rope.scaling.original_context_length",
                      MetadataValue::Of(16));
  ExpectNear(RopeOf(gguf)->frequencies, kShort);
  ExpectNear(RopeOf(gguf)->long_frequencies, kLong);
  EXPECT_NEAR(RopeOf(gguf)->scale, 1.224744871391589, 1e-15);
}

TEST_F(RopeTest, NumbersGoWithTheirNeighbourWhereGgufOrdersThemSo) {
  EXPECT_FALSE(RopeOf(Gguf("llama"))->halves);
  EXPECT_TRUE(RopeOf(Gguf("qwen2"))->halves);
}

TEST_F(RopeTest, LayersWithAWindowMayHaveABaseOfTheirOwn) {
  EXPECT_FALSE(LocalRopeOf(Json(R"("rope_theta": 5)")));
  const Model old = Json(R"("rope_theta": 1e6, "rope_local_base_freq": 1000,
      "rope_scaling": {"rope_type": "linear", "factor": 8})");
  EXPECT_EQ(RopeOf(old)->base, 1e6);
  EXPECT_EQ(RopeOf(old)->frequencies[0], 1 / 8.f);
  ExpectNear(LocalRopeOf(old)->frequencies, kPlain);
  const Model newer = Json(R"("rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6},
      "sliding_attention": {"rope_type": "default", "rope_theta": 1000}})");
  EXPECT_EQ(RopeOf(newer)->base, 1e6);
  EXPECT_EQ(RopeOf(newer)->frequencies[0], 1 / 8.f);
  ExpectNear(LocalRopeOf(newer)->frequencies, kPlain);
}

TEST_F(RopeTest, Gemma3SaysItsLocalBaseByItsNameInGguf) {
  EXPECT_FALSE(LocalRopeOf(Gguf("llama")));
  Model gguf = Gguf("gemma3");
  EXPECT_EQ(LocalRopeOf(gguf)->base, 10000);
  gguf.metadata().Set("gemma3.rope.freq_base_swa", MetadataValue::Of(500.0f));
  EXPECT_EQ(LocalRopeOf(gguf)->base, 500);
}

TEST_F(RopeTest, ThereIsNoneWithLearnedPositionsOrWithoutHeads) {
  Model gguf = Gguf("gpt2");
  gguf.Set("position_embd.weight", MakeTensor(DType::F16, {64, 32}));
  EXPECT_FALSE(RopeOf(gguf));
  EXPECT_FALSE(RopeOf(Model("m.gguf", "GGUF")));
}

TEST_F(RopeTest, RefusesWhatItDoesNotKnow) {
  Model model =
      Json(R"("rope_scaling": {"rope_type": "dynamic", "factor": 2})");
  const std::string label = model.Label();
  EXPECT_EQ(Fault(model), label +
                              ": stretches positions by 'dynamic'; known "
                              "are linear, llama3, yarn and longrope");
  EXPECT_EQ(Fault(Json(R"("rope_scaling": {"rope_type": "linear"})")),
            label + ": stretches positions by 'linear' without 'factor'");
  EXPECT_EQ(Fault(Json(R"("rope_scaling": {"rope_type": "longrope",
                          "short_factor": [1, 2, 3], "long_factor": []})")),
            label + ": has 3 factors for the 4 frequencies of its positions");
  EXPECT_EQ(Fault(Json(R"("partial_rotary_factor": 1.5)")),
            label +
                ": rotates 12 of a head's 8 numbers with base 10000; "
                "expected an even part, at most 65536, and a positive base");
  EXPECT_EQ(Fault(Json(R"("rope_theta": 0)")),
            label +
                ": rotates 8 of a head's 8 numbers with base 0; expected "
                "an even part, at most 65536, and a positive base");
  Model wide = Gguf();
  wide.metadata().Set("llama.attention.key_length",
                      MetadataValue::Of(uint64_t{1} << 40));
  EXPECT_EQ(Fault(wide),
            "'m.gguf': rotates 1099511627776 of a head's 1099511627776 numbers "
            "with base 1000; expected an even part, at most 65536, and a "
            "positive base");
}

}  // namespace
}  // namespace tl
