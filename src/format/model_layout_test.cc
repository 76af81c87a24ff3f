#include "format/model_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "format/rope_factors.h"
#include "format/test_files.h"

namespace tl {
namespace {

// Consecutive numbers from `first`, so that each says where it was.
TensorEntry Counting(std::vector<int64_t> shape, float first = 0) {
  TensorEntry entry;
  entry.dtype = DType::F32;
  entry.shape = std::move(shape);
  entry.elements = std::accumulate(entry.shape.begin(), entry.shape.end(),
                                   int64_t{1}, std::multiplies<>());
  entry.bytes = 4 * entry.elements;
  entry.data = AllocateHost(entry.bytes);
  auto* values = reinterpret_cast<float*>(entry.data.get());
  std::iota(values, values + entry.elements, first);
  return entry;
}

std::vector<float> ValuesOf(const TensorEntry& entry) {
  const auto* values = reinterpret_cast<const float*>(entry.data.get());
  return {values, values + entry.elements};
}

Model GgufModel(const std::string& architecture) {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  metadata.Set("general.architecture", MetadataValue(architecture));
  metadata.Set(architecture + ".attention.head_count", MetadataValue::Of(2));
  metadata.Set(architecture + ".attention.head_count_kv", MetadataValue::Of(1));
  return model;
}

TEST(ModelLayoutTest, NamesAreThoseOfTransformers) {
  Model model = GgufModel("llama");
  for (const char* name :
       {"token_embd.weight", "blk.0.attn_norm.weight", "blk.11.attn_q.weight",
        "blk.0.attn_v.bias", "blk.0.attn_output.weight",
        "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
        "blk.0.ffn_down.weight", "output_norm.weight", "output.weight",
        "rope_freqs.weight"}) {
    model.Set(name, Counting({8, 2}));
  }
  const ModelLayout layout = InHfLayout(std::move(model));
  std::vector<std::string> names;
  for (const TensorEntry& entry : layout.model.tensors()) {
    names.push_back(entry.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "model.embed_tokens.weight",
                       "model.layers.0.input_layernorm.weight",
                       "model.layers.11.self_attn.q_proj.weight",
                       "model.layers.0.self_attn.v_proj.bias",
                       "model.layers.0.self_attn.o_proj.weight",
                       "model.layers.0.post_attention_layernorm.weight",
                       "model.layers.0.mlp.gate_proj.weight",
                       "model.layers.0.mlp.up_proj.weight",
                       "model.layers.0.mlp.down_proj.weight",
                       "model.norm.weight", "lm_head.weight"}));
  EXPECT_EQ(layout.model.notes(),
            std::vector<std::string>{
                "'rope_freqs.weight' is left out, and with it how positions "
                "are scaled: it is not the scaling of Llama 3, which "
                "transformers could be told"});
  EXPECT_EQ(layout.changes.size(), 1u);
}

TEST(ModelLayoutTest, TheScalingOfLlama3IsSaidInTheNote) {
  Model model = GgufModel("llama");
  Metadata& metadata = model.metadata();
  metadata.Set("llama.rope.freq_base", MetadataValue::Of(500000.0f));
  metadata.Set("llama.rope.dimension_count", MetadataValue::Of(uint32_t{128}));
  TensorEntry factors = Counting({64});
  std::ranges::copy(RopeFactors({.factor = 32}, {.base = 500000, .dim = 128}),
                    reinterpret_cast<float*>(factors.data.get()));
  model.Set("rope_freqs.weight", factors);
  EXPECT_EQ(InHfLayout(std::move(model)).model.notes(),
            std::vector<std::string>{
                "'rope_freqs.weight' is left out: transformers computes it "
                "where config.json has \"rope_scaling\": {\"rope_type\": "
                "\"llama3\", \"factor\": 32.0, \"low_freq_factor\": 1.0, "
                "\"high_freq_factor\": 4.0, "
                "\"original_max_position_embeddings\": 8192}"});
}

TEST(ModelLayoutTest, RowsOfPairsBecomeHalvesOfEachHead) {
  Model model = GgufModel("llama");
  model.Set("blk.0.attn_q.weight", Counting({8, 1}));
  model.Set("blk.0.attn_k.bias", Counting({4}));
  const ModelLayout layout = InHfLayout(std::move(model));
  const auto changed = [&](const std::string& name) {
    return ValuesOf(Changed(layout.model.Get(name), layout.changes.at(name)));
  };
  // Two heads of four rows; the keys have one.
  EXPECT_EQ(changed("model.layers.0.self_attn.q_proj.weight"),
            (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(changed("model.layers.0.self_attn.k_proj.bias"),
            (std::vector<float>{0, 2, 1, 3}));
}

TEST(ModelLayoutTest, PackedRowsMoveAsTheyAreStored) {
  TensorEntry packed;
  packed.dtype = DType::Q8_0;
  packed.shape = {4, 64};
  packed.elements = 256;
  packed.bytes = 4 * 68;
  packed.data = AllocateHost(packed.bytes);
  for (int row = 0; row < 4; ++row) {
    std::memset(packed.data.get() + 68 * row, row, 68);
  }
  const TensorEntry changed = Changed(packed, {.heads = 1});
  EXPECT_EQ(changed.dtype, DType::Q8_0);
  std::string rows;
  for (int row = 0; row < 4; ++row) {
    rows += static_cast<char>('0' + int(changed.data.get()[68 * row + 67]));
  }
  EXPECT_EQ(rows, "0213");
}

TEST(ModelLayoutTest, NormsOfGemmaLoseTheOne) {
  Model model = GgufModel("gemma2");
  for (const char* name :
       {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight",
        "blk.0.post_attention_norm.weight", "blk.0.post_ffw_norm.weight",
        "output_norm.weight", "blk.0.attn_q.weight"}) {
    model.Set(name, Counting({2}, 1.5f));
  }
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_EQ(layout.changes.size(), 5u);
  EXPECT_FALSE(
      layout.changes.contains("model.layers.0.self_attn.q_proj.weight"));
  for (const auto& [name, change] : layout.changes) {
    EXPECT_EQ(ValuesOf(Changed(layout.model.Get(name), change)),
              (std::vector<float>{0.5f, 1.5f}))
        << name;
  }
  EXPECT_TRUE(layout.changes.contains(
      "model.layers.0.pre_feedforward_layernorm.weight"));
}

TEST(ModelLayoutTest, NormsOfNemotronKeepTheirBias) {
  Model model = GgufModel("nemotron");
  model.Set("blk.0.attn_norm.weight", Counting({2}));
  model.Set("blk.0.attn_norm.bias", Counting({2}));
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_EQ(layout.changes.size(), 1u);
  EXPECT_TRUE(layout.changes.contains("model.layers.0.input_layernorm.weight"));
}

TEST(ModelLayoutTest, MatricesOfGpt2AreTransposed) {
  Model model = GgufModel("gpt2");
  model.Set("blk.0.attn_qkv.weight", Counting({3, 2}));
  model.Set("blk.0.attn_qkv.bias", Counting({3}));
  model.Set("position_embd.weight", Counting({4, 2}));
  TensorEntry packed;
  packed.dtype = DType::Q8_0;
  packed.shape = {2, 32};
  packed.elements = 64;
  packed.bytes = 2 * 34;
  packed.data = AllocateHost(packed.bytes);
  for (int i = 0; i < 68; ++i) packed.data.get()[i] = std::byte(i % 34);
  for (int row : {0, 34}) {  // the scale 1 in float16
    packed.data.get()[row] = std::byte(0);
    packed.data.get()[row + 1] = std::byte(0x3c);
  }
  packed.data.get()[34 + 2] = std::byte(100);
  model.Set("blk.0.ffn_up.weight", packed);
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_EQ(layout.changes.size(), 2u);
  const auto changed = [&](const std::string& name) {
    return Changed(layout.model.Get(name), layout.changes.at(name));
  };
  const TensorEntry qkv = changed("transformer.h.0.attn.c_attn.weight");
  EXPECT_EQ(qkv.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(ValuesOf(qkv), (std::vector<float>{0, 2, 4, 1, 3, 5}));
  const TensorEntry up = changed("transformer.h.0.mlp.c_fc.weight");
  EXPECT_EQ(up.dtype, DType::F32);
  EXPECT_EQ(up.shape, (std::vector<int64_t>{32, 2}));
  const std::vector<float> values = ValuesOf(up);
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 4),
            (std::vector<float>{2, 100, 3, 3}));
}

TEST(ModelLayoutTest, ExpertsAreTensorsOfTheirOwn) {
  Model model = GgufModel("llama");
  model.metadata().Set("llama.expert_count", MetadataValue::Of(uint32_t{3}));
  model.Set("blk.1.ffn_down_exps.weight", Counting({3, 2, 1}));
  model.Set("blk.1.ffn_gate_inp.weight", Counting({3, 2}));
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_TRUE(layout.changes.empty());
  ASSERT_EQ(layout.model.size(), 4);
  const TensorEntry& last =
      layout.model.Get("model.layers.1.block_sparse_moe.experts.2.w2.weight");
  EXPECT_EQ(last.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(ValuesOf(last), (std::vector<float>{4, 5}));
  layout.model.Get("model.layers.1.block_sparse_moe.gate.weight");
}

TEST(ModelLayoutTest, TheGateOfTheSharedExpertIsARow) {
  Model model = GgufModel("qwen2moe");
  model.metadata().Set("qwen2moe.expert_count", MetadataValue::Of(uint32_t{2}));
  model.Set("blk.0.ffn_gate_inp_shexp.weight", Counting({2}));
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_EQ(
      layout.model.Get("model.layers.0.mlp.shared_expert_gate.weight").shape,
      (std::vector<int64_t>{1, 2}));
}

TEST(ModelLayoutTest, AModelThatHasTheLayoutStaysAsItIs) {
  Model model("m.safetensors", "SafeTensors");
  model.Set("anything", Counting({2}));
  const ModelLayout layout = InHfLayout(std::move(model));
  EXPECT_EQ(layout.model.tensors()[0].name, "anything");
  EXPECT_TRUE(layout.changes.empty());
}

TEST(ModelLayoutTest, WhatIsNotKnownIsRefusedByName) {
  const auto failure = [](Model model) {
    return FailureOf([&] { InHfLayout(std::move(model)); });
  };
  EXPECT_EQ(failure(Model("m.gguf", "GGUF")),
            "'m.gguf': layout \"hf\" is not known for a model that does not "
            "say its 'general.architecture'");
  EXPECT_TRUE(failure(GgufModel("mamba"))
                  .starts_with("'m.gguf': layout \"hf\" is not known for the "
                               "architecture 'mamba'; it is for llama, "));
  Model experts = GgufModel("llama");
  experts.Set("blk.0.ffn_gate_exps.weight", Counting({2, 2}));
  EXPECT_EQ(failure(std::move(experts)),
            "tensor 'blk.0.ffn_gate_exps.weight': has no place in the Hugging "
            "Face layout of 'llama'");
  Model flat = GgufModel("qwen3moe");
  flat.metadata().Set("qwen3moe.expert_count", MetadataValue::Of(uint32_t{2}));
  flat.Set("blk.0.ffn_gate_exps.weight", Counting({2, 2}));
  EXPECT_EQ(failure(std::move(flat)),
            "tensor 'blk.0.ffn_gate_exps.weight': [2, 2] of type F32 is no "
            "stack of the matrices of experts");
  Model gpt2 = GgufModel("gpt2");
  gpt2.Set("blk.0.ffn_up.weight", Counting({2, 2, 2}));
  EXPECT_EQ(failure(std::move(gpt2)),
            "tensor 'blk.0.ffn_up.weight': [2, 2, 2] is no matrix to be "
            "transposed");
  Model odd = GgufModel("llama");
  odd.Set("blk.0.attn_q.weight", Counting({6, 1}));
  EXPECT_EQ(failure(std::move(odd)),
            "tensor 'blk.0.attn_q.weight': 6 rows are not 2 heads of pairs");
  Model scalar = GgufModel("llama");
  scalar.Set("blk.0.attn_q.bias", Counting({}));
  EXPECT_EQ(failure(std::move(scalar)),
            "tensor 'blk.0.attn_q.bias': 1 rows are not 2 heads of pairs");
  Model uneven = GgufModel("llama");
  const std::vector<int32_t> heads = {1, 2};
  uneven.metadata().Set("llama.attention.head_count_kv",
                        MetadataValue::Numbers<int32_t>(heads));
  EXPECT_EQ(failure(std::move(uneven)),
            "'m.gguf': the rows of q and k stand in another order in the other "
            "layout, which needs the number of kv_heads, the same in each "
            "layer; the model does not say it");
}

}  // namespace
}  // namespace tl
