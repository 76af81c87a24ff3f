#include "format/hf_facts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "format/test_files.h"

namespace tl {
namespace {

std::string Said(std::string_view model_type, const std::string& config) {
  return FailureOf(
      [&] { CheckFacts("'hf'", config, *FamilyOfModelType(model_type)); });
}

std::string Told(std::string_view key, std::string_view said,
                 std::string_view fixed, std::string_view model_type) {
  return fmt::format(
      "'hf': its config.json says \"{}\": {}, in GGUF it is {} for '{}'", key,
      said, fixed, model_type);
}

TEST(HfFacts, EveryFamilyHasOneActivation) {
  std::istringstream names(FamilyNames());
  for (std::string name; names >> name;) {
    if (name.back() == ',') name.pop_back();
    const char* key = name == "gpt2" ? "activation_function"
                      : name == "gemma2" || name == "gemma3_text"
                          ? "hidden_activation"
                          : "hidden_act";
    const char* fixed = name == "bert" ? R"("gelu")"
                        : name == "gpt2" || name.starts_with("gemma")
                            ? R"("gelu_pytorch_tanh")"
                            : R"("silu")";
    const auto config = [&](std::string_view value) {
      return fmt::format(R"({{"{}": {}}})", key, value);
    };
    EXPECT_EQ(Said(name, config(R"("relu")")),
              Told(key, R"("relu")", fixed, name));
    EXPECT_EQ(Said(name, config(fixed)), "no failure");
    EXPECT_EQ(Said(name, config("null")), "no failure");
    EXPECT_EQ(Said(name, "{}"), "no failure");
  }
}

TEST(HfFacts, AFunctionHasSeveralNames) {
  EXPECT_EQ(Said("llama", R"({"hidden_act": "swish"})"), "no failure");
  EXPECT_EQ(Said("gpt2", R"({"activation_function": "gelu_new"})"),
            "no failure");
  EXPECT_EQ(Said("gpt2", R"({"activation_function": "gelu"})"),
            Told("activation_function", R"("gelu")", R"("gelu_pytorch_tanh")",
                 "gpt2"));
  EXPECT_EQ(Said("bert", R"({"hidden_act": "gelu_new"})"),
            Told("hidden_act", R"("gelu_new")", R"("gelu")", "bert"));
}

TEST(HfFacts, GeluOfTheFirstFilesOfGemmaIsTheOther) {
  EXPECT_EQ(Said("gemma", R"({"hidden_act": "gelu"})"), "no failure");
  EXPECT_EQ(
      Said("gemma", R"({"hidden_act": "gelu", "hidden_activation": "gelu"})"),
      Told("hidden_activation", R"("gelu")", R"("gelu_pytorch_tanh")",
           "gemma"));
  // Which transformers does not read there.
  EXPECT_EQ(Said("gemma2", R"({"hidden_act": "gelu"})"), "no failure");
}

TEST(HfFacts, AttentionIsThatOfTheArchitecture) {
  EXPECT_EQ(Said("gpt2", R"({"scale_attn_weights": false})"),
            Told("scale_attn_weights", "false", "true", "gpt2"));
  EXPECT_EQ(Said("gpt2", R"({"scale_attn_by_inverse_layer_idx": true})"),
            Told("scale_attn_by_inverse_layer_idx", "true", "false", "gpt2"));
  for (const char* name : {"gemma", "gemma2", "gemma3_text"}) {
    EXPECT_EQ(Said(name, R"({"use_bidirectional_attention": true})"),
              Told("use_bidirectional_attention", "true", "false", name));
    EXPECT_EQ(Said(name, R"({"attention_bias": true})"),
              Told("attention_bias", "true", "false", name));
    EXPECT_EQ(Said(name, R"({"attention_bias": false,
                             "use_bidirectional_attention": null})"),
              "no failure");
  }
  EXPECT_EQ(Said("llama", R"({"attention_bias": true})"), "no failure");
  EXPECT_EQ(Said("bert", R"({"is_decoder": true})"),
            Told("is_decoder", "true", "false", "bert"));
  EXPECT_EQ(Said("bert", R"({"position_embedding_type": "relative_key"})"),
            Told("position_embedding_type", R"("relative_key")",
                 R"("absolute")", "bert"));
}

}  // namespace
}  // namespace tl
