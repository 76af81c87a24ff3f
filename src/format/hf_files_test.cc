#include "format/hf_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "format/hf_metadata.h"
#include "format/test_files.h"

namespace tl {
namespace {

Tensor Ones(Shape shape) {
  Tensor tensor = MakeTensor(DType::F32, shape);
  std::fill_n(tensor.as<float>(), tensor.size(), 1.0f);
  return tensor;
}

Model GgufModel(const std::string& architecture) {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  metadata.Set("general.architecture", MetadataValue(architecture));
  const auto set = [&](const char* key, auto number) {
    metadata.Set(architecture + "." + key, MetadataValue::Of(number));
  };
  set("block_count", uint32_t{1});
  set("embedding_length", uint32_t{2});
  set("attention.head_count", uint32_t{1});
  set("attention.layer_norm_rms_epsilon", 1e-5f);
  set("rope.freq_base", 500000.0f);
  set("rope.dimension_count", uint32_t{128});
  model.Set("token_embd.weight", Ones({3, 2}));
  return model;
}

Model WithFactors(const std::vector<float>& factors) {
  Model model = GgufModel("llama");
  Tensor tensor = Ones({static_cast<int64_t>(factors.size())});
  std::ranges::copy(factors, tensor.as<float>());
  model.Set("rope_freqs.weight", std::move(tensor));
  return model;
}

std::string ConfigOfTransformers(const Model& model) {
  const auto arch = model.metadata().Text("general.architecture");
  return MakeHuggingFaceFiles(model, *FamilyOfArchitecture({*arch}))[0].second;
}

TEST(HfFilesTest, ConfigJsonHasWhatTransformersWantsToKnow) {
  Model model = GgufModel("gemma2");
  Metadata& metadata = model.metadata();
  metadata.Set("gemma2.attn_logit_softcapping", MetadataValue::Of(50.0f));
  metadata.Set("gemma2.final_logit_softcapping", MetadataValue::Of(30.0f));
  metadata.Set("tokenizer.ggml.bos_token_id", MetadataValue::Of(uint32_t{2}));
  metadata.Set("tokenizer.ggml.eos_token_id", MetadataValue::Of(uint32_t{1}));
  EXPECT_EQ(ConfigOfTransformers(model),
            R"({
  "architectures": [
    "Gemma2ForCausalLM"
  ],
  "model_type": "gemma2",
  "num_hidden_layers": 1,
  "hidden_size": 2,
  "num_attention_heads": 1,
  "vocab_size": 3,
  "rms_norm_eps": 1e-05,
  "rope_theta": 500000.0,
  "attn_logit_softcapping": 50.0,
  "final_logit_softcapping": 30.0,
  "bos_token_id": 2,
  "eos_token_id": 1,
  "tie_word_embeddings": true
}
)");
}

TEST(HfFilesTest, TheScalingOfLlama3IsWritten) {
  for (double factor : {8.0, 32.0}) {
    const std::string config = ConfigOfTransformers(WithFactors(
        RopeFactors({.factor = factor}, {.base = 500000, .dim = 128})));
    const std::string expected = fmt::format(
        "\"rope_scaling\": {{\"rope_type\": \"llama3\", \"factor\": {}.0, "
        "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 8192}}",
        factor);
    EXPECT_NE(config.find(expected), std::string::npos) << config;
  }
}

TEST(HfFilesTest, ScalingThatIsAKeyIsWritten) {
  Model model = GgufModel("qwen2");
  Metadata& metadata = model.metadata();
  metadata.Set("qwen2.rope.scaling.type", "yarn");
  metadata.Set("qwen2.rope.scaling.factor", MetadataValue::Of(4.0f));
  metadata.Set("qwen2.rope.scaling.original_context_length",
               MetadataValue::Of(uint32_t{32768}));
  EXPECT_NE(ConfigOfTransformers(model).find(
                "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0, "
                "\"original_max_position_embeddings\": 32768}"),
            std::string::npos);
}

TEST(HfFilesTest, ScalingThatConfigJsonCannotSayIsAnError) {
  EXPECT_EQ(FailureOf([] {
              ConfigOfTransformers(WithFactors(std::vector<float>(64, 2)));
            }),
            "'m.gguf': scales positions by the tensor 'rope_freqs.weight', "
            "whose factors are not those of Llama 3; nothing says what "
            "config.json should");
  Model model = GgufModel("llama");
  model.metadata().Set("llama.rope.scaling.type", "longrope");
  EXPECT_EQ(FailureOf([&] { ConfigOfTransformers(model); }),
            "'m.gguf': scales positions by 'longrope', which cannot be said in "
            "config.json; known are linear and yarn with their factor");
  Model factors = GgufModel("llama");
  factors.Set("rope_factors_long.weight", Ones({64}));
  EXPECT_EQ(FailureOf([&] { ConfigOfTransformers(factors); }),
            "'m.gguf': scales positions by the tensor "
            "'rope_factors_long.weight', which cannot be said in a config.json "
            "of this architecture");
}

TEST(HfFilesTest, TheConfigJsonOfTheSourceIsGivenBackAsItWas) {
  Model model = WithFactors(std::vector<float>(64, 2));
  model.metadata().Set(kConfigKey, "{\"as\": \"it was\"}");
  EXPECT_EQ(ConfigOfTransformers(model), "{\"as\": \"it was\"}");
}

}  // namespace
}  // namespace tl
