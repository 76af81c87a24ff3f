// CoreML models that are cut off or damaged: each is refused with a message or
// read without harm, which the sanitizers watch.
#include <gtest/gtest.h>

#include "format/coreml_test_file.h"
#include "format/load.h"
#include "format/test_files.h"

namespace tl {
namespace {

namespace spec = coreml::spec;

std::string NetworkFile() {
  spec::Model model = TestNetwork();
  spec::InnerProduct& layer = AddInnerProduct(model, "fc", 2, 2);
  for (int i = 0; i < 4; ++i) layer.mutable_weights()->add_float_value(i);
  spec::WeightParams& bias = *layer.mutable_bias();
  bias.set_raw_value("\x12");
  bias.mutable_quantization()->set_number_of_bits(4);
  bias.mutable_quantization()->mutable_linear_quantization()->add_scale(2);
  spec::Layer& lstm = *model.mutable_neural_network()->add_layers();
  spec::Lstm& params = *lstm.mutable_uni_directional_lstm();
  params.set_input_vector_size(1);
  params.set_output_vector_size(1);
  params.mutable_weight_params()
      ->mutable_forget_gate_recursion_matrix()
      ->set_float16_value("ab");
  return model.SerializeAsString();
}

class HostileCoreMlTest : public TempFolderTest {
 protected:
  void MakePackage() {
    WeightFile file;
    const uint64_t half =
        file.Add(1, BytesOfNumbers<uint16_t>({0x3c00, 0x4000}));
    const uint64_t codes = file.Add(11, BytesOfNumbers<uint8_t>({0x10, 0x32}));
    TestProgram program;
    program.Const("w", BlobValue(spec::FLOAT16, {2}, half));
    program.Const("codes", BlobValue(spec::UINT4, {4}, codes));
    spec::Operation& scaled =
        program.Add("constexpr_blockwise_shift_scale", "scaled");
    TestProgram::Bind(scaled, "data", "codes");
    TestProgram::Give(scaled, "scale", FloatsValue({2}, {1, 10}));
    spec::Operation& sparse =
        program.Add("constexpr_sparse_to_dense", "sparse");
    TestProgram::Give(sparse, "nonzero_data", FloatsValue({1}, {5}));
    TestProgram::Give(sparse, "mask",
                      BytesValue(spec::UINT1, {3}, std::string("\x02")));
    spec_ = program.model.SerializeAsString();
    weights_ = file.bytes();
    std::filesystem::create_directories(Path("p/Data/weights"));
    Make("p/Manifest.json", R"({"fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"A": {"path": "model.mlmodel"}},
        "rootModelIdentifier": "A"})");
    Make("p/Data/model.mlmodel", spec_);
    Make("p/Data/weights/weight.bin", weights_);
  }

  static void ReadWhole(const std::string& path) {
    const Model model = LoadModel(path);
    for (const TensorEntry& listed : model.tensors()) {
      const TensorEntry entry = listed.Fetched();
      int64_t sum = 0;
      for (const std::byte b : entry.stored()) {
        sum += static_cast<int64_t>(b);
      }
      EXPECT_LE(sum, 255 * entry.bytes);
    }
  }

  // Loads the model with every beginning of `content` in `file`.
  void CutEverywhere(const std::string& file, const std::string& content,
                     const std::string& model) {
    ReadWhole(Path(model));
    for (size_t size = 0; size < content.size(); ++size) {
      Make(file, content.substr(0, size));
      EXPECT_NE(FailureOf([&] { ReadWhole(Path(model)); }), "no failure")
          << size << " of " << content.size();
    }
    Make(file, content);
  }

  // And with every bit of it turned.
  void TurnEveryBit(const std::string& file, const std::string& content,
                    const std::string& model) {
    int refused = 0;
    for (size_t bit = 0; bit < 8 * content.size(); ++bit) {
      std::string turned = content;
      turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ 1 << bit % 8);
      Make(file, turned);
      refused +=
          FailureOf([&] { ReadWhole(Path(model)); }) == "no failure" ? 0 : 1;
    }
    EXPECT_GT(refused, 0);
    Make(file, content);
  }

  std::string spec_, weights_;
};

TEST_F(HostileCoreMlTest, ANetworkThatIsCutOff) {
  const std::string content = NetworkFile();
  Make("m.mlmodel", content);
  CutEverywhere("m.mlmodel", content, "m.mlmodel");
}

TEST_F(HostileCoreMlTest, ANetworkWithATurnedBit) {
  TurnEveryBit("m.mlmodel", NetworkFile(), "m.mlmodel");
}

