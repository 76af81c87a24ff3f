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

TEST(ModelText, ShowsEveryDigitOfALargeNumber) {
  Model model("m.gguf", "GGUF");
  model.metadata().Set("seed", MetadataValue::Of(~uint64_t{0}));
  EXPECT_NE(ToText(ReportOf(model)).find("seed: 18446744073709551615\n"),
            std::string::npos);
  EXPECT_NE(ToJson(ReportOf(model)).find("\"seed\": 18446744073709551615"),
            std::string::npos);
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

Model GgufModel() {
  Model model("m.gguf", "GGUF");
  model.set_format_version(3);
  Metadata& metadata = model.metadata();
  metadata.Set("general.name", "Tiny\x1b");
  metadata.Set("general.file_type", MetadataValue::Of(uint32_t{15}));
  metadata.Set("eps", MetadataValue::Of(1e-5f));
  metadata.Set("flag", MetadataValue::Of(true));
  metadata.Set("tokens",
               MetadataValue::Strings(std::vector<std::string>{"<s>", "a\"b"}));
  metadata.Set("types",
               MetadataValue::Numbers<int32_t>(std::vector<int32_t>(1000, 7)));
  metadata.Set("none", MetadataValue::Numbers<float>({}));
  return model;
}

TEST(ModelText, ShowsTheMetadataOfGgufCut) {
  const Model model = GgufModel();
  EXPECT_EQ(ToText(ReportOf(model)),
            "model       m.gguf\n"
            "format      GGUF version 3\n"
            "size        0 bytes\n"
            "tensors     0\n"
            "parameters  0\n"
            "\n"
            "metadata\n"
            "  general.name: Tiny\\x1b\n"
            "  general.file_type: 15 (q4_k_m)\n"
            "  eps: 1e-05\n"
            "  flag: true\n"
            "  tokens: [2 strings: \"<s>\", \"a\"b\"]\n"
            "  types: [1,000 i32: 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, "
            "7, 7, 7, 7, 7, ...]\n"
            "  none: [0 f32]\n");
}

TEST(ModelJson, HasTheWholeMetadataOfGguf) {
  Model model = GgufModel();
  model.metadata().Remove("types");
  const float inf = std::numeric_limits<float>::infinity();
  model.metadata().Set("inf", MetadataValue::Of(inf));
  EXPECT_EQ(ToJson(ReportOf(model)), R"({
  "path": "m.gguf",
  "format": "GGUF",
  "format_version": 3,
  "bytes": 0,
  "parameters": 0,
  "files": [],
  "types": [],
  "metadata": {
    "general.name": "Tiny\u001b",
    "general.file_type": 15,
    "eps": 1e-05,
    "flag": true,
    "tokens": ["<s>", "a\"b"],
    "none": [],
    "inf": null},
  "tensors": []
}
)");
}

TEST(JsonString, IsAlwaysUtf8) {
  EXPECT_EQ(JsonString("a\\\xff\u00e9"), "\"a\\\\\\ufffd\u00e9\"");
}

}  // namespace
}  // namespace tl
