// Saving a model of transformers as GGUF, and back: format/layout_change.h.
#include <gtest/gtest.h>

#include <numeric>

#include "format/hf_names.h"
#include "format/load.h"
#include "format/model_layout.h"
#include "format/rope.h"
#include "format/save.h"
#include "format/test_files.h"

namespace tl {
namespace {

constexpr char kKeptNames[] =
    "the tensors keep their names, by which other programs do not know them in "
    "GGUF: ";

// Consecutive numbers from `first`.
Tensor Counting(Shape shape, float first = 0) {
  Tensor tensor = MakeTensor(DType::F32, shape);
  std::iota(tensor.as<float>(), tensor.as<float>() + tensor.size(), first);
  return tensor;
}

class SaveLayoutTest : public TempFolderTest {
 protected:
  // The model as transformers would have left it, in a folder.
  Model Source(const Model& model, std::string_view config) {
    std::filesystem::create_directories(Path("hf"));
    Make("hf/config.json", config);
    SaveModel(model, Path("hf/model.safetensors"));
    return LoadModel(Path("hf"));
  }

  Model Converted(const Model& source, const SaveOptions& options = {}) {
    SaveModel(source, Path("m.gguf"), options);
    return LoadModel(Path("m.gguf"));
  }

  Model Back(const Model& gguf, std::string type = "") {
    std::filesystem::create_directories(Path("back"));
    SaveOptions options;
    options.layout = NameLayout::kHuggingFace;
    options.type = std::move(type);
    SaveModel(gguf, Path("back/model.safetensors"), options);
    return LoadModel(Path("back"));
  }
};

std::vector<float> ValuesOf(const TensorEntry& entry) {
  std::vector<float> values(entry.elements);
  std::memcpy(values.data(), entry.data.get(), entry.bytes);
  return values;
}

std::string ExpertName(int expert, std::string_view matrix) {
  return fmt::format("model.layers.0.mlp.experts.{}.{}.weight", expert, matrix);
}

constexpr char kQwenConfig[] =
    R"({"model_type": "qwen3_moe", "num_experts": 3, "num_experts_per_tok": 2,
        "moe_intermediate_size": 32, "norm_topk_prob": true})";

Model QwenModel() {
  Model model;
  model.Set("model.embed_tokens.weight", Counting({4, 32}));
  for (int expert : {2, 0, 1}) {
    model.Set(ExpertName(expert, "up_proj"), Counting({2, 32}, expert * 100));
  }
  return model;
}

