#include "cli/model_report.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

Model SmallModel() {
  Model model("m.safetensors", "SafeTensors");
  model.metadata().Set("note", "say \"hi\"\n");
  TensorEntry weight;
  weight.name = "fc.weight";
  weight.dtype = DType::F32;
  weight.shape = {2, 3};
  weight.elements = 6;
  weight.bytes = 24;
  model.Add(weight);
  TensorEntry odd;
  odd.name = "\x1b[31mred";
  odd.foreign_type = "Q9";
  odd.shape = {1};
  odd.elements = 1;
  odd.bytes = 5;
  model.Add(odd);
  return model;
}

ModelReport ReportOf(const Model& model) {
  ModelReport report;
  report.model = &model;
  report.summary = Summarize(model);
  for (const TensorEntry& entry : model.tensors()) {
    report.tensors.push_back(&entry);
  }
  return report;
}

TEST(ModelText, ShowsHeadingMetadataTypesAndTensors) {
  const Model model = SmallModel();
  EXPECT_EQ(ToText(ReportOf(model)),
            "model       m.safetensors\n"
            "format      SafeTensors\n"
            "size        0 bytes\n"
            "tensors     2\n"
            "parameters  7\n"
            "\n"
            "metadata\n"
            "  note: say \"hi\"\\n\n"
            "\n"
            "type  tensors  parameters  bytes\n"
            "F32         1           6     24\n"
            "Q9          1           1      5\n"
            "\n"
            "name         shape   type  bytes\n"
            "fc.weight    [2, 3]  F32      24\n"
            "\\x1b[31mred  [1]     Q9        5\n");
}

TEST(ModelText, SaysHowManyTheFilterLeft) {
  const Model model = SmallModel();
  ModelReport report = ReportOf(model);
  report.tensors.pop_back();
  EXPECT_TRUE(
      ToText(report).ends_with("\n1 of 2 tensors\n"
                               "name       shape   type  bytes\n"
                               "fc.weight  [2, 3]  F32      24\n"));
}

TEST(ModelText, ShowsStatsAndWhatAScaleDoes) {
  const Model model = SmallModel();
  ModelReport report = ReportOf(model);
  TensorStats stats;
  stats.elements = 6;
  stats.nan = 1;
  stats.min = -0.5;
  stats.max = 2;
  stats.mean = 0.25;
  report.stats = {stats, std::nullopt};
  report.companions[report.tensors[1]].text = "is odd";
  EXPECT_TRUE(ToText(report).ends_with(
      "name         shape   type  bytes   min  max  mean  NaN  inf  over f16  "
      "to 0  note\n"
      "fc.weight    [2, 3]  F32      24  -0.5    2  0.25    1    0         0  "
      "   0\n"
      "\\x1b[31mred  [1]     Q9        5     -    -     -    -    -         -  "
      "   -  is odd\n"));
}

TEST(ModelJson, HasTheSameFacts) {
  const Model model = SmallModel();
  ModelReport report = ReportOf(model);
  report.check = CheckReport{29, {"bad"}};
  EXPECT_EQ(ToJson(report),
            R"({
  "path": "m.safetensors",
  "format": "SafeTensors",
  "bytes": 0,
  "parameters": 7,
  "files": [],
  "types": [
    {"type": "F32", "tensors": 1, "parameters": 6, "bytes": 24},
    {"type": "Q9", "tensors": 1, "parameters": 1, "bytes": 5}],
  "metadata": {
    "note": "say \"hi\"\u000a"},
  "check": {"bytes": 29, "findings": [
    "bad"]},
  "tensors": [
    {"name": "fc.weight", "shape": [2, 3], "type": "F32", "bytes": 24},
    {"name": "\u001b[31mred", "shape": [1], "type": "Q9", "bytes": 5}]
}
)");
}

TEST(JsonString, IsAlwaysUtf8) {
  EXPECT_EQ(JsonString("a\\\xff\u00e9"), "\"a\\\\\\ufffd\u00e9\"");
}

}  // namespace
}  // namespace tl
