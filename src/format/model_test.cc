#include "format/model.h"

#include <gtest/gtest.h>

#include "format/nearest.h"
#include "format/test_files.h"

namespace tl {
namespace {

using namespace std::string_literals;

Tensor OneFloat(float value) {
  Tensor tensor = MakeTensor(DType::F32, Shape{1});
  *tensor.as<float>() = value;
  return tensor;
}

Model ModelOf(const std::vector<std::string>& names) {
  Model model;
  for (size_t i = 0; i < names.size(); ++i) {
    model.Set(names[i], OneFloat(static_cast<float>(i)));
  }
  return model;
}

std::vector<std::string> NamesOf(const Model& model) {
  std::vector<std::string> names;
  for (const TensorEntry& entry : model.tensors()) names.push_back(entry.name);
  return names;
}

float ValueOf(const Model& model, std::string_view name) {
  return *model.Get(name).AsTensor().as<float>();
}

TEST(ModelTest, KeepsTheOrderOfItsTensors) {
  Model model = ModelOf({"c", "a", "b"});
  model.Set("a", OneFloat(7));
  EXPECT_EQ(NamesOf(model), (std::vector<std::string>{"c", "a", "b"}));
  EXPECT_EQ(ValueOf(model, "a"), 7);
  model.Remove("c");
  model.Set("c", OneFloat(8));
  EXPECT_EQ(NamesOf(model), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(ValueOf(model, "b"), 2);
  EXPECT_EQ(ValueOf(model, "c"), 8);
}

TEST(ModelTest, FindsManyTensors) {
  Model model;
  for (int i = 0; i < 5000; ++i) {
    model.Set(fmt::format("layer.{}", i), OneFloat(static_cast<float>(i)));
  }
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(ValueOf(model, fmt::format("layer.{}", i)), i);
  }
  EXPECT_EQ(model.Find("layer.5000"), nullptr);
  EXPECT_EQ(model.Find(""), nullptr);
}

TEST(ModelTest, AMissingNameGetsTheNearestOnes) {
  const Model model = ModelOf({"fc1.weight", "fc1.bias", "fc2.weight", "x"});
  EXPECT_EQ(FailureOf([&] { model.Get("fc1.wieght"); }),
            "the model has no tensor 'fc1.wieght' among its 4; nearest: "
            "'fc1.weight', 'fc2.weight'");
  EXPECT_EQ(FailureOf([&] { model.Get("embedding"); }),
            "the model has no tensor 'embedding' among its 4");
  Model named("m.safetensors", "SafeTensors");
  EXPECT_EQ(FailureOf([&] { named.Remove("a"); }),
            "'m.safetensors' has no tensor 'a' among its 0");
}

TEST(ModelTest, KnowsItsParts) {
  Model model = ModelOf({"blk.1.w", "blk.10.w", "blk.1.b", "blkx", "out"});
  EXPECT_TRUE(model.HasPart("blk"));
  EXPECT_TRUE(model.HasPart("blk.1"));
  EXPECT_TRUE(model.HasPart("out"));
  EXPECT_FALSE(model.HasPart("bl"));
  EXPECT_FALSE(model.HasPart("blk.2"));
  EXPECT_FALSE(model.HasPart("blk.1.w.x"));
  std::vector<std::string> names;
  for (const TensorEntry* entry : model.TensorsBelow("blk.1")) {
    names.push_back(entry->name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"blk.1.b", "blk.1.w"}));
  model.Remove("blk.10.w");
  EXPECT_FALSE(model.HasPart("blk.10"));
}

TEST(ModelTest, AMovedModelIsWhole) {
  Model first = ModelOf({"a", "b"});
  const Model second = std::move(first);
  EXPECT_EQ(ValueOf(second, "b"), 1);
}

TEST(QuoteNameTest, ShowsOddNamesOnOneLine) {
  EXPECT_EQ(QuoteName("a.b"), "'a.b'");
  EXPECT_EQ(QuoteName("a\0\n\x7f"s), "'a\\x00\\x0a\\x7f'");
  EXPECT_EQ(QuoteName(std::string(1000, 'x')),
            "'" + std::string(200, 'x') + "...' (1000 bytes)");
  const std::string accents = [] {
    std::string text = "x";
    for (int i = 0; i < 200; ++i) text += "\u00e9";
    return text;
  }();
  EXPECT_EQ(QuoteName(accents),
            "'" + accents.substr(0, 199) + "...' (401 bytes)");
}

TEST(NearestNamesTest, PrefersTheNearestAndKeepsOrderAmongEquals) {
  EXPECT_EQ(NearestNames("abcd", {"abxx", "abcx", "abyd", "zzzz"}, 2),
            (std::vector<std::string_view>{"abcx", "abyd"}));
  EXPECT_TRUE(NearestNames("abc", {}, 3).empty());
}

}  // namespace
}  // namespace tl