TEST_F(SaveLayoutTest, ExpertsStandInOneTensorInTheOrderOfTheirNumbers) {
  const Model source = Source(QwenModel(), kQwenConfig);
  const Model gguf = Converted(source);
  const TensorEntry& stack = gguf.Get("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(stack.shape, (std::vector<int64_t>{3, 2, 32}));
  const std::vector<float> values = ValuesOf(stack);
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(values[64], 100);
  EXPECT_EQ(values[128 + 63], 263);
  EXPECT_EQ(gguf.metadata().Int("qwen3moe.expert_count"), 3);
  EXPECT_EQ(gguf.metadata().Int("qwen3moe.expert_used_count"), 2);
  EXPECT_EQ(gguf.metadata().Int("qwen3moe.expert_feed_forward_length"), 32);
  const Model back = Back(gguf);
  EXPECT_EQ(back.size(), source.size());
  for (const TensorEntry& entry : source.tensors()) {
    EXPECT_EQ(ValuesOf(back.Get(entry.name)), ValuesOf(entry)) << entry.name;
  }
}

TEST_F(SaveLayoutTest, PackedExpertsComeOutOfTheirStackOneByOne) {
  const Model source = Source(QwenModel(), kQwenConfig);
  const Model gguf = Converted(source, {"q8_0", NameLayout::kUsual});
  EXPECT_EQ(gguf.Get("blk.0.ffn_up_exps.weight").dtype, DType::Q8_0);
  const Model back = Back(gguf);
  const TensorEntry& last = back.Get(ExpertName(2, "up_proj"));
  EXPECT_EQ(last.dtype, DType::F16);
  EXPECT_EQ(last.shape, (std::vector<int64_t>{2, 32}));
}

TEST_F(SaveLayoutTest, ExpertsThatDoNotFitTogetherAreNamed) {
  const auto failure = [&](Model model) {
    const Model source = Source(model, kQwenConfig);
    return FailureOf([&] { SaveModel(source, Path("m.gguf")); });
  };
  Model missing = QwenModel();
  missing.Remove(ExpertName(1, "up_proj"));
  EXPECT_EQ(failure(std::move(missing)),
            "tensor 'model.layers.0.mlp.experts.2.up_proj.weight': the one of "
            "expert 1 is missing");
  Model narrow = QwenModel();
  narrow.Set(ExpertName(1, "up_proj"), Counting({1, 32}));
  EXPECT_EQ(failure(std::move(narrow)),
            "tensor 'model.layers.0.mlp.experts.1.up_proj.weight': is [1, 32], "
            "that of another expert of the layer [2, 32]");
  Model mixed = QwenModel();
  mixed.Set(ExpertName(1, "up_proj"), MakeTensor(DType::F16, {2, 32}));
  EXPECT_EQ(
      failure(std::move(mixed)),
      "tensor 'model.layers.0.mlp.experts.1.up_proj.weight': is F16, that "
      "of another expert F32; ask for one type");
}

TEST_F(SaveLayoutTest, ExpertsWhoseSharesGgufCountsDifferentlyAreRefused) {
  const Model source = Source(
      QwenModel(), R"({"model_type": "qwen3_moe", "norm_topk_prob": false})");
  EXPECT_EQ(FailureOf([&] { SaveModel(source, Path("m.gguf")); }),
            fmt::format("'{}': its config.json says \"norm_topk_prob\": false, "
                        "in GGUF it is true for 'qwen3_moe'",
                        Path("hf")));
}

TEST_F(SaveLayoutTest, PositionsWithFactorsOfTheirOwnStayAsTheyAre) {
  for (const char* scaling :
       {R"("rope_type": "yarn", "factor": 4, "truncate": false)",
        R"("rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
           "high_freq_factor": 4)"}) {
    Model model;
    model.Set("model.embed_tokens.weight", Counting({4, 32}));
    const Model source = Source(
        model, fmt::format(R"({{"model_type": "qwen3", "head_dim": 16,
            "num_attention_heads": 4, "rope_scaling": {{{},
            "original_max_position_embeddings": 256}}}})",
                           scaling));
    const RopeSettings expected = *RopeOf(source);
    ASSERT_FALSE(expected.factors.empty());
    const auto check = [&](const Model& gguf) {
      const RopeSettings rope = *RopeOf(gguf);
      ASSERT_EQ(rope.frequencies.size(), expected.frequencies.size());
      for (size_t i = 0; i < rope.frequencies.size(); ++i) {
        EXPECT_FLOAT_EQ(rope.frequencies[i], expected.frequencies[i]);
      }
      EXPECT_FLOAT_EQ(rope.scale, expected.scale);
    };
    check(Converted(source));
    // Loaded in GGUF's layout, and then saved.
    check(Converted(InGgufLayout(LoadModel(Path("hf"))).model));
  }
}

TEST_F(SaveLayoutTest, AnotherActivationThanGgufsIsRefused) {
  Model model;
  model.Set("model.embed_tokens.weight", Counting({4, 32}));
  const Model source =
      Source(model, R"({"model_type": "qwen3", "hidden_act": "gelu"})");
  const std::string told = fmt::format(
      "'{}': its config.json says \"hidden_act\": \"gelu\", in GGUF it is "
      "\"silu\" for 'qwen3'",
      Path("hf"));
  EXPECT_EQ(FailureOf([&] { SaveModel(source, Path("m.gguf")); }), told);
  EXPECT_EQ(FailureOf([&] { InGgufLayout(LoadModel(Path("hf"))); }), told);
}

