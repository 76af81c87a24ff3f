#include "format/hf_names.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

TEST(HfNamesTest, RowsOfQAndKChangeInLlama) {
  const Family& llama = *FamilyOfModelType("llama");
  const auto q =
      ToGgufName(llama, "model.layers.12.self_attn.q_proj.weight", 32, 8);
  ASSERT_TRUE(q);
  EXPECT_EQ(q->name, "blk.12.attn_q.weight");
  EXPECT_EQ(q->change.heads, 32);
  EXPECT_TRUE(q->change.to_pairs);
  const auto k = ToHuggingFaceName(llama, "blk.0.attn_k.bias", 32, 8);
  ASSERT_TRUE(k);
  EXPECT_EQ(k->name, "model.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(k->change.heads, 8);
  EXPECT_FALSE(k->change.to_pairs);
  EXPECT_TRUE(ToGgufName(llama, "lm_head.weight", 32, 8)->change.none());
}

TEST(HfNamesTest, NoRowsChangeInQwen) {
  const Family& qwen = *FamilyOfModelType("qwen2");
  const auto q =
      ToGgufName(qwen, "model.layers.1.self_attn.q_proj.bias", 32, 8);
  ASSERT_TRUE(q);
  EXPECT_EQ(q->name, "blk.1.attn_q.bias");
  EXPECT_TRUE(q->change.none());
}

TEST(HfNamesTest, NormsOfGemmaAreOneMore) {
  const Family& gemma = *FamilyOfModelType("gemma2");
  const auto norm =
      ToGgufName(gemma, "model.layers.3.post_attention_layernorm.weight", 8, 4);
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm->name, "blk.3.post_attention_norm.weight");
  EXPECT_EQ(norm->change.add, 1);
  EXPECT_EQ(ToHuggingFaceName(gemma, "output_norm.weight", 8, 4)->change.add,
            -1);
}

TEST(HfNamesTest, EveryNameLeadsBack) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gemma",
                           "gemma2", "gemma3_text"}) {
    const Family& family = *FamilyOfModelType(type);
    for (const char* name :
         {"token_embd.weight", "output_norm.weight", "output.weight",
          "blk.0.attn_norm.weight", "blk.10.attn_q.weight",
          "blk.10.attn_k_norm.weight", "blk.7.ffn_norm.weight",
          "blk.7.ffn_down.weight"}) {
      const auto there = ToHuggingFaceName(family, name, 8, 4);
      ASSERT_TRUE(there) << type << ' ' << name;
      const auto back = ToGgufName(family, there->name, 8, 4);
      ASSERT_TRUE(back) << type << ' ' << there->name;
      EXPECT_EQ(back->name, name);
    }
  }
}

TEST(HfNamesTest, OtherNamesHaveNoPlace) {
  const Family& llama = *FamilyOfModelType("llama");
  for (const char* name :
       {"model.layers.0.mlp.experts.0.w1.weight", "model.layers.x.norm.weight",
        "model.layers.0", "lm_head.weight_scale", "transformer.wte.weight",
        "model.layers..input_layernorm.weight", ""}) {
    EXPECT_FALSE(ToGgufName(llama, name, 8, 4)) << name;
  }
  EXPECT_EQ(FamilyOfModelType("rwkv"), nullptr);
  EXPECT_EQ(FamilyOfArchitecture("llama")->model_type, "llama");
}

}  // namespace
}  // namespace tl
