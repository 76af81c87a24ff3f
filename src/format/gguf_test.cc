// Against what ggml accepts and refuses (src/gguf.cpp and tests/test-gguf.cpp),
// and what it should refuse.
#include <gtest/gtest.h>

#include "format/gguf_header.h"
#include "format/gguf_test_file.h"
#include "format/load.h"
#include "format/model.h"
#include "format/test_files.h"

namespace tl {
namespace {

using namespace std::string_literals;

constexpr uint32_t kF32 = 0, kF16 = 1, kQ4_0 = 2, kForeign = 97;
constexpr uint64_t kHuge = uint64_t{1} << 63;

class GgufTest : public TempFolderTest {
 protected:
  Model Load(const std::string& bytes) const {
    return LoadModel(Make("m.gguf", bytes));
  }
  // What loading says after the path, or "ok".
  std::string Refusal(const std::string& bytes) const {
    const std::string path = Make("m.gguf", bytes);
    const std::string failure = FailureOf([&] { LoadModel(path); });
    if (failure == "no failure") return "ok";
    EXPECT_TRUE(failure.starts_with(path + ": ")) << failure;
    return failure.substr(path.size() + 2);
  }
  std::string Refusal(const GgufFile& file) const {
    return Refusal(file.Bytes());
  }
  // One F32 tensor of these dimensions as GGUF lists them.
  std::string RefusalOfShape(const std::vector<uint64_t>& ne,
                             uint32_t type = kF32) const {
    return Refusal(
        GgufFile().Tensor("t", ne, type, 0).Data(std::string(128, 'x')));
  }
};

GgufFile SmallFile() {
  GgufFile file;
  file.Text("general.architecture", "llama");
  file.U32("llama.block_count", 2);
  file.Key("tokens", 9,
           Raw(8u) + Raw(uint64_t{2}) + RawText("<s>") + RawText("\xff"));
  file.Tensor("a.weight", {3, 2}, kF32, 0);
  file.Tensor("b", {32}, kQ4_0, 32);
  file.Tensor("c", {2}, kF16, 64);
  return file.Data(std::string(24, 'a') + std::string(8, '\0') +
                   std::string(18, 'b') + std::string(14, '\0') + "cccc");
}

TEST_F(GgufTest, ReadsTensorsWhereTheyLie) {
  const Model model = Load(SmallFile().Bytes());
  EXPECT_EQ(model.format(), "GGUF");
  EXPECT_EQ(model.format_version(), 3);
  ASSERT_EQ(model.size(), 3);
  const TensorEntry& a = model.Get("a.weight");
  EXPECT_EQ(a.dtype, DType::F32);
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));  // GGUF's reversed
  EXPECT_EQ(a.elements, 6);
  EXPECT_EQ(a.bytes, 24);
  EXPECT_EQ(a.stored()[0], std::byte{'a'});
  const TensorEntry& b = model.Get("b");
  EXPECT_EQ(b.dtype, DType::Q4_0);
  EXPECT_EQ(b.bytes, 18);
  EXPECT_EQ(b.stored()[17], std::byte{'b'});
  EXPECT_EQ(b.offset() % 32, 0);
  EXPECT_EQ(model.Get("c").stored()[3], std::byte{'c'});
}

