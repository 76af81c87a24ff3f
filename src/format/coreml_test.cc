#include "format/coreml.h"

#include <gtest/gtest.h>

#include "format/coreml_test_file.h"

namespace tl {
namespace {

namespace spec = coreml::spec;
using Floats = std::vector<float>;
using Sizes = std::vector<int64_t>;
using namespace std::string_literals;

TEST_F(CoreMlTest, FloatsOfALayerStayInTheFile) {
  spec::Model model = TestNetwork();
  spec::InnerProduct& layer = AddInnerProduct(model, "fc", 2, 3);
  for (int i = 0; i < 6; ++i) layer.mutable_weights()->add_float_value(i);
  layer.mutable_bias()->set_float16_value(
      BytesOfNumbers<uint16_t>({0x3c00, 0xc000}));
  const Model loaded = File(model);
  EXPECT_EQ(Names(loaded), (std::vector<std::string>{"fc.weights", "fc.bias"}));
  const TensorEntry& weights = loaded.Get("fc.weights");
  EXPECT_EQ(weights.shape, (Sizes{2, 3}));
  EXPECT_NE(weights.file, nullptr);
  EXPECT_EQ(Values(loaded, "fc.weights"), (Floats{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(loaded.Get("fc.bias").dtype, DType::F16);
  EXPECT_EQ(Values(loaded, "fc.bias"), (Floats{1, -2}));
}

TEST_F(CoreMlTest, ASpecificationKnowsItsTensors) {
  spec::Model model = TestNetwork();
  AddInnerProduct(model, "fc", 1, 1).mutable_weights()->add_float_value(7);
  const Model loaded = File(model);
  const CoreMl* program = CoreMl::Of(loaded);
  ASSERT_NE(program, nullptr);
  const spec::InnerProduct& layer =
      program->spec().neural_network().layers(0).inner_product();
  EXPECT_EQ(program->TensorOf(layer.weights()), "fc.weights");
  EXPECT_EQ(program->TensorOf(layer.bias()), "");
}

// Low indices first would read {3, 0, 2, 1} reversed.
TEST_F(CoreMlTest, QuantisedLayersHaveTheHighestBitsFirst) {
  spec::Model model = TestNetwork();
  spec::InnerProduct& layer = AddInnerProduct(model, "fc", 2, 2);
  spec::WeightParams& weights = *layer.mutable_weights();
  weights.set_raw_value(std::string("\x1b"));  // 0, 1, 2, 3 of two bits
  weights.mutable_quantization()->set_number_of_bits(2);
  auto& table =
      *weights.mutable_quantization()->mutable_lookup_table_quantization();
  for (const float entry : {10.f, 20.f, 30.f, 40.f})
    table.add_float_value(entry);
  spec::WeightParams& bias = *layer.mutable_bias();
  bias.set_raw_value(BytesOfNumbers<uint8_t>({0, 200}));
  bias.mutable_quantization()->set_number_of_bits(8);
  bias.mutable_quantization()->mutable_linear_quantization()->add_scale(0.5);
  bias.mutable_quantization()->mutable_linear_quantization()->add_bias(-1);
  const Model loaded = File(model);
  EXPECT_EQ(loaded.Get("fc.weights").encoding, "2-bit table");
  EXPECT_EQ(loaded.Get("fc.weights").dtype, DType::F32);
  EXPECT_EQ(Values(loaded, "fc.weights"), (Floats{10, 20, 30, 40}));
  EXPECT_EQ(loaded.Get("fc.bias").encoding, "8-bit linear");
  EXPECT_EQ(Values(loaded, "fc.bias"), (Floats{-1, 99}));
}

TEST_F(CoreMlTest, ChannelsHaveScalesOfTheirOwn) {
  spec::Model model = TestNetwork();
  spec::Layer& layer = *model.mutable_neural_network()->add_layers();
  layer.set_name("up");
  spec::Convolution& conv = *layer.mutable_convolution();
  conv.set_is_deconvolution(true);
  conv.set_output_channels(2);
  conv.set_kernel_channels(3);
  conv.add_kernel_size(1);
  conv.add_kernel_size(1);
  spec::WeightParams& weights = *conv.mutable_weights();
  weights.set_raw_value(BytesOfNumbers<uint8_t>({1, 2, 3, 4, 5, 6}));
  weights.mutable_quantization()->set_number_of_bits(8);
  auto& linear = *weights.mutable_quantization()->mutable_linear_quantization();
  for (const float scale : {1.f, 100.f}) linear.add_scale(scale);
  const Model loaded = File(model);
  EXPECT_EQ(loaded.Get("up.weights").shape, (Sizes{3, 2, 1, 1}));
  EXPECT_EQ(Values(loaded, "up.weights"), (Floats{1, 200, 3, 400, 5, 600}));
}

// As protobuf allows any writer to do.
TEST_F(CoreMlTest, FloatsThatWereWrittenOneByOneAreGathered) {
  spec::Model model = TestNetwork();
  AddInnerProduct(model, "fc", 1, 4);
  // Field 1 as fixed 32-bit, then as a packed list of three.
  const std::string numbers = "\x0d" + BytesOfNumbers<float>({4}) + "\x0a\x0c" +
                              BytesOfNumbers<float>({1, 2, 3});
  std::string layer =
      "\xa2\x01" + std::string(1, static_cast<char>(numbers.size())) + numbers;
  model.mutable_neural_network()->mutable_layers(0)->mutable_inner_product();
  std::string params = BytesOfNumbers<uint8_t>({0x08, 4, 0x10, 1}) + layer;
  std::string whole =
      "\x0a\x02"
      "fc"
      "\xe2\x08" +
      std::string(1, static_cast<char>(params.size())) + params;
  std::string network =
      "\x0a" + std::string(1, static_cast<char>(whole.size())) + whole;
  model.clear_neural_network();
  std::string file = model.SerializeAsString() + "\xa2\x1f" +
                     std::string(1, static_cast<char>(network.size())) +
                     network;
  const Model loaded = LoadModel(Make("m.mlmodel", file));
  EXPECT_EQ(Values(loaded, "fc.weights"), (Floats{1, 2, 3, 4}));
}

TEST_F(CoreMlTest, ActivationsOfRecurrentLayersHaveTheirNumbers) {
  spec::Model model = TestNetwork();
  spec::NeuralNetwork& network = *model.mutable_neural_network();
  const auto numbers = [](spec::Activation& activation, float alpha) {
    activation.mutable_prelu()->mutable_alpha()->add_float_value(alpha);
  };
  spec::Layer& rnn = *network.add_layers();
  rnn.set_name("rnn");
  numbers(*rnn.mutable_simple_recurrent()->mutable_activation(), 1);
  spec::Layer& gru = *network.add_layers();
  gru.set_name("gru");
  gru.mutable_gru()->add_activations()->mutable_tanh();
  numbers(*gru.mutable_gru()->add_activations(), 2);
  spec::Layer& lstm = *network.add_layers();
  lstm.set_name("lstm");
  numbers(*lstm.mutable_uni_directional_lstm()->add_activations(), 3);
  spec::Layer& both = *network.add_layers();
  both.set_name("both");
  spec::BidirectionalLstm& params = *both.mutable_bi_directional_lstm();
  numbers(*params.add_activations_forward_lstm(), 4);
  numbers(*params.add_activations_backward_lstm(), 5);
  const Model loaded = File(model);
  EXPECT_EQ(Names(loaded),
            (std::vector<std::string>{
                "rnn.activation.alpha", "gru.activation1.alpha",
                "lstm.activation0.alpha", "both.forward.activation0.alpha",
                "both.backward.activation0.alpha"}));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Values(loaded, Names(loaded)[i]), (Floats{float(i + 1)}));
  }
}

TEST_F(CoreMlTest, NamesAreMadeUnique) {
  spec::Model model = TestNetwork();
  for (int i = 0; i < 3; ++i) {
    AddInnerProduct(model, i == 2 ? "" : "fc", 1, 1)
        .mutable_weights()
        ->add_float_value(i);
  }
  EXPECT_EQ(Names(File(model)),
            (std::vector<std::string>{"fc.weights", "fc.weights.2",
                                      "layer2.weights"}));
}

TEST_F(CoreMlTest, MembersOfAPipelineHaveTheirNamesInFront) {
  spec::Model member = TestNetwork();
  AddInnerProduct(member, "fc", 1, 1).mutable_weights()->add_float_value(5);
  spec::Model model;
  model.set_specification_version(4);
  *model.mutable_description() = member.description();
  *model.mutable_pipeline()->add_models() = member;
  *model.mutable_pipeline()->add_models() = member;
  model.mutable_pipeline()->add_names("first");
  const Model loaded = File(model);
  EXPECT_EQ(Names(loaded), (std::vector<std::string>{"first.fc.weights",
                                                     "model1.fc.weights"}));
  EXPECT_EQ(Values(loaded, "model1.fc.weights"), (Floats{5}));
}

TEST_F(CoreMlTest, RefusesLayersWhoseNumbersDoNotFit) {
  spec::Model model = TestNetwork();
  spec::InnerProduct& layer = AddInnerProduct(model, "fc", 2, 3);
  spec::WeightParams& weights = *layer.mutable_weights();
  weights.add_float_value(1);
  EXPECT_EQ(
      FileRefusal(model),
      FileLabel("fc.weights") + "F32 of [2, 3] needs 24 bytes, there are 4");
  weights.set_float16_value("ab");
  EXPECT_EQ(FileRefusal(model),
            FileLabel("fc.weights") + "its numbers are there in two forms");
  weights.Clear();
  weights.set_raw_value("abc");
  EXPECT_EQ(FileRefusal(model),
            FileLabel("fc.weights") +
                "is quantised to 0 bits, 1 to 8 can be decoded");
  weights.mutable_quantization()->set_number_of_bits(4);
  weights.mutable_quantization()->mutable_lookup_table_quantization();
  EXPECT_EQ(FileRefusal(model), FileLabel("fc.weights") +
                                    "its table has 0 entries, 4 bits need 16");
  weights.mutable_quantization()->mutable_linear_quantization();
  EXPECT_EQ(FileRefusal(model),
            FileLabel("fc.weights") +
                "has 0 scales and 0 biases for 2 channels; one, or one for "
                "each, can be used");
  weights.set_raw_value("ab");
  EXPECT_EQ(
      FileRefusal(model),
      FileLabel("fc.weights") + "[2, 3] of 4 bits need 3 bytes, there are 2");
  layer.set_output_channels(uint64_t{1} << 62);
  EXPECT_EQ(FileRefusal(model),
            FileLabel("fc.weights") +
                "a tensor of shape [4611686018427387904, 3] is too large");
}

// ---- programs

TEST_F(CoreMlTest, ConstantsAreTensorsAndSmallNumbersAreNot) {
  WeightFile file;
  const uint64_t offset =
      file.Add(1, BytesOfNumbers<uint16_t>({0x3c00, 0x4000}));
  const uint64_t ids = file.Add(14, BytesOfNumbers<int32_t>({7, 8}));
  TestProgram program;
  program.Const("w", BlobValue(spec::FLOAT16, {2, 1}, offset));
  program.Const("same", BlobValue(spec::FLOAT16, {2}, offset));
  program.Const("ids", BlobValue(spec::INT32, {2}, ids));
  program.Const("v", FloatsValue({2}, {3, 4}));
  program.Const("scalar", FloatsValue({}, {3}));
  program.Const("axes", IntsValue({2}, {0, 1}));
  program.Const("mode", TextValue("valid"));
  const Model loaded = Package(program.model, file.bytes());
  EXPECT_EQ(Names(loaded), (std::vector<std::string>{"w", "same", "ids", "v"}));
  EXPECT_EQ(loaded.Get("w").shape, (Sizes{2, 1}));
  EXPECT_EQ(loaded.Get("w").data, loaded.Get("same").data);
  EXPECT_EQ(loaded.Get("ids").dtype, DType::I32);
  EXPECT_EQ(Values(loaded, "w"), (Floats{1, 2}));
  EXPECT_EQ(Values(loaded, "v"), (Floats{3, 4}));
  const CoreMl* found = CoreMl::Of(loaded);
  const auto& block = found->spec()
                          .ml_program()
                          .functions()
                          .at("main")
                          .block_specializations()
                          .at("CoreML8");
  EXPECT_EQ(found->TensorOf(block.operations(1)), "same");
  EXPECT_EQ(found->TensorOf(block.operations(4)), "");
}

TEST_F(CoreMlTest, ConstantsOfInnerBlocksAndSeveralFunctionsAreFound) {
  TestProgram program;
  program.Const("w", FloatsValue({1}, {1}));
  spec::Operation& loop = program.Add("while_loop", "r");
  spec::Operation& inner = *loop.add_blocks()->add_operations();
  inner.set_type("const");
  inner.add_outputs()->set_name("w");
  (*inner.mutable_attributes())["val"] = FloatsValue({1}, {2});
  const Model one = Package(program.model);
  EXPECT_EQ(Names(one), (std::vector<std::string>{"w", "w.2"}));
  EXPECT_EQ(Values(one, "w.2"), (Floats{2}));
  auto& functions = *program.model.mutable_ml_program()->mutable_functions();
  const spec::Function copy = functions["main"];
  functions["extend"] = copy;
  EXPECT_EQ(Names(Package(program.model)),
            (std::vector<std::string>{"extend.w", "extend.w.2", "main.w",
                                      "main.w.2"}));
}

TEST_F(CoreMlTest, RefusesBlobsThatAreNotThere) {
  WeightFile file;
  const uint64_t offset = file.Add(2, BytesOfNumbers<float>({1, 2}));
  const std::string weights = folder_ + "/p/Data/m/weights/weight.bin";
  const auto refusal = [&](const spec::Value& value) {
    TestProgram program;
    program.Const("w", value);
    return Refusal(program.model, file.bytes());
  };
  EXPECT_EQ(
      refusal(BlobValue(spec::FLOAT32, {2}, 1 << 20)),
      Label("w") + "begins at byte 1048576 of " + weights + ", which has 136");
  EXPECT_EQ(refusal(BlobValue(spec::FLOAT32, {2}, 0)),
            Label("w") + "no blob begins at byte 0 of " + weights);
  EXPECT_EQ(refusal(BlobValue(spec::FLOAT32, {2}, 134)),
            weights + ": byte 134: the record of a blob needs 4 bytes, 2 left");
  EXPECT_EQ(refusal(BlobValue(spec::FLOAT16, {4}, offset)),
            Label("w") + "is tensor<fp16, [4]>, but its blob has the type 2");
  EXPECT_EQ(
      refusal(BlobValue(spec::FLOAT32, {3}, offset)),
      Label("w") + "is tensor<fp32, [3]> of 12 bytes, but its blob has 8");
}

TEST_F(CoreMlTest, RefusesWeightFilesOutsideTheModel) {
  spec::Value value = BlobValue(spec::FLOAT32, {2}, 64);
  const auto refusal = [&](const std::string& name) {
    value.mutable_blob_file_value()->set_file_name(name);
    TestProgram program;
    program.Const("w", value);
    return Refusal(program.model);
  };
  EXPECT_EQ(refusal("@model_path/../../../x.bin"),
            Label("w") +
                "'../../../x.bin' is not the name of a file within the model");
  EXPECT_EQ(
      refusal("/etc/passwd"),
      Label("w") + "'/etc/passwd' is not the name of a file within the model");
  std::filesystem::create_symlink("/etc/passwd", Path("p/Data/m/link"));
  EXPECT_EQ(refusal("link"), Label("w") + "'link' leads out of the model");
}

// ---- the whole

TEST_F(CoreMlTest, NamesAKindOfModelThatHoldsNoTensors) {
  spec::Model model = TestNetwork();
  model.clear_neural_network();
  const std::string begin = model.SerializeAsString();
  const std::string path = Make("m.mlmodel", begin +
                                                 "\xf2\x12\x03"
                                                 "abc");
  EXPECT_EQ(
      FailureOf([&] { LoadModel(path); }),
      path +
          ": is a CoreML treeEnsembleRegressor, a kind of model that holds "
          "no tensors");
  Make("m.mlmodel", begin + "\xaa\x1d\x00"s);
  EXPECT_EQ(
      FailureOf([&] { LoadModel(path); }),
      path + ": is a CoreML kind 469, a kind of model that holds no tensors");
  Make("m.mlmodel", begin);
  EXPECT_EQ(FailureOf([&] { LoadModel(path); }),
            path + ": is a CoreML model of no kind; the file is incomplete");
}

TEST_F(CoreMlTest, TellsWhatTheModelSaysOfItself) {
  spec::Model model = TestNetwork();
  spec::ModelDescription& about = *model.mutable_description();
  about.mutable_metadata()->set_author("A. Author");
  (*about.mutable_metadata()->mutable_user_defined())["key"] = "text";
  spec::Feature& image = *about.add_input();
  image.set_name("picture");
  image.mutable_type()->mutable_image_type()->set_width(20);
  image.mutable_type()->mutable_image_type()->set_height(10);
  image.mutable_type()->mutable_image_type()->set_color_space(
      spec::ImageType::BGR);
  const Model loaded = File(model);
  EXPECT_EQ(loaded.format_version(), 4);
  EXPECT_EQ(loaded.metadata().Text("coreml.author"), "A. Author");
  EXPECT_EQ(loaded.metadata().Text("coreml.input.picture"),
            "image BGR 20 x 10");
  EXPECT_EQ(loaded.metadata().Text("key"), "text");
}

TEST_F(CoreMlTest, RefusesAManifestThatLeadsElsewhere) {
  std::filesystem::create_directories(Path("p/Data"));
  const auto refusal = [&](const std::string& path,
                           const std::string& version) {
    Make("p/Manifest.json", R"({"fileFormatVersion": ")" + version +
                                R"(", "itemInfoEntries": {"A": {"path": ")" +
                                path + R"("}}, "rootModelIdentifier": "A"})");
    return FailureOf([&] { LoadModel(Path("p")); });
  };
  const std::string manifest = Path("p/Manifest.json");
  EXPECT_EQ(refusal("../../m.mlmodel", "1.0.0"),
            manifest +
                ": '../../m.mlmodel' is not the name of a file within "
                "the model");
  EXPECT_EQ(
      refusal("/m.mlmodel", "1.0.0"),
      manifest + ": '/m.mlmodel' is not the name of a file within the model");
  EXPECT_EQ(refusal("m.mlmodel", "2.0.0"),
            manifest +
                ": is a package of version '2.0.0', this build reads up to "
                "1.0.0");
  EXPECT_EQ(refusal("m.mlmodel", "1.0.0"),
            Path("p/Data/m.mlmodel") + ": no such file or directory");
  Make("p/Manifest.json", R"({"fileFormatVersion": "1.0.0",
       "itemInfoEntries": {}, "rootModelIdentifier": "B"})");
  EXPECT_EQ(FailureOf([&] { LoadModel(Path("p")); }),
            manifest + ": names no file for its root model 'B'");
}

}  // namespace
}  // namespace tl
