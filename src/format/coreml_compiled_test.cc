#include "format/coreml_compiled.h"

#include <gtest/gtest.h>

#include "format/compiled_metadata.h"
#include "format/coreml_test_file.h"
#include "format/load.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {
namespace {

namespace spec = coreml::spec;
using Sizes = std::vector<int64_t>;

class CompiledCoreMlTest : public TempFolderTest {
 protected:
  spec::Model Described(const std::string& json) {
    spec::Model model;
    ReadCompiledMetadata(Make("metadata.json", json), model);
    return model;
  }
  static Sizes Shape(const spec::ArrayType& array) {
    return {array.shape().begin(), array.shape().end()};
  }
};

TEST_F(CompiledCoreMlTest, MetadataDescribesInputsAndOutputs) {
  const spec::Model model = Described(R"([{
    "specificationVersion": 8, "author": "A", "license": "L", "version": "1.0",
    "shortDescription": "what", "modelType": {"name": "MLModelType_mlProgram"},
    "userDefinedMetadata": {"key": "text", "scale": 1.5, "huge": 1e300},
    "inputSchema": [
      {"name": "x", "type": "MultiArray", "dataType": "Float16", "shape": "[1, 3]",
       "hasShapeFlexibility": "1", "shapeRange": "[[1, 64], [3, -1]]",
       "isOptional": "1"},
      {"name": "y", "type": "MultiArray", "dataType": "Int32", "shape": "[2]",
       "enumeratedShapes": "[[2], [4]]"},
      {"name": "i", "type": "Image", "width": "20", "height": "10",
       "colorspace": "BGR", "isColor": "1"}],
    "outputSchema": [
      {"name": "p", "type": "Dictionary", "keyType": "String"},
      {"name": "l", "type": "String"}],
    "stateSchema": [{"name": "s", "type": "State", "dataType": "Float16",
                     "shape": "[4]"}]}])");
  EXPECT_EQ(model.specification_version(), 8);
  const spec::ModelDescription& about = model.description();
  EXPECT_EQ(about.metadata().author(), "A");
  EXPECT_EQ(about.metadata().user_defined().at("key"), "text");
  EXPECT_EQ(about.metadata().user_defined().at("scale"), "1.5");
  EXPECT_EQ(about.metadata().user_defined().at("huge"), "1e+300");
  ASSERT_EQ(about.input_size(), 3);
  EXPECT_TRUE(about.input(0).type().is_optional());
  const spec::ArrayType& x = about.input(0).type().multi_array_type();
  EXPECT_EQ(x.data_type(), spec::ArrayType::FLOAT16);
  EXPECT_EQ(Shape(x), (Sizes{1, 3}));
  EXPECT_EQ(x.shape_range().size_ranges(0).upper_bound(), 64);
  EXPECT_EQ(x.shape_range().size_ranges(1).upper_bound(), -1);
  const spec::ArrayType& y = about.input(1).type().multi_array_type();
  EXPECT_EQ(y.data_type(), spec::ArrayType::INT32);
  EXPECT_EQ(y.enumerated_shapes().shapes(1).shape(0), 4);
  const spec::ImageType& image = about.input(2).type().image_type();
  EXPECT_EQ(image.width(), 20);
  EXPECT_EQ(image.height(), 10);
  EXPECT_EQ(image.color_space(), spec::ImageType::BGR);
  EXPECT_TRUE(about.output(0).type().dictionary_type().has_string_key_type());
  EXPECT_TRUE(about.output(1).type().has_string_type());
  EXPECT_EQ(Shape(about.state(0).type().state_type().array_type()), (Sizes{4}));
}

TEST_F(CompiledCoreMlTest, WithoutMetadataTheProgramDescribesItself) {
  Make("model.mil", R"(program(1.0) { func main<ios15>(
      tensor<fp32, [2, ?]> x) {
      tensor<fp16, [3]> y = op(x = x)[name = string("y")]; } -> (y); })");
  const Model model = LoadModel(folder_);
  EXPECT_EQ(model.metadata().Text("coreml.input.x"), "float32 [2, 1..]");
  EXPECT_EQ(model.metadata().Text("coreml.output.y"), "float16 [3]");
}

TEST_F(CompiledCoreMlTest, ReadsTheWeightsOfANetwork) {
  Make("coremldata.bin", "");
  Make("model.espresso.net", R"({"layers": [
    {"name": "c", "type": "convolution", "C": 2, "K": 1, "Nx": 1, "Ny": 1,
     "blob_weights": 3, "blob_biases": 1, "hint": {"a": [1]}},
    {"name": "fc", "nB": 2, "nC": 2, "blob_weights": 5}], "version": "1"})");
  std::string weights = BytesOfNumbers<uint32_t>({4, 0});
  weights += BytesOfNumbers<uint32_t>({1, 0, 8, 0});
  weights += BytesOfNumbers<uint32_t>({2, 0, 4, 0});
  weights += BytesOfNumbers<uint32_t>({3, 0, 8, 0});
  weights += BytesOfNumbers<uint32_t>({5, 0, 16, 0});
  weights += BytesOfNumbers<float>({1, 2, 0, 3, 4, 5, 6, 7, 8});
  Make("model.espresso.weights", weights);
  const Model model = LoadModel(folder_);
  EXPECT_EQ(model.size(), 3);
  EXPECT_EQ(model.program(), nullptr);
  EXPECT_EQ(model.Get("c.weights").shape, (Sizes{2, 1, 1, 1}));
  EXPECT_EQ(model.Get("fc.weights").shape, (Sizes{2, 2}));
  EXPECT_EQ(FirstFloat(model.Get("c.bias").stored().data()), 1);
  EXPECT_EQ(FirstFloat(model.Get("c.weights").stored().data()), 3);
  Make("model.espresso.weights", weights.substr(0, weights.size() - 1));
  EXPECT_EQ(FailureOf([&] { LoadModel(folder_); }),
            Path("model.espresso.weights") +
                ": byte 92: blob 5 needs 16 bytes, 15 left");
  Make("model.espresso.weights", BytesOfNumbers<uint32_t>({0, 0}));
  EXPECT_EQ(FailureOf([&] { LoadModel(folder_); }),
            Path("model.espresso.net") + ": layer 'c' needs blob 3, which " +
                Path("model.espresso.weights") + " lacks");
}

TEST_F(CompiledCoreMlTest, NamesWhatItCannotRead) {
  Make("coremldata.bin", "");
  EXPECT_EQ(FailureOf([&] { LoadModel(folder_); }),
            folder_ +
                ": is a compiled CoreML model with neither a program "
                "(model.mil) nor a network (model.espresso.net), as a pipeline "
                "or a tree is; use the model that it was compiled from");
}

}  // namespace
}  // namespace tl
