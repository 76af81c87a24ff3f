#include "format/gguf_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "format/file_type.h"
#include "format/load.h"
#include "format/save.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class GgufWriterTest : public TempFolderTest {
 protected:
  int FilesLeft() const {
    int files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) {
      ++files;
    }
    return files;
  }
};

Tensor Numbers(const Shape& shape, unsigned seed) {
  Tensor tensor = MakeTensor(DType::F32, shape);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    tensor.as<float>()[i] = normal(random);
  }
  return tensor;
}

std::vector<float> Values(const TensorEntry& entry) {
  std::vector<float> values(entry.elements);
  Decode(*entry.dtype, entry.stored(), std::span<float>(values));
  return values;
}

double Error(const TensorEntry& a, const TensorEntry& b) {
  const std::vector<float> x = Values(a), y = Values(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::pow(x[i] - y[i], 2.0);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

Model Small() {
  Model model;
  model.Set("token_embd.weight", Numbers({64, 256}, 1));
  for (int layer = 0; layer < 8; ++layer) {
    const std::string blk = fmt::format("blk.{}.", layer);
    model.Set(blk + "attn_v.weight", Numbers({256, 256}, 2 + layer));
    model.Set(blk + "ffn_norm.weight", Numbers({256}, 20 + layer));
    model.Set(blk + "ffn_up.weight", Numbers({8, 160}, 30 + layer));
  }
  model.Set("output.weight", Numbers({64, 256}, 40));
  model.metadata().Set("general.architecture", "llama");
  model.metadata().Set("llama.block_count", MetadataValue::Of(uint32_t{8}));
  return model;
}

TEST_F(GgufWriterTest, WhatIsWrittenIsReadBack) {
  Model model;
  model.Set("matrix", Numbers({3, 5}, 1));
  model.Set("scalar", Numbers({}, 2));
  model.Set("none", Numbers({0, 4}, 3));
  model.Set("deep", Numbers({2, 3, 4, 5}, 4));
  model.metadata().Set("general.architecture", "odd");
  model.metadata().Set("odd.u8", MetadataValue::Of(uint8_t{7}));
  model.metadata().Set("odd.f64", MetadataValue::Of(0.1));
  model.metadata().Set("odd.yes", MetadataValue::Of(true));
  const std::vector<std::string> texts = {"", "a", "long text"};
  model.metadata().Set("odd.texts", MetadataValue::Strings(texts));
  const std::vector<int32_t> numbers = {-1, 2};
  model.metadata().Set("odd.numbers",
                       MetadataValue::Numbers(std::span(numbers)));
  SaveModel(model, Path("m.gguf"));

  const Model back = LoadModel(Path("m.gguf"));
  EXPECT_EQ(back.format(), "GGUF");
  EXPECT_EQ(back.metadata(), model.metadata());
  ASSERT_EQ(back.size(), 4);
  for (int64_t i = 0; i < 4; ++i) {
    const TensorEntry& a = model.tensors()[i];
    const TensorEntry& b = back.tensors()[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.shape, b.shape);
    EXPECT_EQ(Values(a), Values(b));
    EXPECT_EQ(b.offset() % 32, 0);
  }
}

TEST_F(GgufWriterTest, KeepsTheAlignmentOfTheSource) {
  Model model;
  model.Set("a", Numbers({3}, 1));
  model.Set("b", Numbers({3}, 1));
  model.metadata().Set("general.alignment", MetadataValue::Of(uint32_t{256}));
  SaveModel(model, Path("m.gguf"));
  EXPECT_EQ(LoadModel(Path("m.gguf")).Get("b").offset() % 256, 0);
  model.metadata().Set("general.alignment", MetadataValue::Of(uint32_t{24}));
  SaveModel(model, Path("m.gguf"));
  EXPECT_EQ(LoadModel(Path("m.gguf")).metadata().Find("general.alignment"),
            nullptr);
}

TEST_F(GgufWriterTest, MixesTypesAsAFileTypeSays) {
  const Model model = Small();
  SaveModel(model, Path("m.gguf"), {.type = "q4_k_m"});
  const Model packed = LoadModel(Path("m.gguf"));
  EXPECT_EQ(packed.metadata().Int("general.file_type"), 15);
  EXPECT_EQ(packed.metadata().Int("general.quantization_version"), 2);
  EXPECT_EQ(packed.Get("token_embd.weight").dtype, DType::Q4_K);
  EXPECT_EQ(packed.Get("output.weight").dtype, DType::Q6_K);
  EXPECT_EQ(packed.Get("blk.0.ffn_norm.weight").dtype, DType::F32);
  // Rows of 160 are no whole blocks of 256.
  EXPECT_EQ(packed.Get("blk.0.ffn_up.weight").dtype, DType::Q5_0);
  const char* expected[] = {"Q6_K", "Q4_K", "Q4_K", "Q6_K",
                            "Q4_K", "Q4_K", "Q6_K", "Q6_K"};
  for (int layer = 0; layer < 8; ++layer) {
    const std::string name = fmt::format("blk.{}.attn_v.weight", layer);
    EXPECT_EQ(packed.Get(name).type_name(), expected[layer]) << layer;
    EXPECT_LT(Error(packed.Get(name), model.Get(name)), 0.075);
  }
}

TEST_F(GgufWriterTest, LargeTensorsAreTheSameAsSmallOnes) {
  // More than one slab, and a last chunk that is not whole.
  Model large, small;
  const Tensor values = Numbers({5000, 1056}, 9);
  large.Set("w", values);
  SaveModel(large, Path("large.gguf"), {.type = "q8_0"});
  Tensor first = MakeTensor(DType::F32, {1, 1056});
  std::copy_n(values.as<float>() + 4999 * 1056, 1056, first.as<float>());
  small.Set("w", first);
  SaveModel(small, Path("small.gguf"), {.type = "q8_0"});
  const Model one = LoadModel(Path("large.gguf"));
  const Model other = LoadModel(Path("small.gguf"));
  // A row by itself has one dimension, as ggml counts, and stays F32.
  EXPECT_EQ(other.Get("w").dtype, DType::F32);
  EXPECT_LT(Error(one.Get("w"), large.Get("w")), 0.0075);
}

TEST_F(GgufWriterTest, PackedTensorsBecomeFloat16InSafeTensors) {
  SaveModel(Small(), Path("m.gguf"), {.type = "q4_0"});
  const Model packed = LoadModel(Path("m.gguf"));
  SaveModel(packed, Path("m.safetensors"));
  const Model plain = LoadModel(Path("m.safetensors"));
  EXPECT_EQ(plain.Get("blk.1.attn_v.weight").dtype, DType::F16);
  EXPECT_EQ(plain.Get("blk.1.ffn_norm.weight").dtype, DType::F32);
  EXPECT_EQ(plain.metadata().Text("general.architecture"), "llama");
  EXPECT_EQ(plain.metadata().Find("llama.block_count")->kind(),
            MetadataKind::U32);
  SaveModel(packed, Path("full.safetensors"), {.type = "f32"});
  const Model full = LoadModel(Path("full.safetensors"));
  EXPECT_EQ(Values(full.Get("blk.1.attn_v.weight")),
            Values(packed.Get("blk.1.attn_v.weight")));
  // And back: the metadata are what they were.
  SaveModel(full, Path("again.gguf"), {.type = "q4_0"});
  EXPECT_EQ(LoadModel(Path("again.gguf")).metadata(), packed.metadata());
}

TEST_F(GgufWriterTest, MetadataSurviveSafeTensors) {
  Model model;
  const std::vector<float> scores = {0, -0.0f, -1, 1e-30f, 3.25f};
  model.metadata().Set("scores", MetadataValue::Numbers(std::span(scores)));
  model.metadata().Set("zero", MetadataValue::Of(-0.0));
  SaveModel(model, Path("m.safetensors"));
  SaveModel(LoadModel(Path("m.safetensors")), Path("m.gguf"));
  EXPECT_EQ(LoadModel(Path("m.gguf")).metadata(), model.metadata());
}

TEST_F(GgufWriterTest, SplitsAtTheSizeThatIsGiven) {
  const Model model = Small();
  SaveShards(model, Path("m.gguf"), {}, 600'000);
  EXPECT_EQ(FilesLeft(), 5);
  const Model back = LoadModel(Path("m-00001-of-00005.gguf"));
  ASSERT_EQ(back.size(), model.size());
  for (const TensorEntry& entry : model.tensors()) {
    EXPECT_EQ(Values(entry), Values(back.Get(entry.name))) << entry.name;
  }
  EXPECT_EQ(back.metadata().Text("general.architecture"), "llama");

  SaveShards(back, Path("m.safetensors"), {}, 600'000);
  const Model shards = LoadModel(Path("m.safetensors.index.json"));
  ASSERT_EQ(shards.size(), model.size());
  for (const TensorEntry& entry : model.tensors()) {
    EXPECT_EQ(Values(entry), Values(shards.Get(entry.name))) << entry.name;
  }
}

TEST_F(GgufWriterTest, OneShardIsAWholeModel) {
  SaveShards(Small(), Path("m.gguf"), {}, 1 << 30);
  EXPECT_EQ(FilesLeft(), 1);
  EXPECT_EQ(LoadModel(Path("m.gguf")).metadata().Find("split.count"), nullptr);
}

TEST_F(GgufWriterTest, RefusesWhatGgufCannotSay) {
  const auto failure = [&](const std::string& name, const Shape& shape) {
    Model model;
    model.Set(name, Numbers(shape, 1));
    return FailureOf([&] { SaveModel(model, Path("m.gguf")); });
  };
  const std::string name(64, 'x');
  EXPECT_EQ(failure(name, {2}),
            "tensor '" + name +
                "': GGUF has names of at most 63 bytes without NUL, this one "
                "has 64");
  EXPECT_EQ(failure("deep", {1, 2, 1, 2, 1}),
            "tensor 'deep': GGUF has at most 4 dimensions, not 5");
  Model model;
  TensorEntry flags;
  flags.name = "flags";
  flags.dtype = DType::BOOL;
  flags.shape = {1};
  flags.elements = flags.bytes = 1;
  flags.data = AllocateHost(1);
  model.Add(flags);
  EXPECT_EQ(FailureOf([&] { SaveModel(model, Path("m.gguf")); }),
            "tensor 'flags': GGUF has no type BOOL");
  EXPECT_EQ(FilesLeft(), 0);
}

TEST_F(GgufWriterTest, ValuesThatATypeCannotHoldAreCounted) {
  Model model;
  Tensor tensor = Numbers({2, 256}, 1);
  tensor.as<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  tensor.as<float>()[300] = -std::numeric_limits<float>::infinity();
  model.Set("w", tensor);
  EXPECT_EQ(
      FailureOf([&] { SaveModel(model, Path("m.gguf"), {.type = "q8_0"}); }),
      "tensor 'w': 2 of 512 values are NaN or inf, which Q8_0 cannot hold");
  Tensor large = Numbers({2, 256}, 1);
  large.as<float>()[7] = 1e6f;
  model.Set("w", large);
  EXPECT_EQ(
      FailureOf([&] { SaveModel(model, Path("m.gguf"), {.type = "f16"}); }),
      "tensor 'w': 1 of 512 values are beyond 65504, the most that F16 holds; "
      "use the type 'f32' or 'bf16'");
  EXPECT_EQ(FilesLeft(), 0);
  // Floating types have NaN and inf of their own.
  model.Set("w", tensor);
  SaveModel(model, Path("m.gguf"), {.type = "bf16"});
  const std::vector<float> back = Values(LoadModel(Path("m.gguf")).Get("w"));
  EXPECT_TRUE(std::isnan(back[7]));
  EXPECT_EQ(back[300], -std::numeric_limits<float>::infinity());
}

TEST_F(GgufWriterTest, NamesTheTypesThatThereAre) {
  EXPECT_EQ(
      FailureOf([&] { SaveModel(Small(), Path("m.gguf"), {.type = "q9"}); }),
      "there is no type 'q9'; known are f32, f16, bf16, q4_0, q4_1, q5_0, "
      "q5_1, q8_0, q2_k, q2_k_s, q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, "
      "q5_k_s, q5_k_m, q6_k, iq4_nl, iq4_xs, tq1_0, tq2_0, mxfp4, nvfp4, q1_0, "
      "q2_0");
  EXPECT_EQ(FailureOf([&] {
              SaveModel(Small(), Path("m.safetensors"), {.type = "q4_0"});
            }),
            "SafeTensors has no type 'q4_0'; it holds f32, f16 and bf16");
  EXPECT_EQ(FilesLeft(), 0);
}

TEST_F(GgufWriterTest, EveryFileTypeCanBeWritten) {
  const Model model = Small();
  for (std::string_view type : FileTypeNames()) {
    SaveModel(model, Path("m.gguf"), {.type = std::string(type)});
    const Model packed = LoadModel(Path("m.gguf"));
    EXPECT_EQ(packed.metadata().Int("general.file_type"),
              FindFileType(type).number);
    for (const TensorEntry& entry : packed.tensors()) {
      EXPECT_LT(Error(entry, model.Get(entry.name)), 1)
          << type << ' ' << entry.name;
    }
  }
}

}  // namespace
}  // namespace tl
