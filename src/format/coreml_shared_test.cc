// Real CoreML models that other people made: see format/test_files.h.
#include <gtest/gtest.h>

#include "format/coreml.h"
#include "format/diff.h"
#include "format/load.h"
#include "format/save.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {
namespace {

class SharedCoreMlTest : public TempFolderTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(SharedModels())) {
      GTEST_SKIP() << SharedModels() << " is not on this machine";
    }
  }
  static Model Load(const std::string& name) {
    return LoadModel(SharedModels() + "/coreml/" + name);
  }
  static std::vector<float> Values(const Model& model,
                                   const std::string& name) {
    const TensorEntry& entry = model.Get(name);
    std::vector<float> values(entry.elements);
    Decode(*entry.dtype, entry.stored(), values);
    return values;
  }
};

TEST_F(SharedCoreMlTest, ReadsTheLayersOfANetworkInPlace) {
  const Model model = Load("MNIST.mlmodel");
  EXPECT_EQ(model.format(), "CoreML");
  EXPECT_EQ(model.format_version(), 1);
  EXPECT_EQ(model.metadata().Text("coreml.kind"), "neuralNetwork");
  EXPECT_EQ(model.metadata().Text("coreml.input.image"),
            "image grayscale 28 x 28: Image to analyze");
  ASSERT_EQ(model.size(), 8);
  const TensorEntry& weights = model.Get("dense_1.weights");
  EXPECT_EQ(weights.dtype, DType::F32);
  EXPECT_EQ(weights.shape, (std::vector<int64_t>{128, 4608}));
  EXPECT_NE(weights.file, nullptr);
  // The message has a place in the file, not the numbers.
  const CoreMl* program = CoreMl::Of(model);
  ASSERT_NE(program, nullptr);
  const auto& layers = program->spec().neural_network().layers();
  int found = 0;
  for (const auto& layer : layers) {
    if (!layer.has_inner_product()) continue;
    EXPECT_TRUE(layer.inner_product().weights().float_value().empty());
    EXPECT_EQ(program->TensorOf(layer.inner_product().weights()),
              layer.name() + ".weights");
    ++found;
  }
  EXPECT_EQ(found, 2);
}

TEST_F(SharedCoreMlTest, ReadsThePackageOfAProgramWithLoops) {
  const Model model = Load("DTLN_AEC_128_Part1.mlpackage");
  EXPECT_EQ(model.size(), 12);
  EXPECT_EQ(model.metadata().Text("coreml.kind"), "mlProgram");
  EXPECT_EQ(model.metadata().Text("coreml.input.states_in"),
            "float16 [1..2, 2, 128, 2]");
  const TensorEntry& entry =
      model.Get("DTLN_AEC_Part1_dense_mask_1_Tensordot_ReadVariableOp_to_fp16");
  EXPECT_EQ(entry.dtype, DType::F16);
  EXPECT_EQ(entry.shape, (std::vector<int64_t>{128, 257}));
}

TEST_F(SharedCoreMlTest, ReadsTheTextOfACompiledProgram) {
  const Model model = Load("silero_vad.mlmodelc");
  EXPECT_EQ(model.format_version(), 6);
  EXPECT_EQ(model.size(), 35);
  const CoreMl* program = CoreMl::Of(model);
  ASSERT_NE(program, nullptr);
  const auto& spec = program->spec();
  ASSERT_EQ(spec.description().input_size(), 1);
  EXPECT_EQ(spec.description().input(0).name(), "audio_chunk");
  EXPECT_EQ(spec.description().input(0).type().multi_array_type().data_type(),
            coreml::spec::ArrayType::FLOAT32);
  const auto& main = spec.ml_program().functions().at("main");
  EXPECT_EQ(main.opset(), "CoreML5");
  EXPECT_EQ(main.block_specializations().at("CoreML5").outputs(0),
            "vad_probability");
  EXPECT_EQ(Values(model, "vad_decoder_conv_bias_to_fp16").size(), 1u);
}

TEST_F(SharedCoreMlTest, ReadsACompiledProgramWithoutTensors) {
  const Model model = Load("add_model.mlmodelc");
  EXPECT_EQ(model.size(), 0);
  EXPECT_EQ(model.metadata().Text("coreml.input.x"), "float16 [1, 10]");
}

TEST_F(SharedCoreMlTest, BecomesSafeTensorsWithTheSameBytes) {
  const Model model = Load("silero_vad.mlmodelc");
  SaveModel(model, Path("m.safetensors"), {});
  const ModelDifference difference =
      Compare(model, LoadModel(Path("m.safetensors")));
  EXPECT_EQ(difference.same_tensors, 35);
  EXPECT_TRUE(difference.tensors.empty());
}

}  // namespace
}  // namespace tl
