#include "format/companion.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

using Dims = std::vector<int64_t>;

// A model of names, types and shapes; the bytes are never looked at.
class CompanionTest : public testing::Test {
 protected:
  void Add(const std::string& name, DType dtype, Dims shape) {
    TensorEntry entry;
    entry.name = name;
    entry.dtype = dtype;
    entry.elements = 1;
    for (int64_t dim : shape) entry.elements *= dim;
    entry.shape = std::move(shape);
    model_.Add(std::move(entry));
  }
  Companion Of(const std::string& name) {
    return FindCompanion(model_, model_.Get(name));
  }

  Model model_;
};

void ExpectScaled(const Companion& companion, const std::string& scale,
                  int64_t rows, int64_t columns, const std::string& text) {
  EXPECT_EQ(companion.reading, Reading::kScaled);
  EXPECT_EQ(companion.scale, scale);
  EXPECT_EQ(companion.rows, rows);
  EXPECT_EQ(companion.columns, columns);
  EXPECT_EQ(companion.text, text);
}

void ExpectRefused(const Companion& companion, const std::string& text) {
  EXPECT_EQ(companion.reading, Reading::kRefused);
  EXPECT_EQ(companion.text, text);
}

TEST_F(CompanionTest, FloatsAreReadAsTheyAre) {
  Add("a.weight", DType::BF16, {4, 4});
  Add("a.weight_scale", DType::F32, {});
  Add("lone", DType::F8_E4M3, {4, 4});
  EXPECT_EQ(Of("a.weight").reading, Reading::kPlain);
  EXPECT_EQ(Of("a.weight_scale").reading, Reading::kPlain);
  EXPECT_EQ(Of("lone").reading, Reading::kPlain);
  EXPECT_EQ(Of("lone").text, "");
}

TEST_F(CompanionTest, Fp8InBlocksWithCroppedEdges) {
  Add("x.weight", DType::F8_E4M3, {300, 128});
  Add("x.weight_scale_inv", DType::F32, {3, 1});
  Add("e.weight", DType::F8_E4M3, {8, 300, 256});
  Add("e.weight_scale_inv", DType::BF16, {8, 3, 2});
  ExpectScaled(Of("x.weight"), "x.weight_scale_inv", 128, 128,
               "scaled in 128x128 blocks by 'x.weight_scale_inv'");
  ExpectScaled(Of("e.weight"), "e.weight_scale_inv", 128, 128,
               "scaled in 128x128 blocks by 'e.weight_scale_inv'");
  EXPECT_FALSE(Of("x.weight").exponents);
}

TEST_F(CompanionTest, Fp8ByTensorAndByRow) {
  Add("t.weight", DType::F8_E5M2, {300, 200});
  Add("t.weight_scale", DType::F32, {});
  Add("r.weight", DType::F8_E4M3, {300, 200});
  Add("r.weight_scale", DType::F16, {300, 1});
  Add("v.weight", DType::F8_E4M3, {300, 200});
  Add("v.scale", DType::F32, {300});
  ExpectScaled(Of("t.weight"), "t.weight_scale", 300, 200,
               "scaled as a whole by 't.weight_scale'");
  ExpectScaled(Of("r.weight"), "r.weight_scale", 1, 200,
               "scaled by row by 'r.weight_scale'");
  ExpectScaled(Of("v.weight"), "v.scale", 1, 200, "scaled by row by 'v.scale'");
}

TEST_F(CompanionTest, Mxfp8ScalesAreExponentsThoughStoredAsU8) {
  Add("a.weight", DType::F8_E4M3, {16, 100});
  Add("a.weight_scale", DType::U8, {16, 4});
  Add("b.weight", DType::F8_E4M3, {16, 64});
  Add("b.weight_scale", DType::F8_E8M0, {16, 2});
  ExpectScaled(Of("a.weight"), "a.weight_scale", 1, 32,
               "MXFP8, scaled in 32 columns by 'a.weight_scale'");
  EXPECT_TRUE(Of("a.weight").exponents);
  EXPECT_TRUE(Of("b.weight").exponents);
  ExpectRefused(Of("b.weight_scale"),
                "is F8_E8M0, a scale that only ever multiplies a weight");
}