TEST_F(GgufTest, ReadsEveryKindOfMetadata) {
  GgufFile file;
  file.Key("u8", 0, Raw(uint8_t{200})).Key("i8", 1, Raw(int8_t{-3}));
  file.Key("u16", 2, Raw(uint16_t{50'000})).Key("i16", 3, Raw(int16_t{-300}));
  file.U32("u32", 4'000'000'000).Key("i32", 5, Raw(-70'000));
  file.Key("f32", 6, Raw(0.5f)).Key("f64", 12, Raw(0.1));
  file.Key("bool", 7, "\1").Key("odd bool", 7, "\2").Text("string", "s\0t"s);
  file.Key("u64", 10, Raw(kHuge)).Key("i64", 11, Raw(int64_t{-5}));
  file.Key("array", 9, Raw(5u) + Raw(uint64_t{2}) + Raw(7) + Raw(-8));
  file.Key("none", 9, Raw(8u) + Raw(uint64_t{0}));
  file.Text("UPPER", "");
  const Model model = Load(file.Bytes());
  const Metadata& metadata = model.metadata();
  EXPECT_EQ(metadata.size(), 16);
  for (const char* kind : {"u8", "i8", "u16", "i16", "u32", "i32", "f32",
                           "bool", "string", "array", "u64", "i64", "f64"}) {
    EXPECT_EQ(Info(metadata.Find(kind)->kind()).name, kind);
  }
  EXPECT_EQ(metadata.Int("u8"), 200);
  EXPECT_EQ(metadata.Int("i8"), -3);
  EXPECT_EQ(metadata.Int("u16"), 50'000);
  EXPECT_EQ(metadata.Int("i16"), -300);
  EXPECT_EQ(metadata.Int("u32"), 4'000'000'000);
  EXPECT_EQ(metadata.Int("i32"), -70'000);
  EXPECT_EQ(metadata.Int("i64"), -5);
  EXPECT_EQ(metadata.Find("u64")->Real(), 0x1p63);
  EXPECT_EQ(metadata.Find("f32")->Real(), 0.5);
  EXPECT_EQ(metadata.Find("f64")->Real(), 0.1);
  EXPECT_EQ(metadata.Find("bool")->Bool(), true);
  EXPECT_EQ(metadata.Find("odd bool")->Bool(), true);
  EXPECT_EQ(metadata.Text("string"), "s\0t"s);
  EXPECT_EQ(metadata.Text("UPPER"), "");
  const std::vector<int32_t> numbers = {7, -8};
  EXPECT_EQ(*metadata.Find("array"), MetadataValue::Numbers<int32_t>(numbers));
  EXPECT_EQ(metadata.Find("none")->array().size(), 0);
}

TEST_F(GgufTest, TextsOfArraysStayInTheFile) {
  const Model model = Load(SmallFile().Bytes());
  const MetadataValue* tokens = model.metadata().Find("tokens");
  const auto mapped = model.files()[0]->bytes();
  EXPECT_GE(tokens->bytes().data(), mapped.data());
  EXPECT_LT(tokens->bytes().data(), mapped.data() + mapped.size());
  std::vector<std::string> texts;
  for (MetadataItem item : tokens->array()) texts.emplace_back(*item.Text());
  EXPECT_EQ(texts, (std::vector<std::string>{"<s>", "\xff"}));
}

TEST_F(GgufTest, AcceptsWhatIsOddButRight) {
  EXPECT_EQ(Refusal(GgufFile().Header()), "ok");
  EXPECT_EQ(Refusal(GgufFile().Header(2)), "ok");
  EXPECT_EQ(RefusalOfShape({}), "ok");
  EXPECT_EQ(RefusalOfShape({4, 2, 1, 1}), "ok");
  EXPECT_EQ(RefusalOfShape({0, 3}), "ok");
  EXPECT_EQ(RefusalOfShape({kHuge - 1, kHuge - 1, 0}), "ok");
  const std::string data(64, 'x');
  EXPECT_EQ(Refusal(GgufFile().Tensor("", {1}, kF32, 0).Data(data)), "ok");
  EXPECT_EQ(
      Refusal(GgufFile().Tensor(std::string(63, 'n'), {1}, kF32, 0).Data(data)),
      "ok");
  // Bytes behind the last tensor, and none of its padding.
  EXPECT_EQ(Refusal(GgufFile().Tensor("t", {1}, kF32, 0).Data("four+more")),
            "ok");
  EXPECT_EQ(Refusal(GgufFile().Tensor("t", {1}, kF32, 0).Data("four")), "ok");
}

TEST_F(GgufTest, AlignsAsTheFileSays) {
  for (uint32_t alignment : {1, 2, 4, 8, 64, 4096}) {
    GgufFile file;
    file.U32("general.alignment", alignment);
    file.Tensor("a", {1}, kF32, 0);
    file.Tensor("b", {1}, kF32, std::max(alignment, 4u));
    std::string data = "aaaa";
    data.resize(std::max(alignment, 4u));
    file.Data(data + "bbbb");
    const Model model = Load(file.Bytes(alignment));
    EXPECT_EQ(model.Get("b").stored()[0], std::byte{'b'}) << alignment;
  }
}

TEST_F(GgufTest, RefusesOtherVersions) {
  EXPECT_EQ(Refusal("GGUF"), "byte 4: version needs 4 bytes, 0 left");
  EXPECT_EQ(Refusal(GgufFile().Header(0)),
            "has GGUF version 0; versions 1 to 3 can be read");
  EXPECT_EQ(Refusal(GgufFile().Header(4)),
            "has GGUF version 4; versions 1 to 3 can be read");
  EXPECT_EQ(Refusal(GgufFile().Header(0x03000000)),
            "is a big-endian GGUF file (version 3); only little-endian ones "
            "can be read");
}

TEST_F(GgufTest, ReadsVersion1) {
  const auto text = [](const std::string& text) {
    return Raw(static_cast<uint32_t>(text.size())) + text;
  };
  std::string file = "GGUF" + Raw(1u) + Raw(1u) + Raw(2u);
  file += text("name") + Raw(8u) + text("old");
  file += text("tokens") + Raw(9u) + Raw(8u) + Raw(2u) + text("a") + text("b");
  file += text("t") + Raw(2u) + Raw(2u) + Raw(1u) + Raw(kF32) + Raw(uint64_t{});
  file.resize((file.size() + 31) / 32 * 32);
  const Model model = Load(file + "12345678");
  EXPECT_EQ(model.format_version(), 1);
  EXPECT_EQ(model.metadata().Text("name"), "old");
  const std::vector<std::string> tokens = {"a", "b"};
  EXPECT_EQ(*model.metadata().Find("tokens"), MetadataValue::Strings(tokens));
  EXPECT_EQ(model.Get("t").shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(model.Get("t").stored()[7], std::byte{'8'});
}

TEST_F(GgufTest, RefusesCountsThatTheFileCannotHold) {
  const std::string head = "GGUF" + Raw(3u);
  EXPECT_EQ(Refusal(head + Raw(uint64_t{1}) + Raw(uint64_t{0})),
            "is to have 1 tensors, but the 8 bytes that follow hold at most 0");
  EXPECT_EQ(Refusal(head + Raw(~uint64_t{0}) + Raw(uint64_t{0})),
            "is to have 18446744073709551615 tensors, but the 8 bytes that "
            "follow hold at most 0");
  EXPECT_EQ(Refusal(head + Raw(uint64_t{0}) + Raw(~uint64_t{0} / 8) +
                    std::string(28, '\0')),
            "is to have 2305843009213693951 keys of metadata, but the 28 bytes "
            "that follow hold at most 2");
}

TEST_F(GgufTest, RefusesMetadataThatIsWrong) {
  EXPECT_EQ(Refusal(GgufFile().Key("k", 13, "x")),
            "metadata 'k' has a value of the unknown kind 13");
  EXPECT_EQ(Refusal(GgufFile().Key("k", ~0u, "x")),
            "metadata 'k' has a value of the unknown kind 4294967295");
  EXPECT_EQ(
      Refusal(GgufFile().Key("k", 9, Raw(9u) + Raw(uint64_t{1}) + Raw(4u))),
      "metadata 'k' is an array of arrays, which is not supported");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 9, Raw(13u) + Raw(uint64_t{1}))),
            "metadata 'k' has a value of the unknown kind 13");
  EXPECT_EQ(Refusal(GgufFile().Text("", "x")),
            "byte 24: a key of metadata is empty");
  EXPECT_EQ(Refusal(GgufFile().Text("k", "x").U32("k", 1)),
            "metadata 'k' is there twice");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 8, Raw(uint64_t{60}) + "x")),
            "byte 45: text of metadata needs 60 bytes, 19 left");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 8, Raw(~uint64_t{0}) + "x")),
            "byte 45: text of metadata has 18446744073709551615 bytes, at most "
            "1073741824 are read");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 9, Raw(4u) + Raw(~uint64_t{0} / 4))),
            "metadata 'k' is an array of 4611686018427387903 items, at most "
            "1073741824 are read");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 9, Raw(8u) + Raw(uint64_t{1} << 30))),
            "byte 57: text of an array needs 8 bytes, 7 left");
  EXPECT_EQ(Refusal(GgufFile().Key("k", 9, Raw(12u) + Raw(uint64_t{1} << 30))),
            "byte 49: array of metadata needs 8589934592 bytes, 15 left");
}

