#include "format/hf_names.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"

namespace tl {
namespace {

TEST(HfNamesTest, RowsOfQAndKChangeInLlama) {
  const Family& llama = *FamilyOfModelType("llama");
  const auto q =
      ToGgufName(llama, "model.layers.12.self_attn.q_proj.weight", {32, 8});
  ASSERT_TRUE(q);
  EXPECT_EQ(q->name, "blk.12.attn_q.weight");
  EXPECT_EQ(q->change.heads, 32);
  EXPECT_TRUE(q->change.to_pairs);
  const auto k = ToHuggingFaceName(llama, "blk.0.attn_k.bias", {32, 8});
  ASSERT_TRUE(k);
  EXPECT_EQ(k->name, "model.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(k->change.heads, 8);
  EXPECT_FALSE(k->change.to_pairs);
  EXPECT_TRUE(ToGgufName(llama, "lm_head.weight", {32, 8})->change.none());
}

TEST(HfNamesTest, NoRowsChangeInQwen) {
  const Family& qwen = *FamilyOfModelType("qwen2");
  const auto q =
      ToGgufName(qwen, "model.layers.1.self_attn.q_proj.bias", {32, 8});
  ASSERT_TRUE(q);
  EXPECT_EQ(q->name, "blk.1.attn_q.bias");
  EXPECT_TRUE(q->change.none());
}

TEST(HfNamesTest, NormsOfGemmaAreOneMore) {
  const Family& gemma = *FamilyOfModelType("gemma2");
  const auto norm = ToGgufName(
      gemma, "model.layers.3.post_attention_layernorm.weight", {8, 4});
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm->name, "blk.3.post_attention_norm.weight");
  EXPECT_EQ(norm->change.add, 1);
  EXPECT_EQ(ToHuggingFaceName(gemma, "output_norm.weight", {8, 4})->change.add,
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
      const auto there = ToHuggingFaceName(family, name, {8, 4});
      ASSERT_TRUE(there) << type << ' ' << name;
      const auto back = ToGgufName(family, there->name, {8, 4});
      ASSERT_TRUE(back) << type << ' ' << there->name;
      EXPECT_EQ(back->name, name);
    }
  }
}

TEST(HfNamesTest, NamesOfEachFamilyLeadBack) {
  const std::pair<const char*, const char*> names[] = {
      {"phi3", "model.layers.2.self_attn.qkv_proj.weight"},
      {"phi3", "model.layers.2.mlp.gate_up_proj.weight"},
      {"gpt2", "transformer.wpe.weight"},
      {"gpt2", "transformer.h.11.attn.c_attn.bias"},
      {"gpt2", "transformer.h.0.ln_2.bias"},
      {"gpt2", "lm_head.weight"},
      {"bert", "embeddings.LayerNorm.bias"},
      {"bert", "encoder.layer.11.attention.output.LayerNorm.weight"},
      {"bert", "encoder.layer.0.output.dense.bias"},
      {"bert", "pooler.dense.weight"},
      {"mixtral", "model.layers.3.block_sparse_moe.gate.weight"},
      {"mixtral", "model.layers.3.block_sparse_moe.experts.7.w3.weight"},
      {"qwen2_moe", "model.layers.3.mlp.gate.weight"},
      {"qwen2_moe", "model.layers.3.mlp.experts.59.down_proj.weight"},
      {"qwen2_moe", "model.layers.3.mlp.shared_expert.up_proj.weight"},
      {"qwen2_moe", "model.layers.3.mlp.shared_expert_gate.weight"},
      {"qwen3_moe", "model.layers.3.mlp.up_proj.weight"},
      {"qwen3_moe", "model.layers.3.mlp.experts.0.gate_proj.weight"},
  };
  for (const auto& [type, name] : names) {
    const Family& family = *FamilyOfModelType(type);
    const auto there = ToGgufName(family, name, {8, 4});
    ASSERT_TRUE(there) << type << ' ' << name;
    const auto back = ToHuggingFaceName(family, there->name, {8, 4},
                                        there->expert.value_or(0));
    ASSERT_TRUE(back) << type << ' ' << there->name;
    EXPECT_EQ(back->name, name);
    EXPECT_EQ(back->expert, there->expert);
    EXPECT_EQ(back->change.transposed, there->change.transposed);
  }
}

TEST(HfNamesTest, ExpertsOfAKindShareATensor) {
  const Family& mixtral = *FamilyOfModelType("mixtral");
  const auto w1 = ToGgufName(
      mixtral, "model.layers.3.block_sparse_moe.experts.7.w1.weight", {8, 4});
  ASSERT_TRUE(w1);
  EXPECT_EQ(w1->name, "blk.3.ffn_gate_exps.weight");
  EXPECT_EQ(w1->expert, 7);
  for (const char* name :
       {"model.layers.3.block_sparse_moe.experts..w1.weight",
        "model.layers.3.block_sparse_moe.experts.-1.w1.weight",
        "model.layers.3.block_sparse_moe.experts.99999999999999999999.w1."
        "weight",
        "model.layers.3.block_sparse_moe.experts.w1.weight"}) {
    EXPECT_FALSE(ToGgufName(mixtral, name, {8, 4})) << name;
  }
}

TEST(HfNamesTest, MatricesOfGpt2AreTransposedAndItsVectorsAreNot) {
  const Family& gpt2 = *FamilyOfModelType("gpt2");
  const auto weight = ToGgufName(gpt2, "h.0.mlp.c_proj.weight", {8, 8});
  ASSERT_TRUE(weight);
  EXPECT_EQ(weight->name, "blk.0.ffn_down.weight");
  EXPECT_TRUE(weight->change.transposed);
  EXPECT_TRUE(ToGgufName(gpt2, "h.0.mlp.c_proj.bias", {8, 8})->change.none());
  EXPECT_TRUE(ToGgufName(gpt2, "wte.weight", {8, 8})->change.none());
}

TEST(HfNamesTest, BertMayBeAPartOfAModel) {
  const Family& bert = *FamilyOfModelType("bert");
  const auto whole =
      ToGgufName(bert, "bert.encoder.layer.2.output.dense.weight", {4, 4});
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->name, "blk.2.ffn_down.weight");
  EXPECT_TRUE(whole->change.none());
  EXPECT_TRUE(IsOnlyInHuggingFace("bert.embeddings.position_ids"));
}

