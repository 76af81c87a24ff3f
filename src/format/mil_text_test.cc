#include "format/mil_text.h"

#include <gtest/gtest.h>

#include "format/test_files.h"

namespace tl {
namespace {

namespace spec = coreml::spec;

spec::Program Parsed(const std::string& text) {
  CoreMlMessages messages("m.mil", static_cast<int64_t>(text.size()));
  ReadMilText("m.mil", text, messages);
  return messages.model().ml_program();
}

spec::Block BlockOf(const std::string& operations) {
  const spec::Program program = Parsed(
      "program(1.0)\n{\n func main<ios16>(tensor<fp16, [1, ?]> x) {\n" +
          operations + "\n } -> (y);\n}\n");
  return program.functions().at("main").block_specializations().at("CoreML6");
}

const spec::TensorValue& NumbersOf(const spec::Operation& operation) {
  return operation.attributes().at("val").immediate_value().tensor();
}

std::string RefusalOf(const std::string& text) {
  return FailureOf([&] { Parsed(text); });
}

std::string ValueRefusal(const std::string& value) {
  return FailureOf([&] { BlockOf("int32 y = const()[val = " + value + "];"); });
}

TEST(MilText, ReadsAProgram) {
  const spec::Program program = Parsed(R"(
program(1.3)
[buildInfo = dict<string, string>({{"a", "b\"c"}, {"d", "e"}})]
{
    func main<ios18>(tensor<fp32, [2, 3]> x, state<tensor<fp16, [4]>> s)
        [Flexible = tuple<tuple<string, dict<string, tensor<int32, [?]>>>>((("Default", {{"x", [2, 3]}})))] {
            tensor<fp32, [2, 3]> y, tensor<int32, []> n = op(a = x, b = (x, s), c = fp16(0x1.8p+1))[name = string("y")];
        } -> (y, n);
    func other<ios99>() { } -> ();
})");
  EXPECT_EQ(program.version(), 1);
  const auto& pairs =
      program.attributes().at("buildInfo").immediate_value().dictionary();
  ASSERT_EQ(pairs.values_size(), 2);
  EXPECT_EQ(
      pairs.values(0).value().immediate_value().tensor().strings().values(0),
      "b\"c");
  const spec::Function& main = program.functions().at("main");
  EXPECT_EQ(main.opset(), "CoreML8");
  EXPECT_EQ(main.inputs(0).name(), "x");
  EXPECT_EQ(main.inputs(0).type().tensor_type().dimensions(1).constant().size(),
            3u);
  EXPECT_TRUE(main.inputs(1).type().has_state_type());
  EXPECT_TRUE(main.attributes().contains("Flexible"));
  const spec::Block& block = main.block_specializations().at("CoreML8");
  EXPECT_EQ(block.outputs_size(), 2);
  const spec::Operation& operation = block.operations(0);
  EXPECT_EQ(operation.type(), "op");
  EXPECT_EQ(operation.outputs(1).name(), "n");
  EXPECT_EQ(operation.outputs(1).type().tensor_type().rank(), 0);
  EXPECT_EQ(operation.inputs().at("a").arguments(0).name(), "x");
  EXPECT_EQ(operation.inputs().at("b").arguments_size(), 2);
  EXPECT_EQ(operation.inputs()
                .at("c")
                .arguments(0)
                .value()
                .immediate_value()
                .tensor()
                .bytes()
                .values(),
            std::string("\x00\x42", 2));
  EXPECT_EQ(program.functions().at("other").opset(), "ios99");
}

TEST(MilText, ReadsNumbersOfEveryType) {
  const spec::Block block = BlockOf(R"(
tensor<fp32, [2, 2]> a = const()[val = tensor<fp32, [2, 2]>([[1, -0x1.8p-1], [inf, 1e3]])];
tensor<fp16, [2]> b = const()[val = tensor<fp16, [2]>([0x1p+0, -inf])];
int32 c = const()[val = int32(-7)];
tensor<bool, [2]> d = const()[val = tensor<bool, [2]>([true, false])];
tensor<uint4, [3]> e = const()[val = tensor<uint4, [3]>([1, 2, 15])];
tensor<int64, [1]> f = const()[val = tensor<int64, [1]>([9223372036854775807])];
tensor<string, []> y = const()[val = tensor<string, []>("valid")];
tensor<fp64, []> g = const()[val = tensor<fp64, []>(0.1)];
tensor<int32, [0]> h = const()[val = tensor<int32, [0]>([])];
list<tensor<int32, []>, 2> i = const()[val = list<tensor<int32, []>, 2>((1, 2))];
)");
  const auto& floats = NumbersOf(block.operations(0)).floats();
  EXPECT_EQ(floats.values(1), -0.75f);
  EXPECT_EQ(floats.values(2), std::numeric_limits<float>::infinity());
  EXPECT_EQ(floats.values(3), 1000.f);
  EXPECT_EQ(NumbersOf(block.operations(1)).bytes().values(),
            std::string("\x00\x3c\x00\xfc", 4));
  EXPECT_EQ(NumbersOf(block.operations(2)).ints().values(0), -7);
  EXPECT_TRUE(NumbersOf(block.operations(3)).bools().values(0));
  EXPECT_EQ(NumbersOf(block.operations(4)).bytes().values(),
            std::string("\x21\x0f", 2));
  EXPECT_EQ(NumbersOf(block.operations(5)).long_ints().values(0), INT64_MAX);
  EXPECT_EQ(NumbersOf(block.operations(6)).strings().values(0), "valid");
  EXPECT_EQ(NumbersOf(block.operations(7)).doubles().values(0), 0.1);
  EXPECT_TRUE(NumbersOf(block.operations(8)).has_ints());
  EXPECT_EQ(block.operations(9)
                .attributes()
                .at("val")
                .immediate_value()
                .list()
                .values_size(),
            2);
}

TEST(MilText, ReadsWhereNumbersLie) {
  const spec::Block block = BlockOf(
      "tensor<fp16, [2]> y = const()[val = tensor<fp16, [2]>(BLOBFILE("
      "path = tensor<string, []>(\"@model_path/w.bin\"), "
      "offset = tensor<uint64, []>(64)))];");
  const auto& blob =
      block.operations(0).attributes().at("val").blob_file_value();
  EXPECT_EQ(blob.file_name(), "@model_path/w.bin");
  EXPECT_EQ(blob.offset(), 64u);
}

TEST(MilText, ReadsBlocksInsideAnOperation) {
  const spec::Block block = BlockOf(R"(
tensor<fp16, [1]> y = while_loop(loop_vars = (x, i))[name = string("y")]
    condition(tensor<fp16, [1]> x_1) { bool go = less(x = x_1, y = x); } -> (go),
    body(tensor<fp16, [1]> x_2) { tensor<fp16, [1]> z = relu(x = x_2); } -> (z);
)");
  const spec::Operation& loop = block.operations(0);
  ASSERT_EQ(loop.blocks_size(), 2);
  EXPECT_EQ(loop.blocks(0).inputs(0).name(), "x_1");
  EXPECT_EQ(loop.blocks(1).operations(0).type(), "relu");
  EXPECT_EQ(loop.blocks(1).outputs(0), "z");
}

TEST(MilText, RefusesWhatIsNoProgram) {
  EXPECT_EQ(RefusalOf(""), "m.mil:1: the text ends; 'program' was expected");
  EXPECT_EQ(RefusalOf("program(1.0)\n{"),
            "m.mil:2: the text ends; 'func' was expected");
  EXPECT_EQ(RefusalOf("program(1.0) {} x"),
            "m.mil:1: 'x'; the end was expected");
  EXPECT_EQ(RefusalOf("program(one)"),
            "m.mil:1: 'one'; a version was expected");
  EXPECT_EQ(RefusalOf("program(1e300)"),
            "m.mil:1: '1e300'; a version was expected");
  EXPECT_EQ(RefusalOf("program(1.0)\n\n\x01"),
            "m.mil:3: '\\x01' begins nothing");
  EXPECT_EQ(RefusalOf("program(1.0) [a = string(\"x"),
            "m.mil:1: a text does not end");
}

TEST(MilText, RefusesValuesThatAreNotOfTheirType) {
  EXPECT_EQ(ValueRefusal("int32(1.5)"),
            "m.mil:4: '1.5'; a value of the type int32 was expected");
  EXPECT_EQ(ValueRefusal("uint8(256)"),
            "m.mil:4: '256'; a value of the type uint8 was expected");
  EXPECT_EQ(ValueRefusal("bool(1)"),
            "m.mil:4: '1'; a value of the type bool was expected");
  EXPECT_EQ(ValueRefusal("fp32(\"a\")"),
            "m.mil:4: 'a'; a value of the type fp32 was expected");
  EXPECT_EQ(ValueRefusal("int5(1)"), "m.mil:4: 'int5' is no type");
  EXPECT_EQ(ValueRefusal("tensor<int32, [-1]>(1)"),
            "m.mil:4: '-1'; a whole number was expected");
}

TEST(MilText, RefusesAbsurdNesting) {
  std::string type;
  for (int i = 0; i < 100; ++i) type += "tuple<";
  EXPECT_EQ(ValueRefusal(type), "m.mil:4: nested more than 64 deep");
  EXPECT_EQ(ValueRefusal("tensor<int32, [1]>(" + std::string(1000, '[')),
            "m.mil:4: nested more than 64 deep");
  std::string blocks = "bool y = c()";
  for (int i = 0; i < 100; ++i) blocks += " { bool y = c()";
  EXPECT_EQ(FailureOf([&] { BlockOf(blocks); }),
            "m.mil:4: nested more than 64 deep");
}

TEST(MilText, RefusesAFunctionThatIsThereTwice) {
  EXPECT_EQ(RefusalOf("program(1.0) { func f<ios15>() {} -> (); func f<ios15>"),
            "m.mil:1: function 'f' is there twice");
}

}  // namespace
}  // namespace tl