TEST_F(GgufTest, RefusesAlignmentsThatAreNone) {
  for (uint32_t alignment : {0, 3, 24}) {
    EXPECT_EQ(Refusal(GgufFile().U32("general.alignment", alignment)),
              fmt::format("metadata 'general.alignment' is {}, must be a power "
                          "of two",
                          alignment));
  }
  EXPECT_EQ(Refusal(GgufFile().Key("general.alignment", 10, Raw(uint64_t{32}))),
            "metadata 'general.alignment' is of kind u64, must be u32");
  for (uint32_t alignment : {1u << 30, 1u << 31}) {
    EXPECT_EQ(Refusal(GgufFile()
                          .U32("general.alignment", alignment)
                          .Tensor("t", {1}, kF32, 0)
                          .Data("1234")),
              fmt::format("has 100 bytes, its tensors are to begin at byte {}; "
                          "the file is incomplete",
                          alignment));
  }
}

TEST_F(GgufTest, RefusesShapesThatAreWrong) {
  EXPECT_EQ(RefusalOfShape({1, 1, 1, 1, 1}),
            "tensor 't': has 5 dimensions, at most 4 are allowed");
  EXPECT_EQ(RefusalOfShape({1, ~uint64_t{0}}),
            "tensor 't': has a dimension of -1");
  EXPECT_EQ(RefusalOfShape({16}, kQ4_0),
            "tensor 't': rows of 16 elements are no whole blocks of Q4_0, "
            "which have 32");
  EXPECT_EQ(RefusalOfShape({16, 2}, kQ4_0),
            "tensor 't': rows of 16 elements are no whole blocks of Q4_0, "
            "which have 32");
  // The product is 2^64, which ggml takes for 0.
  EXPECT_EQ(RefusalOfShape({uint64_t{1} << 32, uint64_t{1} << 32}),
            "tensor 't': shape [4294967296, 4294967296] has 2^63 elements or "
            "more");
  EXPECT_EQ(RefusalOfShape({uint64_t{1} << 62}),
            "tensor 't': F32 [4611686018427387904] needs 2^63 bytes or more");
  EXPECT_EQ(RefusalOfShape({kHuge - 1}),
            "tensor 't': F32 [9223372036854775807] needs 2^63 bytes or more");
}

