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
  EXPECT_EQ(Built("tensor<fp16, [3]> a = conv_quantized(x = x)"
                  "[name = string(\"a\")];"
                  "tensor<fp16, [3]> b = custom_gate(x = x)"
                  "[name = string(\"b\")];" +
                  Op("relu(x = b)")),
            "predict: operation 'conv_quantized' that makes 'a' does not run "
            "here, nor does 1 other kind: custom_gate");
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
  EXPECT_EQ(Built(Op("split(x = v, num_splits = " + Int("2") + ")")),
            "axis 0 of shape [3] does not divide into 2");
}

// Over constants, which are there before anything is computed.
TEST(MilProgram, RefusesUpdatesThatDoNotFit) {
  const std::string data = "data = tensor<fp16, [2, 3]>([0, 0, 0, 0, 0, 0])";
  const auto scatter = [&](const std::string& op, const std::string& indices,
                           const std::string& updates,
                           const std::string& mode = "add") {
    return Built(Op(op + "(" + data + ", indices = " + indices +
                    ", updates = tensor<fp16, " + updates +
                    "]), mode = string(\"" + mode + "\"))"));
  };
  const std::string one = "[1, 3]>([0, 0, 0", two = "[2, 3]>([0, 0, 0, 0, 0, 0";
  EXPECT_EQ(scatter("scatter", Ints("1, -1", 2), two), "[2, 3]");
  EXPECT_EQ(scatter("scatter", Ints("1, 2", 2), two),
            "index 2 is out of range for 2 elements");
  EXPECT_EQ(scatter("scatter", Ints("0, -3", 2), two),
            "index -3 is out of range for 2 elements");
  EXPECT_EQ(scatter("scatter", Ints("1", 1), two),
            "updates of shape [2, 3]; expected [1, 3]");
  EXPECT_EQ(scatter("scatter", Ints("1", 1), one, "xor"),
            "mode 'xor' is not known");
  EXPECT_EQ(scatter("scatter_along_axis", Ints("1", 1), "[1]>([0"),
            "indices of shape [1] along axis 0 of shape [2, 3]");
  EXPECT_EQ(scatter("scatter_nd", Ints("1, 2", 2), "[3]>([0, 0, 0"),
            "updates of shape [3]; expected []");
  EXPECT_EQ(Built(Op("reverse_sequence(x = x, lengths = " + Ints("3, 7", 2) +
                     ", seq_axis = " + Int("2") + ")")),
            "a sequence of 7 in an axis of 6");
  EXPECT_EQ(Built(Op("reverse_sequence(x = x, lengths = " + Ints("3", 1) +
                     ", seq_axis = " + Int("2") + ")")),
            "1 lengths for shape [2, 4, 6, 6] with sequences along axis 2 and "
            "batches along axis 0");
}

