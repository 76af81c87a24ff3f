#include "format/metadata.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "format/metadata_text.h"

namespace tl {
namespace {

std::vector<std::string> Texts(const MetadataArray& array) {
  std::vector<std::string> texts;
  for (MetadataItem item : array) texts.emplace_back(item.Text().value());
  return texts;
}

TEST(MetadataTest, KindsHaveGgufsNumbers) {
  EXPECT_EQ(FindMetadataKind(0), MetadataKind::U8);
  EXPECT_EQ(FindMetadataKind(7), MetadataKind::Bool);
  EXPECT_EQ(FindMetadataKind(12), MetadataKind::F64);
  EXPECT_EQ(FindMetadataKind(13), std::nullopt);
  EXPECT_EQ(FindMetadataKind("array"), MetadataKind::Array);
  for (uint32_t i = 0; i < 13; ++i) {
    const MetadataKind kind = *FindMetadataKind(i);
    EXPECT_EQ(FindMetadataKind(Info(kind).name), kind);
  }
}

TEST(MetadataTest, ValuesAreAskedForByKind) {
  const auto value = MetadataValue::Of(uint32_t{32});
  EXPECT_EQ(value.kind(), MetadataKind::U32);
  EXPECT_EQ(value.Int(), 32);
  EXPECT_EQ(value.Real(), 32.0);
  EXPECT_EQ(value.Text(), std::nullopt);
  EXPECT_EQ(value.Bool(), std::nullopt);
  EXPECT_EQ(MetadataValue::Of(int8_t{-3}).Int(), -3);
  EXPECT_EQ(MetadataValue::Of(true).Bool(), true);
  EXPECT_EQ(MetadataValue::Of(true).Int(), std::nullopt);
  EXPECT_EQ(MetadataValue::Of(0.5f).Real(), 0.5);
  EXPECT_EQ(MetadataValue::Of(0.5f).Int(), std::nullopt);
  EXPECT_EQ(MetadataValue::Of(1e-5f).Real(), 1e-5);
  EXPECT_EQ(MetadataValue::Of(1e-5).Real(), 1e-5);
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(MetadataValue::Of(infinity).Real(), double{infinity});
  EXPECT_EQ(MetadataValue("llama").Text(), "llama");
  const auto large = MetadataValue::Of(~uint64_t{0});
  EXPECT_EQ(large.Int(), std::nullopt);
  EXPECT_EQ(large.Real(), 0x1p64);
}

TEST(MetadataTest, ArraysAreWalked) {
  const std::vector<std::string> tokens = {"<unk>", "", "a b"};
  const auto value = MetadataValue::Strings(tokens);
  EXPECT_EQ(value.array().size(), 3);
  EXPECT_EQ(value.array().kind(), MetadataKind::String);
  EXPECT_EQ(Texts(value.array()), tokens);
  const std::vector<float> scores = {0.5f, -1};
  double sum = 0;
  const auto numbers = MetadataValue::Numbers<float>(scores);
  for (MetadataItem item : numbers.array()) sum += *item.Real();
  EXPECT_EQ(sum, -0.5);
}

TEST(MetadataTest, KeepsTheOrderOfKeys) {
  Metadata metadata;
  EXPECT_TRUE(metadata.Add("z", "1"));
  EXPECT_TRUE(metadata.Add("a", MetadataValue::Of(2)));
  EXPECT_FALSE(metadata.Add("z", "3"));
  metadata.Set("z", "4");
  metadata.Set("m", "5");
  metadata.Remove("a");
  metadata.Remove("none");
  std::string text;
  for (const auto& [key, value] : metadata) {
    text += key + "=" + std::string(*value.Text()) + " ";
  }
  EXPECT_EQ(text, "z=4 m=5 ");
  EXPECT_EQ(metadata.Text("m"), "5");
  EXPECT_EQ(metadata.Int("m"), std::nullopt);
  EXPECT_EQ(metadata.Find("a"), nullptr);
}

TEST(MetadataTest, TextsOfValuesLeadBack) {
  const std::vector<std::string> strings = {"a\"b", "\n", ""};
  const std::vector<std::string> not_utf8 = {"\xff", "x"};
  const std::vector<int32_t> integers = {1, -2};
  const std::vector<double> reals = {0.1,
                                     std::numeric_limits<double>::infinity()};
  const std::vector<std::pair<MetadataValue, std::string>> cases = {
      {"plain", "plain"},
      {"gguf.u32:1", R"(gguf.string:"gguf.u32:1")"},
      {"\xff\x01", "gguf.string.hex:ff01"},
      {MetadataValue::Of(uint32_t{4096}), "gguf.u32:4096"},
      {MetadataValue::Of(~uint64_t{0}), "gguf.u64:18446744073709551615"},
      {MetadataValue::Of(int64_t{-9}), "gguf.i64:-9"},
      {MetadataValue::Of(1e-5f), "gguf.f32:1e-05"},
      {MetadataValue::Of(1.0f), "gguf.f32:1"},
      {MetadataValue::Of(std::numeric_limits<float>::infinity()),
       "gguf.f32.hex:0000807f"},
      {MetadataValue::Of(false), "gguf.bool:false"},
      {MetadataValue::OfBytes(MetadataKind::Bool, std::array{std::byte{2}}),
       "gguf.bool.hex:02"},
      {MetadataValue::Of(-0.0), "gguf.f64:-0.0"},
      {MetadataValue::Strings(strings), R"(gguf.[string]:["a\"b","\n",""])"},
      {MetadataValue::Strings(not_utf8),
       "gguf.[string].hex:0100000000000000ff010000000000000078"},
      {MetadataValue::Numbers<int32_t>(integers), "gguf.[i32]:[1,-2]"},
      {MetadataValue::Numbers<int32_t>({}), "gguf.[i32]:[]"},
      {MetadataValue::Numbers<double>(reals),
       "gguf.[f64].hex:9a9999999999b93f000000000000f07f"},
  };
  for (const auto& [value, text] : cases) {
    EXPECT_EQ(ToText(value), text);
    EXPECT_TRUE(FromText(text) == value) << text;
  }
}

TEST(MetadataTest, OtherTextsAreStrings) {
  for (const char* text :
       {"", "gguf.", "gguf.u32", "gguf.u32:", "gguf.u32:-1", "gguf.u8:256",
        "gguf.u32:\"1\"", "gguf.array:[]", "gguf.[array]:[]", "gguf.[i32]:1",
        "gguf.u32.hex:00", "gguf.u32.hex:0000000g", "gguf.[string].hex:01",
        "gguf.[string].hex:0200000000000000ff", "gguf.x:1", "gguf.u32: 1",
        "gguf.string:\"a\"", "gguf.u8.hex:01"}) {
    EXPECT_EQ(FromText(text).Text(), text);
  }
}

}  // namespace
}  // namespace tl