// The padded size is 2^64, which ggml takes for 0: the next tensor overlaps.
TEST_F(GgufTest, RefusesSizesThatOnlyPaddingMakesTooLarge) {
  EXPECT_EQ(RefusalOfShape({(uint64_t{1} << 61) - 1}),
            "tensor 't': 9223372036854775804 bytes at data byte 0 end beyond "
            "2^63");
  // Fits into 63 bits, but not with what is before it.
  EXPECT_EQ(RefusalOfShape({(uint64_t{1} << 61) - 16}),
            "tensor 't': 9223372036854775744 bytes at data byte 0 end beyond "
            "2^63");
}

TEST_F(GgufTest, RefusesTensorsThatAreNotWhereTheyShouldBe) {
  const std::string data(256, 'x');
  const auto two = [&](uint64_t first, uint64_t second) {
    return Refusal(GgufFile()
                       .Tensor("a", {9}, kF32, first)
                       .Tensor("b", {1}, kF32, second)
                       .Data(data));
  };
  EXPECT_EQ(two(0, 64), "ok");
  EXPECT_EQ(two(32, 96),
            "tensor 'a': begins at data byte 32; the tensors before it end "
            "at 0");
  EXPECT_EQ(two(0, 96),
            "tensor 'b': begins at data byte 96; the tensors before it end "
            "at 64");
  EXPECT_EQ(two(0, 32),
            "tensor 'b': begins at data byte 32; the tensors before it end "
            "at 64");
  EXPECT_EQ(two(0, 36),
            "tensor 'b': begins at data byte 36; the tensors before it end "
            "at 64");
  EXPECT_EQ(two(32, 0),
            "tensor 'a': begins at data byte 32; the tensors before it end "
            "at 0");
  EXPECT_EQ(two(0, ~uint64_t{0}),
            "tensor 'b': its offset is 18446744073709551615");
}