TEST(HfNamesTest, ALlamaWithExpertsIsAMixtral) {
  EXPECT_EQ(FamilyOfArchitecture({"llama", true})->model_type, "mixtral");
  EXPECT_EQ(FamilyOfArchitecture({"qwen2", true}), nullptr);
  EXPECT_EQ(FamilyOfArchitecture({"qwen3moe"}), nullptr);
}

TEST(HfNamesTest, TheDocumentsNameTheFamilies) {
  const auto text_of = [](const std::string& name) {
    std::string text =
        ReadTextFile(TL_SOURCE_DIR "/docs/" + name, int64_t{1} << 20);
    std::ranges::replace(text, '\n', ' ');
    return text;
  };
  for (const char* name :
       {"en/gguf_quantization.md", "es/gguf_quantization.md"}) {
    EXPECT_NE(text_of(name).find(FamilyNames() + "."), std::string::npos)
        << name << " does not say: " << FamilyNames();
  }
  EXPECT_NE(text_of("language.md").find(TensorFamilyNames() + ";"),
            std::string::npos)
      << "language.md does not say: " << TensorFamilyNames();
}

TEST(HfNamesTest, OtherNamesHaveNoPlace) {
  const Family& llama = *FamilyOfModelType("llama");
  for (const char* name :
       {"model.layers.0.mlp.experts.0.w1.weight", "model.layers.x.norm.weight",
        "model.layers.0", "lm_head.weight_scale", "transformer.wte.weight",
        "model.layers..input_layernorm.weight", ""}) {
    EXPECT_FALSE(ToGgufName(llama, name, {8, 4})) << name;
  }
  EXPECT_EQ(FamilyOfModelType("rwkv"), nullptr);
  EXPECT_EQ(FamilyOfArchitecture({"llama"})->model_type, "llama");
}

}  // namespace
}  // namespace tl