TEST_F(SaveLayoutTest, MatricesOfGpt2AreTransposedInEveryType) {
  Model model;
  model.Set("wte.weight", Counting({4, 32}));
  model.Set("wpe.weight", Counting({4, 32}));
  model.Set("h.0.mlp.c_fc.weight", Counting({32, 128}));
  model.Set("h.0.mlp.c_fc.bias", Counting({128}));
  model.Set("h.0.attn.bias", Counting({1, 1, 4, 4}));  // a buffer of old models
  const Model source =
      Source(model, R"({"model_type": "gpt2", "n_embd": 32, "n_inner": null})");
  const Model gguf = Converted(source);
  EXPECT_EQ(gguf.size(), 4);
  EXPECT_EQ(gguf.metadata().Int("gpt2.feed_forward_length"), 128);
  const TensorEntry& up = gguf.Get("blk.0.ffn_up.weight");
  EXPECT_EQ(up.shape, (std::vector<int64_t>{128, 32}));
  EXPECT_EQ(ValuesOf(up)[33], 128 + 1);
  const Model back = Back(gguf);
  EXPECT_EQ(ValuesOf(back.Get("transformer.h.0.mlp.c_fc.weight")),
            ValuesOf(source.Get("h.0.mlp.c_fc.weight")));
  const Model packed = Converted(source, {"q8_0", NameLayout::kUsual});
  EXPECT_EQ(packed.Get("blk.0.ffn_up.weight").dtype, DType::Q8_0);
  EXPECT_EQ(packed.Get("position_embd.weight").dtype, DType::F32);
  std::filesystem::remove_all(Path("back"));
  const Model unpacked = Back(packed, "f32");
  const TensorEntry& column = unpacked.Get("transformer.h.0.mlp.c_fc.weight");
  EXPECT_EQ(column.shape, (std::vector<int64_t>{32, 128}));
  const std::vector<float> values = ValuesOf(column);
  for (int i = 0; i < 32 * 128; ++i) {
    // Half of the step of a block whose largest number is 31 * 128 + 127.
    ASSERT_NEAR(values[i], i, 4095.0 / 127 / 2 + 1);
  }
}

TEST_F(SaveLayoutTest, ModelsThatKeepTheirNamesInGgufSayWhy) {
  Model model;
  model.Set("model.embed_tokens.weight", Counting({2}));
  const auto notes = [&](const Model& saved, std::string_view config) {
    return SaveModel(Source(saved, config), Path("m.gguf"));
  };
  EXPECT_EQ(notes(model, R"({"model_type": "rwkv"})"),
            SaveNotes{kKeptNames +
                      fmt::format("the layout of 'rwkv' in GGUF is not known "
                                  "here, only of {}",
                                  FamilyNames())});
  EXPECT_EQ(notes(model, "{}"),
            SaveNotes{kKeptNames +
                      std::string("its config.json says no 'model_type'")});
  std::filesystem::remove(Path("hf/config.json"));
  EXPECT_EQ(SaveModel(LoadModel(Path("hf")), Path("m.gguf")),
            SaveNotes{kKeptNames + std::string("there is no config.json beside "
                                               "the model")});
  Model other;
  other.Set("encoder.weight", Counting({2}));
  EXPECT_EQ(notes(other, R"({"model_type": "llama"})"),
            SaveNotes{kKeptNames + std::string("they are not those of 'llama' "
                                               "in transformers")});
  EXPECT_EQ(SaveModel(other, Path("m.gguf")), SaveNotes{});
  SaveOptions kept;
  kept.layout = NameLayout::kHuggingFace;
  EXPECT_EQ(SaveModel(Source(model, "{}"), Path("m.gguf"), kept), SaveNotes{});
}

TEST_F(SaveLayoutTest, MoreBytesThanAnyFileHasAreRefusedWithThePath) {
  TensorEntry huge;
  huge.dtype = DType::U8;
  huge.elements = huge.bytes = int64_t{1} << 62;
  huge.shape = {huge.elements};
  Model model;
  model.Set("a", huge);
  model.Set("b", huge);
  for (const char* name : {"m.gguf", "m.safetensors"}) {
    EXPECT_EQ(FailureOf([&] { SaveModel(model, Path(name)); }),
              Path(name) + ": the tensors need more than 2^62 bytes");
  }
}

}  // namespace
}  // namespace tl
