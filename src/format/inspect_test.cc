#include "format/inspect.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "format/load.h"
#include "format/save.h"
#include "format/test_files.h"

namespace tl {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

template <class T>
Tensor Stored(DType dtype, const std::vector<T>& values) {
  Tensor tensor = MakeTensor(dtype, Shape{static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<T>());
  return tensor;
}

class InspectTest : public TempFolderTest {};

TEST_F(InspectTest, SummarizesByType) {
  Model model;
  model.Set("a", Stored<float>(DType::F32, {1, 2, 3}));
  model.Set("b", Stored<uint16_t>(DType::F16, {1, 2, 3, 4, 5, 6, 7, 8}));
  model.Set("c", Stored<float>(DType::F32, {1}));
  SaveModel(model, Path("m.safetensors"));

  const ModelSummary summary = Summarize(LoadModel(Path("m.safetensors")));
  EXPECT_EQ(summary.file_bytes,
            static_cast<int64_t>(std::filesystem::file_size(Path("m.safetensors"))));
  EXPECT_EQ(summary.parameters, 12);
  ASSERT_EQ(summary.types.size(), 2u);
  EXPECT_EQ(summary.types[0].type, "F32");
  EXPECT_EQ(summary.types[0].tensors, 2);
  EXPECT_EQ(summary.types[0].elements, 4);
  EXPECT_EQ(summary.types[0].bytes, 16);
  EXPECT_EQ(summary.types[1].type, "F16");
  EXPECT_EQ(summary.types[1].bytes, 16);
}

TEST_F(InspectTest, CountsWhatFloat16CannotHold) {
  Model model;
  model.Set("w",
            Stored<float>(DType::F32, {1, -3, 65519.996f, 65520, -1e30f, 0,
                                       0x1p-25f, std::nextafter(0x1p-25f, 1.0f),
                                       kInf, -kInf, std::nanf("")}));
  const TensorStats stats = *ComputeStats(model.Get("w"));
  EXPECT_EQ(stats.elements, 11);
  EXPECT_EQ(stats.nan, 1);
  EXPECT_EQ(stats.infinite, 2);
  EXPECT_EQ(stats.overflow, 2);
  EXPECT_EQ(stats.flushed, 1);
  EXPECT_EQ(stats.min, -1e30f);
  EXPECT_EQ(stats.max, 65520);
}

TEST_F(InspectTest, TotalsOfClaimedElementsDoNotWrap) {
  Model model;
  for (const char* name : {"a", "b", "c"}) {
    TensorEntry claim;
    claim.foreign_type = "type 97";
    claim.elements = int64_t{1} << 62;
    model.Set(name, claim);
  }
  const ModelSummary summary = Summarize(model);
  EXPECT_EQ(summary.parameters, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(summary.types[0].elements, std::numeric_limits<int64_t>::max());
}

TEST_F(InspectTest, TheMeanLosesNothingToOrder) {
  std::vector<double> values(300'001, 1e-8);
  values.front() = 1e16;
  values.back() = -1e16;
  Model model;
  model.Set("w", Stored(DType::F64, values));
  for (int threads : {1, 3}) {
    SetThreads(threads);
    EXPECT_NEAR(ComputeStats(model.Get("w"))->mean, 299'999e-8 / 300'001,
                1e-20);
  }
  SetThreads(DefaultThreads());
}

TEST_F(InspectTest, EmptyTensorsAndPackedTypesHaveNoNumbers) {
  Model model;
  model.Set("none", Stored<float>(DType::F32, {}));
  TensorEntry packed;
  packed.dtype = DType::F4;
  model.Set("packed", packed);
  EXPECT_EQ(ComputeStats(model.Get("none"))->elements, 0);
  EXPECT_EQ(ComputeStats(model.Get("none"))->mean, 0);
  EXPECT_EQ(ComputeStats(model.Get("packed")), std::nullopt);
}

TEST_F(InspectTest, HashesAFile) {
  const auto file = MappedFile::Open(Make("f", "abc"));
  EXPECT_EQ(Sha256OfFile(*file),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(InspectTest, CheckingFindsWhatLoadingDoesNotSee) {
  Model model;
  model.Set("mask", Stored<uint8_t>(DType::BOOL, {0, 1, 2, 255}));
  model.Set("x.weight", Stored<uint8_t>(DType::F8_E4M3, {1, 2, 3}));
  model.Set("x.weight_scale", Stored<float>(DType::F32, {1, 2}));
  const CheckReport report = CheckEveryByte(model);
  EXPECT_EQ(report.bytes, 15);
  EXPECT_EQ(report.findings,
            (std::vector<std::string>{
                "tensor 'mask': 2 of 4 BOOL elements are neither 0 nor 1",
                "tensor 'x.weight' of shape [3] has a scale 'x.weight_scale' "
                "of shape [2], a layout that is not known"}));
}

// Of so many blocks: a scale of 1 and the number 2 everywhere, but for what
// change() does to the bytes of the blocks.
template <class F>
TensorEntry PackedTwos(int64_t blocks, F&& change) {
  TensorEntry entry;
  entry.dtype = DType::Q8_0;
  entry.elements = 32 * blocks;
  entry.bytes = 34 * blocks;
  entry.shape = {blocks, 32};
  entry.data = AllocateHost(entry.bytes);
  std::memset(entry.data.get(), 2, entry.bytes);
  const uint16_t one = 0x3c00;
  for (int64_t i = 0; i < blocks; ++i) {
    std::memcpy(entry.data.get() + 34 * i, &one, sizeof(one));
  }
  change(entry.data.get());
  return entry;
}

TEST_F(InspectTest, PackedTypesHaveTheNumbersThatTheyStandFor) {
  Model model;
  // In the last of several pieces of work.
  model.Set("w", PackedTwos(10'000, [](std::byte* bytes) {
              bytes[34 * 10'000 - 1] = std::byte{100};
            }));
  const TensorStats stats = ComputeStats(model.Get("w")).value();
  EXPECT_EQ(stats.elements, 320'000);
  EXPECT_EQ(stats.min, 2);
  EXPECT_EQ(stats.max, 100);
  EXPECT_NEAR(stats.mean, 2 + 98 / 320'000.0, 1e-12);
}

TEST_F(InspectTest, CheckingLooksAtTheScalesOfPackedTypes) {
  Model model;
  const auto set_scale = [](uint16_t bits) {
    return [bits](std::byte* bytes) {
      std::memcpy(bytes + 34, &bits, sizeof(bits));
    };
  };
  model.Set("fine", PackedTwos(4, [](std::byte*) {}));
  model.Set("nan", PackedTwos(4, set_scale(0x7e00)));
  model.Set("large", PackedTwos(4, set_scale(0x7bff)));
  TensorEntry mxfp4;  // whose scale of 255 is none
  mxfp4.dtype = DType::MXFP4;
  mxfp4.elements = 64;
  mxfp4.bytes = 34;
  mxfp4.shape = {2, 32};
  mxfp4.data = AllocateHost(34);
  std::memset(mxfp4.data.get(), 0, 34);
  mxfp4.data.get()[17] = std::byte{255};
  model.Set("mxfp4", mxfp4);
  EXPECT_EQ(CheckEveryByte(model).findings,
            (std::vector<std::string>{
                "tensor 'nan': 32 of 128 values are NaN or inf",
                "tensor 'large': 32 of 128 values exceed float16",
                "tensor 'mxfp4': 32 of 64 values are NaN or inf"}));
}

TEST_F(InspectTest, CheckingLooksForNanInTheTensorsOfGguf) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* format : {"GGUF", "SafeTensors"}) {
    Model model("m", format);
    model.Set("w", Stored<float>(DType::F32, {1, nan}));
    std::vector<std::string> expected;
    if (model.format() == "GGUF") {
      expected = {"tensor 'w': 1 of 2 values are NaN or inf"};
    }
    EXPECT_EQ(CheckEveryByte(model).findings, expected) << format;
  }
}

TEST_F(InspectTest, CheckingFailsOnAFileThatShrinks) {
  Model model;
  model.Set("w", Stored<float>(DType::F32, std::vector<float>(100'000, 1)));
  SaveModel(model, Path("m.safetensors"));
  const Model loaded = LoadModel(Path("m.safetensors"));
  const auto size = std::filesystem::file_size(Path("m.safetensors"));
  std::filesystem::resize_file(Path("m.safetensors"), 5000);
  EXPECT_EQ(FailureOf([&] { CheckEveryByte(loaded); }),
            fmt::format("{}: shrank from {} to 5000 bytes while it was in use",
                        Path("m.safetensors"), size));
}

}  // namespace
}  // namespace tl