TEST_F(GgufTest, RefusesNamesThatAreWrong) {
  const std::string data(128, 'x');
  EXPECT_EQ(
      Refusal(GgufFile().Tensor(std::string(64, 'n'), {1}, kF32, 0).Data(data)),
      "byte 24: a tensor's name has 64 bytes, at most 63 are allowed");
  EXPECT_EQ(Refusal(GgufFile().Tensor("a\0b"s, {1}, kF32, 0).Data(data)),
            "byte 24: a tensor's name has a zero byte: 'a\\x00b'");
  EXPECT_EQ(Refusal(GgufFile()
                        .Tensor("a", {1}, kF32, 0)
                        .Tensor("a", {1}, kF32, 32)
                        .Data(data)),
            "two tensors are called 'a'");
}

TEST_F(GgufTest, RefusesDataThatIsCutOff) {
  EXPECT_EQ(Refusal(GgufFile()
                        .Tensor("a", {1}, kF32, 0)
                        .Tensor("b", {2}, kF32, 32)
                        .Tensor("c", {1}, kF32, 64)
                        .Data(std::string(39, 'x'))),
            "has 167 bytes, its tensors need 196; the file is incomplete from "
            "tensor 'b' on");
}

TEST_F(GgufTest, ListsTypesThatItDoesNotKnow) {
  for (uint32_t type : {4u, 5u, 31u, 36u, 43u, 255u, ~0u}) {
    EXPECT_EQ(RefusalOfShape({4}, type), "ok") << type;
  }
  const Model model = Load(GgufFile()
                               .Tensor("a", {7}, kForeign, 0)
                               .Tensor("b", {1}, kF32, 64)
                               .Tensor("c", {100}, kForeign, 96)
                               .Data(std::string(100, 'x'))
                               .Bytes());
  EXPECT_EQ(model.Get("a").dtype, std::nullopt);
  EXPECT_EQ(model.Get("a").type_name(), "type 97");
  EXPECT_EQ(model.Get("a").elements, 7);
  EXPECT_EQ(model.Get("a").bytes, 64);  // up to the next
  EXPECT_EQ(model.Get("c").bytes, 4);   // up to the end
  EXPECT_EQ(FailureOf([&] { model.Get("a").AsTensor(); }),
            "tensor 'a' has the unknown type 'type 97'");
}

TEST_F(GgufTest, RefusesWhatFollowsATypeThatItDoesNotKnowAtAWrongPlace) {
  const auto after = [&](uint64_t offset) {
    return Refusal(GgufFile()
                       .Tensor("a", {7}, kForeign, 0)
                       .Tensor("b", {1}, kForeign, 64)
                       .Tensor("c", {1}, kF32, offset)
                       .Data(std::string(100, 'x')));
  };
  EXPECT_EQ(after(96), "ok");
  EXPECT_EQ(after(32),
            "tensor 'c': begins at data byte 32, which cannot follow 'b' at "
            "64");
  EXPECT_EQ(after(97),
            "tensor 'c': begins at data byte 97, which cannot follow 'b' at "
            "64");
  EXPECT_EQ(after(kHuge - 64),
            "tensor 'c': 4 bytes at data byte 9223372036854775744 end beyond "
            "2^63");
  EXPECT_EQ(after(kHuge / 2),
            "has 228 bytes, its tensors need 4611686018427388036; the file is "
            "incomplete from tensor 'b' on");
}

TEST_F(GgufTest, EveryTruncationIsRefused) {
  const std::string whole = SmallFile().Bytes();
  EXPECT_EQ(Refusal(whole), "ok");
  for (size_t size = 4; size < whole.size(); ++size) {
    EXPECT_NE(Refusal(whole.substr(0, size)), "ok") << size;
  }
}

// Whatever a flipped bit makes of the header, it loads or is refused; the
// sanitizers watch.
TEST_F(GgufTest, EveryBitFlipLoadsOrIsRefused) {
  const std::string whole = SmallFile().Bytes();
  const size_t header = SmallFile().Header().size();
  int loaded = 0, refused = 0;
  for (size_t bit = 32; bit < 8 * header; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    Refusal(flipped) == "ok" ? ++loaded : ++refused;
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tl