TEST_F(HostileCoreMlTest, APackageThatIsCutOff) {
  MakePackage();
  CutEverywhere("p/Data/model.mlmodel", spec_, "p");
  CutEverywhere("p/Data/weights/weight.bin", weights_, "p");
  CutEverywhere("p/Manifest.json", Content("p/Manifest.json"), "p");
}

TEST_F(HostileCoreMlTest, APackageWithATurnedBit) {
  MakePackage();
  TurnEveryBit("p/Data/model.mlmodel", spec_, "p");
  TurnEveryBit("p/Data/weights/weight.bin", weights_, "p");
}

TEST_F(HostileCoreMlTest, ACompiledProgramThatIsDamaged) {
  const std::string text = R"(program(1.0)
[a = dict<string, string>({{"k", "v"}})]
{
    func main<ios16>(tensor<fp16, [1, 2]> x) {
            tensor<fp16, [2]> w = const()[name = string("w"), val = tensor<fp16, [2]>([0x1p+0, 0x1.8p+1])];
            tensor<fp16, [1, 2]> y = mul(x = x, y = w)[name = tensor<string, []>("y")];
        } -> (y);
})";
  std::filesystem::create_directories(Path("c"));
  Make("c/model.mil", text);
  CutEverywhere("c/model.mil", text, "c");
  TurnEveryBit("c/model.mil", text, "c");
}

class TooManyMessagesTest : public HostileCoreMlTest {
 protected:
  // What is said of a model at `model` whose messages are in `file`.
  static void ExpectRefused(const std::string& model, const std::string& file) {
    const uintmax_t size = std::filesystem::file_size(file);
    EXPECT_EQ(FailureOf([&] { LoadModel(model); }),
              fmt::format("{}: its {} bytes hold messages that need more than "
                          "{} bytes of memory; real models need less than half "
                          "of that",
                          file, size, (16 << 20) + 32 * size));
  }
};

TEST_F(TooManyMessagesTest, OperationsOfTwoBytes) {
  TestProgram program;
  for (int i = 0; i < 500'000; ++i) program.block->add_operations();
  const std::string path = Make("m.mlmodel", program.model.SerializeAsString());
  ExpectRefused(path, path);
}

TEST_F(TooManyMessagesTest, LayersOfTwoBytes) {
  spec::Model model = TestNetwork();
  for (int i = 0; i < 1'000'000; ++i) {
    model.mutable_neural_network()->add_layers();
  }
  const std::string path = Make("m.mlmodel", model.SerializeAsString());
  ExpectRefused(path, path);
}

// Each value of a list has a type of its own.
TEST_F(TooManyMessagesTest, ATextWithValuesOfALongType) {
  std::string text =
      "program(1.0)\n{ func main<ios16>() { int32 y = f(x = list<tuple<int32";
  for (int i = 0; i < 50; ++i) text += ", int32";
  text += ">, 9>([()";
  for (int i = 0; i < 20'000; ++i) text += ",()";
  std::filesystem::create_directories(Path("c"));
  Make("c/model.mil", text);
  ExpectRefused(Path("c"), Path("c/model.mil"));
}

TEST_F(HostileCoreMlTest, LengthsBeyondTheFile) {
  spec::Model model = TestNetwork();
  model.clear_neural_network();
  const std::string begin = model.SerializeAsString();
  const std::string at = std::to_string(begin.size() + 7);
  const std::string path = Make("m.mlmodel", begin +
                                                 "\xa2\x1f\xff\xff\xff\xff\x07"
                                                 "abc");
  EXPECT_EQ(FailureOf([&] { LoadModel(path); }),
            path + ": byte " + at +
                ": field 500 has 2147483647 bytes, but only 3 follow; the file "
                "is damaged or incomplete");
}

TEST_F(HostileCoreMlTest, PipelinesWithinPipelines) {
  spec::Model model = TestNetwork();
  std::string inner = model.SerializeAsString();
  for (int i = 0; i < 100; ++i) {
    spec::Model outer;
    outer.set_specification_version(4);
    *outer.mutable_description() = model.description();
    std::string pipeline = "\x0a";
    for (const std::string* text : {&inner}) {
      spec::WeightParams length;  // a varint and bytes, as protobuf writes them
      length.set_raw_value(*text);
      pipeline = "\x0a" + length.SerializeAsString().substr(2);
    }
    spec::WeightParams wrapped;
    wrapped.set_raw_value(pipeline);
    inner = outer.SerializeAsString() + "\xd2\x0c" +
            wrapped.SerializeAsString().substr(2);
  }
  const std::string path = Make("m.mlmodel", inner);
  const std::string refusal = FailureOf([&] { LoadModel(path); });
  EXPECT_NE(refusal.find("messages are nested more than 80 deep"),
            std::string::npos)
      << refusal;
}

}  // namespace
}  // namespace tl
