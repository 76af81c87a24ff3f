#include "format/mil_constant.h"

#include <gtest/gtest.h>

#include "format/coreml_test_file.h"

namespace tl {
namespace {

namespace spec = coreml::spec;
using Floats = std::vector<float>;
using Sizes = std::vector<int64_t>;
using namespace std::string_literals;

using MilConstexprTest = CoreMlTest;

TEST_F(MilConstexprTest, OldConstexprHaveTheirOperandsAsAttributes) {
  WeightFile file;
  const uint64_t codes = file.Add(3, BytesOfNumbers<uint8_t>({0xe4}));
  TestProgram program;
  auto& table =
      *program.Add("constexpr_lut_to_dense", "w").mutable_attributes();
  table["indices"] = BlobValue(spec::UINT8, {1}, codes);
  table["lut"] = FloatsValue({4}, {10, 20, 30, 40});
  table["shape"] =
      BytesValue(spec::UINT32, {2}, BytesOfNumbers<uint32_t>({2, 2}));
  auto& affine =
      *program.Add("constexpr_affine_dequantize", "a").mutable_attributes();
  affine["quantized_data"] =
      BytesValue(spec::UINT8, {2, 2}, BytesOfNumbers<uint8_t>({1, 2, 3, 255}));
  affine["zero_point"] =
      BytesValue(spec::UINT8, {2}, BytesOfNumbers<uint8_t>({1, 0}));
  affine["scale"] = FloatsValue({2}, {1, 0.5});
  affine["axis"] = IntsValue({}, {0});
  auto& sparse =
      *program.Add("constexpr_sparse_to_dense", "s").mutable_attributes();
  sparse["nonzero_data"] = FloatsValue({2}, {5, 6});
  sparse["mask"] =
      BytesValue(spec::UINT8, {1}, BytesOfNumbers<uint8_t>({0x0a}));
  sparse["shape"] =
      BytesValue(spec::UINT32, {1}, BytesOfNumbers<uint32_t>({4}));
  auto& cast = *program.Add("constexpr_cast", "c").mutable_attributes();
  cast["source_val"] =
      BytesValue(spec::FLOAT16, {1}, BytesOfNumbers<uint16_t>({0x4200}));
  cast["output_dtype"] = TextValue("fp32");
  const Model loaded = Package(program.model, file.bytes());
  EXPECT_EQ(loaded.Get("w").encoding, "2-bit table");
  EXPECT_EQ(loaded.Get("w").shape, (Sizes{2, 2}));
  EXPECT_EQ(Values(loaded, "w"), (Floats{10, 20, 30, 40}));
  EXPECT_EQ(loaded.Get("a").encoding, "uint8 scaled");
  EXPECT_EQ(Values(loaded, "a"), (Floats{0, 1, 1.5, 127.5}));
  EXPECT_EQ(loaded.Get("s").encoding, "sparse");
  EXPECT_EQ(Values(loaded, "s"), (Floats{0, 5, 0, 6}));
  EXPECT_EQ(Values(loaded, "c"), (Floats{3}));
}

TEST_F(MilConstexprTest, BlocksHaveScalesAndOffsetsOfTheirOwn) {
  TestProgram program;
  program.Const("q",
                BytesValue(spec::INT4, {2, 4},
                           BytesOfNumbers<uint8_t>({0x21, 0x43, 0xf8, 0x07})));
  spec::Operation& scaled = program.Add("constexpr_blockwise_shift_scale", "w");
  TestProgram::Bind(scaled, "data", "q");
  TestProgram::Give(scaled, "scale", FloatsValue({1, 2}, {1, 10}));
  TestProgram::Give(scaled, "offset", FloatsValue({1, 2}, {0, 1}));
  const Model loaded = Package(program.model);
  EXPECT_EQ(Names(loaded), (std::vector<std::string>{"w"}));
  EXPECT_EQ(loaded.Get("w").encoding, "int4 scaled");
  EXPECT_EQ(Values(loaded, "w"), (Floats{1, 2, 20, 30, -8, -1, 60, -10}));
}

// The first of the two cases in the operation's description.
TEST_F(MilConstexprTest, BlocksHaveTablesOfTheirOwn) {
  TestProgram program;
  spec::Operation& table = program.Add("constexpr_lut_to_dense", "w");
  // 2 3 3 0 1 0 3 0 2 1 0 3
  TestProgram::Give(table, "indices",
                    BytesValue(spec::UINT2, {6, 2},
                               BytesOfNumbers<uint8_t>({0x3e, 0x31, 0xc6})));
  TestProgram::Give(table, "lut",
                    FloatsValue({2, 1, 4, 1}, {1, 5, 9, 13, 2, 10, 18, 26}));
  EXPECT_EQ(Values(Package(program.model), "w"),
            (Floats{9, 13, 13, 1, 5, 1, 26, 2, 18, 10, 2, 26}));
}

// The second.
TEST_F(MilConstexprTest, EntriesOfATableMayBeVectors) {
  TestProgram program;
  spec::Operation& table = program.Add("constexpr_lut_to_dense", "w");
  TestProgram::Give(table, "indices",
                    BytesValue(spec::UINT1, {2, 2, 2},
                               BytesOfNumbers<uint8_t>({0b00110100})));
  TestProgram::Give(table, "lut",
                    FloatsValue({1, 1, 1, 2, 3}, {1, 2, 3, 11, 12, 13}));
  TestProgram::Give(table, "vector_axis", IntsValue({}, {1}));
  const Model along_1 = Package(program.model);
  EXPECT_EQ(along_1.Get("w").shape, (Sizes{2, 6, 2}));
  EXPECT_EQ(Values(along_1, "w"),
            (Floats{1,  1,  2,  2,  3,  3,  11, 1, 12, 2, 13, 3,
                    11, 11, 12, 12, 13, 13, 1,  1, 2,  2, 3,  3}));
  *(*table.mutable_inputs())["vector_axis"]
       .mutable_arguments(0)
       ->mutable_value() = IntsValue({}, {-1});
  const Model along_2 = Package(program.model);
  EXPECT_EQ(along_2.Get("w").shape, (Sizes{2, 2, 6}));
  EXPECT_EQ(Values(along_2, "w"),
            (Floats{1,  2,  3,  1,  2,  3,  11, 12, 13, 1, 2, 3,
                    11, 12, 13, 11, 12, 13, 1,  2,  3,  1, 2, 3}));
  *(*table.mutable_inputs())["vector_axis"]
       .mutable_arguments(0)
       ->mutable_value() = FloatsValue({}, {1e30f});
  EXPECT_EQ(Refusal(program.model),
            Label("w") + "its operand 'vector_axis' is not one whole number");
}

// Offsets would make numbers where the sparse tensor has none.
TEST_F(MilConstexprTest, SparseNumbersAreScaledWhereTheyAre) {
  TestProgram program;
  program.Const("mask", BytesValue(spec::UINT1, {2, 4},
                                   BytesOfNumbers<uint8_t>({0b01100011})));
  program.Const(
      "q", BytesValue(spec::INT8, {4}, BytesOfNumbers<int8_t>({10, 11, 3, 4})));
  spec::Operation& scaled =
      program.Add("constexpr_sparse_blockwise_shift_scale", "mask_out");
  scaled.add_outputs()->set_name("numbers");
  TestProgram::Bind(scaled, "data_mask", "mask");
  TestProgram::Bind(scaled, "nonzero_data", "q");
  TestProgram::Give(scaled, "scale", FloatsValue({1, 4}, {1, 2, 3, 4}));
  TestProgram::Give(scaled, "offset", FloatsValue({1, 4}, {1, 1, 1, 1}));
  spec::Operation& dense = program.Add("constexpr_sparse_to_dense", "w");
  TestProgram::Bind(dense, "mask", "mask_out");
  TestProgram::Bind(dense, "nonzero_data", "numbers");
  const Model loaded = Package(program.model);
  EXPECT_EQ(Names(loaded), (std::vector<std::string>{"w"}));
  EXPECT_EQ(Values(loaded, "w"), (Floats{9, 20, 0, 0, 0, 4, 9, 0}));
}

TEST_F(MilConstexprTest, RefusesConstexprThatReferToEachOther) {
  TestProgram program;
  for (const auto& [name, data] : {std::pair("a", "b"), std::pair("b", "a")}) {
    spec::Operation& one = program.Add("constexpr_blockwise_shift_scale", name);
    TestProgram::Bind(one, "data", data);
    TestProgram::Give(one, "scale", FloatsValue({1}, {1}));
  }
  TestProgram::Bind(program.Add("relu", "y"), "x", "a");
  EXPECT_EQ(Refusal(program.model),
            Label("a") + "is computed by a chain of more than 8 operations");
}

TEST_F(MilConstexprTest, NoticesAMaskThatDoesNotFitWhenItIsUsed) {
  TestProgram program;
  spec::Operation& sparse = program.Add("constexpr_sparse_to_dense", "w");
  TestProgram::Give(sparse, "nonzero_data", FloatsValue({2}, {5, 6}));
  TestProgram::Give(
      sparse, "mask",
      BytesValue(spec::UINT1, {4}, BytesOfNumbers<uint8_t>({0x0b})));
  const Model loaded = Package(program.model);
  EXPECT_EQ(FailureOf([&] { loaded.Get("w").stored(); }),
            Label("w") +
                "its mask has 3 bits that are set, but 2 numbers are stored");
}

TEST_F(MilConstexprTest, RefusesOperandsThatDoNotFit) {
  const auto refusal = [&](auto&& fill) {
    TestProgram program;
    fill(program.Add("constexpr_lut_to_dense", "w"));
    return Refusal(program.model);
  };
  const spec::Value codes =
      BytesValue(spec::UINT2, {4}, BytesOfNumbers<uint8_t>({0}));
  EXPECT_EQ(refusal([&](spec::Operation& w) {
              TestProgram::Give(w, "indices", codes);
            }),
            Label("w") + "its operand 'lut' is missing or no constant");
  EXPECT_EQ(refusal([&](spec::Operation& w) {
              TestProgram::Bind(w, "indices", "nobody");
            }),
            Label("w") +
                "its operand 'indices' is 'nobody', which no operation makes");
  EXPECT_EQ(refusal([&](spec::Operation& w) {
              TestProgram::Give(w, "indices", codes);
              TestProgram::Give(w, "lut", FloatsValue({1, 3, 1}, {1, 2, 3}));
            }),
            Label("w") +
                "a table of 3 entries; 2, 4, 8, 16, 64 and 256 are "
                "possible");
  EXPECT_EQ(refusal([&](spec::Operation& w) {
              TestProgram::Give(w, "indices", codes);
              TestProgram::Give(w, "lut", FloatsValue({1, 2, 1}, {1, 2}));
            }),
            Label("w") + "indices of uint2 into a table of 2 entries");
  EXPECT_EQ(refusal([&](spec::Operation& w) {
              TestProgram::Give(w, "indices", codes);
              TestProgram::Give(w, "lut",
                                FloatsValue({3, 4, 1}, {1, 2, 3, 4, 5, 6, 7, 8,
                                                        9, 10, 11, 12}));
            }),
            Label("w") + "its table of shape [3] does not divide [4]");
}

}  // namespace
}  // namespace tl
