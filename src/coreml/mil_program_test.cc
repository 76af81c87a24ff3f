// Programs that are wrong, or hostile: each ends in an error before anything is
// computed. What right ones compute is tests/coreml_predict_test.py.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "coreml/predictor.h"
#include "format/coreml_loader.h"
#include "format/mil_text.h"

namespace tl::coreml {
namespace {

// Builds the graph and never runs it.
class TestHost final : public Host {
 public:
  Builder& builder() override { return builder_; }
  DType dtype() const override { return DType::F16; }
  TensorRef Weight(std::string_view name) override {
    Fail(ErrorKind::kInternal, "weight '{}' is asked for", name);
  }
  const Tensor& Evaluate(const TensorRef& tensor) override {
    const NodePtr node = AsNode(tensor);
    if (!node->has_value()) {
      Fail(ErrorKind::kInternal, "a tensor would be computed");
    }
    return node->value();
  }
  void MayRun() override {}

 private:
  Builder builder_;
};

// The shape of y, or the error, of a program with these operations over an x of
// shape [2, 4, 6, 6] and a v of shape [3].
std::string Built(const std::string& operations,
                  const std::string& folder = "") {
  const std::string text = "program(1.0) { func main<ios16>("
      "tensor<fp16, [2, 4, 6, 6]> x, tensor<fp16, [3]> v) {" +
      operations + "} -> (y); }";
  try {
    auto messages = std::make_shared<CoreMlMessages>("m", text.size());
    ReadMilText("m", text, *messages);
    spec::Model& spec = messages->model();
    for (const auto& [name, sizes] :
         {std::pair("x", std::vector<int64_t>{2, 4, 6, 6}), {"v", {3}}}) {
      spec::Feature& input = *spec.mutable_description()->add_input();
      input.set_name(name);
      spec::ArrayType& array =
          *input.mutable_type()->mutable_multi_array_type();
      array.set_data_type(spec::ArrayType::FLOAT16);
      for (int64_t size : sizes) array.add_shape(size);
    }
    spec.mutable_description()->add_output()->set_name("y");
    const Model model = CoreMlLoader("m", CoreMlMessages::ModelOf(messages),
                                    nullptr, folder)
                            .Load();
    TestHost host;
    const auto predictor = Predictor::Open(model, host);
    const auto zeros = [&](Shape shape) {
      Tensor tensor = MakeTensor(DType::F16, shape);
      std::fill_n(tensor.as<uint16_t>(), tensor.size(), uint16_t{0});
      return Value(host.builder().Leaf(std::move(tensor)));
    };
    const std::vector<NamedValue> results = predictor->Predict(
        {{"x", zeros({2, 4, 6, 6})}, {"v", zeros({3})}});
    return results[0].value.tensor->shape().ToString();
  } catch (const Error& error) {
    return error.text();
  }
}

// An input written as MIL text.
std::string Ints(const std::string& list, int count) {
  return "tensor<int32, [" + std::to_string(count) + "]>([" + list + "])";
}
std::string Int(const std::string& number) {
  return "tensor<int32, []>(" + number + ")";
}
std::string Op(const std::string& call) {
  return "tensor<fp16, [1]> y = " + call + "[name = string(\"y\")];";
}

TEST(MilProgram, RefusesWhatDoesNotRunBeforeAnythingIsComputed) {
  EXPECT_EQ(Built("tensor<fp16, [3]> a = affine(x = x)[name = string(\"a\")];"
                  "tensor<fp16, [3]> b = read_state(x = x)[name = string(\"b\")];" +
                  Op("relu(x = b)")),
            "predict: operation 'affine' that makes 'a' does not run here, nor "
            "does 1 other kind: read_state");
  EXPECT_EQ(Built(Op("relu(x = z)")), "'z' is used before it is made");
  EXPECT_EQ(Built(Op("relu(q = x)")), "input 'x' is missing");
}

TEST(MilProgram, RefusesShapesThatAreNone) {
  EXPECT_EQ(Built(Op("fill(shape = " + Ints("2, -3", 2) + ")")),
            "a shape of [2, -3]");
  EXPECT_EQ(Built(Op("reshape(x = x, shape = " + Ints("-1, -1", 2) + ")")),
            "a shape of [288, -1]");
  EXPECT_EQ(Built(Op("reshape(x = x, shape = " + Ints("0, -1", 2) + ")")),
            "[2, 144]");
  EXPECT_EQ(Built(Op("reshape(x = x, shape = " + Ints("5, -1", 2) + ")")),
            "cannot reshape [2, 4, 6, 6] (288 elements) to [5, 57] (285 "
            "elements)");
  EXPECT_EQ(Built(Op("one_hot(indices = v, one_hot_vector_size = " +
                     Int("-2") + ")")),
            "a one-hot vector of -2");
}

TEST(MilProgram, RefusesAxesThatAreNotThere) {
  EXPECT_EQ(Built(Op("softmax(x = x, axis = " + Int("4") + ")")),
            "axis 4 of a tensor of rank 4");
  EXPECT_EQ(Built(Op("reduce_sum(x = x, axes = " + Ints("1, -3", 2) + ")")),
            "axis -3 stands twice in input 'axes'");
  EXPECT_EQ(Built(Op("transpose(x = x, perm = " + Ints("0, 1, 2, 2", 4) + ")")),
            "axis 2 stands twice in input 'perm'");
  EXPECT_EQ(Built(Op("transpose(x = x, perm = " + Ints("1, 0", 2) + ")")),
            "perm [1, 0] does not order the axes of [2, 4, 6, 6]");
}

TEST(MilProgram, RefusesWindowsThatMakeNoSense) {
  const std::string kernel = "kernel_sizes = " + Ints("2, 2", 2);
  EXPECT_EQ(Built(Op("max_pool(x = x, " + kernel + ", strides = " +
                     Ints("0, 1", 2) + ", pad_type = string(\"same\"))")),
            "a window: a stride of 0; expected 1 to 1073741824");
  EXPECT_EQ(Built(Op("max_pool(x = x, " + kernel + ", strides = " +
                     Ints("0, 1", 2) + ", ceil_mode = bool(true))")),
            "pooling: a stride of 0; expected 1 to 1073741824");
  EXPECT_EQ(Built(Op("avg_pool(x = x, " + kernel + ", strides = " +
                     Ints("2, 2", 2) + ", ceil_mode = bool(true))")),
            "[2, 4, 3, 3]");
  EXPECT_EQ(Built(Op("pad(x = x, pad = " + Ints("-1, 0", 2) + ")")),
            "pad: -1 is negative; slice to make x smaller");
  EXPECT_EQ(Built(Op("upsample_bilinear(x = x, scale_factor_height = "
                     "tensor<fp32, []>(nan))")),
            "an image is scaled by nan and 1");
  EXPECT_EQ(Built(Op("depth_to_space(x = x, block_size = " + Int("-1") + ")")),
            "'block_size' is -1");
}

TEST(MilProgram, RefusesPlacesThatAreNotThere) {
  EXPECT_EQ(Built(Op("slice_by_size(x = v, begin = " + Ints("2", 1) +
                     ", size = " + Ints("2", 1) + ")")),
            "2 from 2 of axis 0 of shape [3]");
  EXPECT_EQ(Built(Op("gather(x = x, indices = v, batch_dims = " + Int("2") +
                     ")")),
            "'batch_dims' is 2; expected 0 to 0");
  EXPECT_EQ(Built(Op("gather_nd(x = v, indices = " + Ints("0, 1", 2) + ")")),
            "indices of shape [2] into 1 axes");
  EXPECT_EQ(Built(Op("scatter(data = v, indices = " + Ints("1, -2", 2) +
                     ", updates = " + "tensor<fp16, [2]>([1, 2])" +
                     ", mode = string(\"add\"))")),
            "index 1 stands twice; mode 'add' runs here for indices that "
            "differ");
  EXPECT_EQ(Built(Op("split(x = v, num_splits = " + Int("2") + ")")),
            "axis 0 of shape [3] does not divide into 2");
}

TEST(MilProgram, RefusesValuesOfTheWrongKind) {
  EXPECT_EQ(Built(Op("relu(x = string(\"text\"))")),
            "input 'x' is a text; expected a tensor");
  EXPECT_EQ(Built(Op("concat(values = (), axis = " + Int("0") + ")")),
            "input 'values' is missing");
  EXPECT_EQ(Built(Op("classify(probabilities = v, classes = "
                     "string(\"one\"))")),
            "input 'classes' is neither texts nor ints");
  EXPECT_EQ(Built(Op("cast(x = v, dtype = string(\"complex\"))")),
            "a cast to 'complex' is not known");
}

TEST(MilProgram, AValueMayStandInABlobFileWithoutAName) {
  const std::string folder = ::testing::TempDir();
  std::string file(128, '\0');
  const auto put = [&](size_t at, uint64_t value, size_t bytes) {
    std::memcpy(file.data() + at, &value, bytes);
  };
  put(4, 2, 4);             // the version
  put(64, 0xDEADBEEF, 4);   // a blob's record
  put(68, 14, 4);           // int32
  put(72, 8, 8);            // bytes
  put(80, 128, 8);          // where they are
  for (uint32_t size : {12u, 24u}) {
    file.append(reinterpret_cast<const char*>(&size), sizeof(size));
  }
  std::ofstream(folder + "/shape.bin", std::ios::binary) << file;
  EXPECT_EQ(Built(Op("reshape(x = x, shape = tensor<int32, [2]>(BLOBFILE(path = "
                     "string(\"@model_path/shape.bin\"), offset = "
                     "uint64(64))))"),
                  folder),
            "[12, 24]");
}

TEST(MilProgram, ValuesOfAnyKindAreCutToInts) {
  EXPECT_EQ(Built(Op("softmax(x = x, axis = tensor<fp32, []>(nan))")),
            "[2, 4, 6, 6]");
  EXPECT_EQ(Built(Op("softmax(x = x, axis = tensor<fp32, []>(1e30))")),
            "axis 4611686018427387904 of a tensor of rank 4");
}

}  // namespace
}  // namespace tl::coreml