TEST(MilProgram, RefusesPointsAndBoxesThatDoNotFit) {
  const std::string ways =
      ", padding_mode = string(\"constant\"), coordinates_mode = "
      "string(\"normalized_minus_one_to_one\"), align_corners = bool(true)";
  const std::string bilinear = ", sampling_mode = string(\"bilinear\")" + ways;
  EXPECT_EQ(Built(Op("resample(x = x, coordinates = x" + bilinear + ")")),
            "coordinates of shape [2, 4, 6, 6] for images of shape "
            "[2, 4, 6, 6]; expected [2, height, width, 2]");
  EXPECT_EQ(
      Built("tensor<fp16, [2, 4, 6, 2]> c = slice_by_size(x = x, begin = " +
            Ints("0, 0, 0, 0", 4) + ", size = " + Ints("2, 4, 6, 2", 4) +
            ")[name = string(\"c\")];" +
            Op("resample(x = x, coordinates = c" + bilinear + ")")),
      "[2, 4, 4, 6]");
  EXPECT_EQ(
      Built("tensor<fp16, [2, 4, 6, 2]> c = slice_by_size(x = x, begin = " +
            Ints("0, 0, 0, 0", 4) + ", size = " + Ints("2, 4, 6, 2", 4) +
            ")[name = string(\"c\")];" +
            Op("resample(x = x, coordinates = c, sampling_mode = "
               "string(\"cubic\")" +
               ways + ")")),
      "'sampling_mode' is 'cubic'; known are nearest, bilinear");
  EXPECT_EQ(
      Built(Op("affine(x = x, transform_matrix = v, output_height = " +
               Int("2") + ", output_width = " + Int("2") + bilinear + ")")),
      "a matrix of shape [3] for images of shape [2, 4, 6, 6]; expected "
      "[1, 6] or [2, 6]");
  EXPECT_EQ(Built(Op("crop_resize(x = x, boxes = v)")),
            "boxes of shape [3]; expected [n, 4]");
  EXPECT_EQ(Built(Op("crop_resize(x = x, boxes = "
                     "tensor<fp32, [1, 4]>([0, 0, 1, 1]), box_indices = " +
                     Ints("2", 1) + ")")),
            "box 0 lies in image 2 of 2");
  EXPECT_EQ(Built(Op("crop_resize(x = x, roi = tensor<fp32, [1, 1, 5, 1, 1]>"
                     "([nan, 0, 0, 1, 1]), target_height = " +
                     Int("3") + ")")),
            "box 0 lies in image -1 of 2");
  EXPECT_EQ(Built(Op("crop_resize(x = x, roi = tensor<fp32, [1, 1, 4, 1, 1]>"
                     "([0, nan, inf, 1]), target_height = " +
                     Int("3") + ")")),
            "[1, 2, 4, 3, 1]");
  EXPECT_EQ(Built(Op("resize(x = x, shape = " + Ints("3, 0", 2) +
                     ", resized_dims = " + Int("2") + ")")),
            "[2, 4, 3, 6]");
  EXPECT_EQ(Built(Op("resize(x = x, shape = " + Ints("3, 0", 2) +
                     ", resized_dims = " + Int("3") + ")")),
            "3 resized axes and 2 sizes for shape [2, 4, 6, 6]");
  EXPECT_EQ(Built(Op("resize(x = x, shape = " + Ints("1, 1, 1, 1", 4) +
                     ", resized_dims = " + Int("4") + ")")),
            "4 axes are resized; at most 3 are here");
}

TEST(MilProgram, RefusesSuppressionThatMakesNoSense) {
  const auto suppress = [](const std::string& boxes, const std::string& most) {
    return Built(Op("non_maximum_suppression(boxes = tensor<fp32, " + boxes +
                    ", scores = tensor<fp32, [1, 2, 1]>([1, 2]), "
                    "iou_threshold = fp32(0.5), score_threshold = fp32(0), "
                    "max_boxes = " +
                    Int(most) + ")"));
  };
  const std::string two = "[1, 2, 4]>([0, 0, 0, 0, 1, 1, 1, 1])";
  EXPECT_EQ(suppress(two, "3"), "[1, 3, 4]");
  EXPECT_EQ(suppress(two, "0"),
            "at most 0 boxes are selected; expected 1 to 1048576");
  EXPECT_EQ(suppress("[1, 1, 4]>([0, 0, 1, 1])", "3"),
            "boxes of shape [1, 1, 4] with scores of shape [1, 2, 1]");
}

TEST(MilProgram, RefusesRandomNumbersOfNoDistribution) {
  const std::string shape = "shape = " + Ints("4, 2", 2);
  EXPECT_EQ(Built(Op("random_uniform(" + shape + ")")), "[4, 2]");
  EXPECT_EQ(Built(Op("random_uniform(" + shape + ", low = fp32(2))")),
            "random numbers from 2 to 1");
  EXPECT_EQ(Built(Op("random_bernoulli(" + shape + ", prob = fp32(1.5))")),
            "a probability of 1.5");
  EXPECT_EQ(Built(Op("random_normal(shape = " + Ints("-1", 1) + ")")),
            "a shape of [-1]");
  EXPECT_EQ(Built(Op("random_categorical(x = v, size = " + Int("0") + ")")),
            "0 draws from classes of shape [3]");
}

TEST(MilProgram, RefusesStatesThatAreNone) {
  EXPECT_EQ(Built(Op("read_state(input = x)")), "input 'input' is not a state");
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