TEST_F(CompanionTest, AScaleThatDoesNotFitIsRefused) {
  Add("a.weight", DType::F8_E4M3, {300, 256});
  Add("a.weight_scale_inv", DType::F32, {5, 7});
  Add("b.weight", DType::F8_E4M3, {4, 4});
  Add("b.weight_scale", DType::I32, {});
  ExpectRefused(Of("a.weight"),
                "of shape [300, 256] has a scale 'a.weight_scale_inv' of shape "
                "[5, 7], a layout that is not known");
  ExpectRefused(Of("b.weight"),
                "has a scale 'b.weight_scale' of type I32, which is no number");
}

TEST_F(CompanionTest, PackedWeightsAreRefusedByTheirScheme) {
  Add("g.qweight", DType::I32, {8, 8});
  Add("g.qzeros", DType::I32, {1, 8});
  Add("g.scales", DType::F16, {1, 8});
  Add("g.g_idx", DType::I32, {64});
  Add("a.qweight", DType::I32, {8, 8});
  Add("a.qzeros", DType::I32, {1, 8});
  Add("a.scales", DType::F16, {1, 8});
  Add("mlp_blocks", DType::U8, {4, 4, 16});
  Add("mlp_scales", DType::U8, {4, 4});
  Add("v4.weight", DType::I8, {8, 16});
  Add("v4.scale", DType::F8_E8M0, {8, 1});
  Add("nf.weight", DType::U8, {32, 1});
  Add("nf.weight.absmax", DType::F32, {1});
  Add("ct.weight_packed", DType::I32, {8, 2});
  Add("ct.weight_scale", DType::BF16, {8, 1});
  const auto refused = [](const std::string& scheme,
                          const std::string& partner) {
    return "is a weight packed as " + scheme + " with '" + partner +
           "', which this build does not unpack";
  };
  ExpectRefused(Of("g.qweight"), refused("GPTQ", "g.g_idx"));
  ExpectRefused(Of("g.qzeros"), refused("GPTQ or AWQ", "g.qweight"));
  ExpectRefused(Of("a.qweight"), refused("AWQ", "a.qzeros"));
  ExpectRefused(Of("mlp_blocks"), refused("MXFP4", "mlp_scales"));
  ExpectRefused(Of("mlp_scales"), refused("MXFP4", "mlp_blocks"));
  ExpectRefused(Of("v4.weight"), refused("FP4 or integer", "v4.scale"));
  ExpectRefused(Of("nf.weight"), refused("bitsandbytes", "nf.weight.absmax"));
  ExpectRefused(Of("ct.weight_packed"),
                refused("compressed-tensors", "ct.weight_scale"));
}

TEST_F(CompanionTest, PackedTypesHaveTheirScalesInThem) {
  Add("q.weight", DType::Q4_0, {8, 32});
  Add("q.scale", DType::F32, {1});
  EXPECT_EQ(Of("q.weight").reading, Reading::kPlain);
}

TEST_F(CompanionTest, BuffersOfIntegersAreRefusedByTheirType) {
  Add("position_ids", DType::I64, {8});
  Add("mask", DType::BOOL, {8});
  ExpectRefused(
      Of("position_ids"),
      "is I64, a type that can be listed and saved but not computed with");
  ExpectRefused(
      Of("mask"),
      "is BOOL, a type that can be listed and saved but not computed with");
}

TEST_F(CompanionTest, ATypeThatIsNotKnownIsRefused) {
  TensorEntry entry;
  entry.name = "w";
  entry.foreign_type = "F5_WILD";
  model_.Add(std::move(entry));
  ExpectRefused(Of("w"),
                "has the type 'F5_WILD', which this build does not know");
}

}  // namespace
}  // namespace tl
