#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/load.h"
#include "format/test_files.h"

namespace tl {
namespace {

using namespace std::string_literals;

const std::string kFour(4, '\x01');

class SafeTensorsTest : public TempFolderTest {
 protected:
  Model Load(const std::string& header, const std::string& data = kFour) {
    return LoadModel(Make("m", SafeTensorsFile(header, data)));
  }
  // What loading says, without the path; "ok" when it works.
  std::string Refusal(const std::string& header,
                      const std::string& data = kFour) {
    return RefusalOfFile(SafeTensorsFile(header, data));
  }
  std::string RefusalOfFile(const std::string& file) {
    const std::string path = Make("m", file);
    const std::string text = FailureOf([&] { LoadModel(path); });
    if (text == "no failure") return "ok";
    EXPECT_TRUE(text.starts_with(path + ": ")) << text;
    return text.substr(path.size() + 2);
  }
};

// A tensor `name` with four bytes of F32, and further fields.
std::string Tensor(const std::string& name, const std::string& more = "") {
  return "\"" + name +
         "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]" + more +
         "}";
}

std::string Described(const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
  return "{\"t\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}}";
}

// Two tensors of U8 with these offsets, in eight bytes of data.
std::string Two(int a, int b, int c, int d) {
  return fmt::format(
      "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[{},{}]}},"
      "\"b\":{{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[{},{}]}}}}",
      b - a, a, b, d - c, c, d);
}

TEST_F(SafeTensorsTest, GivesNamesTypesShapesAndBytes) {
  const Model model = Load(
      "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[4,8]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
      "\0\0\x80?abcd"s);
  ASSERT_EQ(model.size(), 2);
  EXPECT_EQ(model.format(), "SafeTensors");
  EXPECT_EQ(model.tensors()[0].name, "b");
  EXPECT_EQ(model.tensors()[0].dtype, DType::F16);
  EXPECT_EQ(model.tensors()[0].shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(model.tensors()[0].elements, 2);
  EXPECT_EQ(model.tensors()[0].stored()[3], std::byte{'d'});
  const tl::Tensor scalar = model.Get("a").AsTensor();
  EXPECT_EQ(scalar.shape.rank(), 0);
  EXPECT_EQ(FirstFloat(scalar.data.get()), 1);
}

TEST_F(SafeTensorsTest, TensorsOutliveTheModelThatLoadedThem) {
  tl::Tensor tensor;
  {
    const Model model = Load("{" + Tensor("t") + "}", "\0\0\x80?"s);
    tensor = model.Get("t").AsTensor();
  }
  EXPECT_EQ(FirstFloat(tensor.data.get()), 1);
}

TEST_F(SafeTensorsTest, AcceptsWhatTheFormatAllows) {
  const std::string t = Tensor("t");
  for (const std::string& header : std::vector<std::string>{
           "{" + t + "}",
           Described("\"F32\"", "[]", "[0,4]"),
           Described("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"),
           "{" + Tensor("") + "}",
           "{" + Tensor("\\u0000") + "}",
           "{" + Tensor("\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00") + "}",
           "{\"t\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}",
           "{\"__metadata__\":{\"a\":\"b\"}," + t + "}",
           "{" + t + ",\"__metadata__\":{\"a\":\"b\"}}",
           "{\"__metadata__\":{}," + t + "}",
           "{\"__metadata__\":null," + t + "}",
           "{" + Tensor("t", ",\"extra\":[1.5,{\"a\":null},-0,true]") + "}",
           "  \n{" + t + "}\t  ",
           "{" +
               Tensor("t", ",\"x\":" + std::string(100, '[') +
                               std::string(100, ']')) +
               "}",
       }) {
    EXPECT_EQ(Refusal(header), "ok") << header;
  }
  EXPECT_EQ(Refusal(Described("\"C64\"", "[1]", "[0,8]"), kFour + kFour), "ok");
  EXPECT_EQ(Refusal("{}", ""), "ok");
  EXPECT_EQ(Refusal("{}      ", ""), "ok");
  EXPECT_EQ(Refusal(Two(0, 4, 4, 8), kFour + kFour), "ok");
  EXPECT_EQ(Refusal(Two(4, 8, 0, 4), kFour + kFour), "ok");
  EXPECT_EQ(Refusal(Two(0, 4, 4, 4)), "ok");
  EXPECT_EQ(Refusal(Two(0, 4, 0, 0)), "ok");
  EXPECT_EQ(Refusal(Described("\"F4\"", "[8]", "[0,4]")), "ok");
  EXPECT_EQ(Refusal(Described("\"F6_E2M3\"", "[4]", "[0,3]"), "abc"), "ok");
}

TEST_F(SafeTensorsTest, KeepsNamesExactly) {
  const Model model =
      Load("{" + Tensor("a\\u0000\\n\\u00e9\\ud83d\\ude00") + "}");
  EXPECT_EQ(model.tensors()[0].name, "a\0\n\u00e9\U0001F600"s);
}

TEST_F(SafeTensorsTest, ReadsTensorsAtOddOffsets) {
  const Model model = Load(
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}",
      "x\0\0\x80?"s);
  EXPECT_EQ(FirstFloat(model.Get("b").data.get()), 1);
}

TEST_F(SafeTensorsTest, ListsATypeThatItDoesNotKnow) {
  const Model model = Load(Described("\"F5_WILD\"", "[7]", "[0,4]"));
  const TensorEntry& entry = model.Get("t");
  EXPECT_EQ(entry.dtype, std::nullopt);
  EXPECT_EQ(entry.type_name(), "F5_WILD");
  EXPECT_EQ(entry.bytes, 4);
  EXPECT_EQ(FailureOf([&] { entry.AsTensor(); }),
            "tensor 't' has the unknown type 'F5_WILD'");
  EXPECT_EQ(Load(Described("\"f32\"", "[1]", "[0,4]")).Get("t").dtype,
            std::nullopt);
}

TEST_F(SafeTensorsTest, MoreDimensionsThanCanBeComputedWithAreListed) {
  const Model model =
      Load(Described("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"));
  EXPECT_EQ(FailureOf([&] { model.Get("t").AsTensor(); }),
            "tensor 't' has 9 dimensions, at most 8 can be computed with");
}

TEST_F(SafeTensorsTest, RefusesBrokenMetadata) {
  const std::string t = Tensor("t");
  EXPECT_EQ(Refusal("{\"__metadata__\":{\"a\":1}," + t + "}"),
            "JSON at byte 29: '__metadata__': 'a' is not a text");
  EXPECT_EQ(Refusal("{\"__metadata__\":{\"a\":null}," + t + "}"),
            "JSON at byte 29: '__metadata__': 'a' is not a text");
  EXPECT_EQ(Refusal("{\"__metadata__\":\"x\"," + t + "}"),
            "JSON at byte 24: '__metadata__' is no object");
  EXPECT_EQ(Refusal("{\"__metadata__\":{},\"__metadata__\":{}," + t + "}"),
            "JSON at byte 42: '__metadata__' is there twice");
  EXPECT_EQ(Refusal("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}," + t + "}"),
            "JSON at byte 40: '__metadata__': 'a' is there twice");
}

TEST_F(SafeTensorsTest, RefusesWhatIsThereTwice) {
  EXPECT_EQ(Refusal("{" + Tensor("a") + "," + Tensor("a") + "}"),
            "two tensors are called 'a'");
  EXPECT_EQ(Refusal("{" + Tensor("a") + "," + Tensor("\\u0061") + "}"),
            "two tensors are called 'a'");
  EXPECT_EQ(Refusal("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":"
                    "[0,4]},\"a\":{\"dtype\":\"U8\",\"shape\":[4],"
                    "\"data_offsets\":[4,8]}}",
                    kFour + kFour),
            "two tensors are called 'a'");
  EXPECT_EQ(Refusal("{" + Tensor("t", ",\"dtype\":\"F32\"") + "}"),
            "JSON at byte 69: 'dtype' is there twice");
}

TEST_F(SafeTensorsTest, RefusesATensorThatIsNotDescribedInFull) {
  EXPECT_EQ(Refusal("{\"t\":[\"F32\",[1],[0,4]]}"),
            "tensor 't': is described by something other than an object");
  EXPECT_EQ(Refusal("{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}"),
            "tensor 't': has no dtype");
  EXPECT_EQ(Refusal("{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}"),
            "tensor 't': has no shape");
  EXPECT_EQ(Refusal("{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}"),
            "tensor 't': has no data_offsets");
  EXPECT_EQ(Refusal(Described("7", "[1]", "[0,4]")),
            "tensor 't': dtype is not a text");
}

TEST_F(SafeTensorsTest, RefusesNumbersThatAreNotWholeSizes) {
  const auto shape = [&](const std::string& text) {
    return Refusal(Described("\"F32\"", text, "[0,4]"));
  };
  const auto needed = [](const std::string& token) {
    return "tensor 't': shape has '" + token +
           "' where a whole number below 2^63 is needed";
  };
  EXPECT_EQ(shape("null"), "tensor 't': shape is not a list");
  EXPECT_EQ(shape("\"1\""), "tensor 't': shape is not a list");
  EXPECT_EQ(shape("[null]"), needed("null"));
  EXPECT_EQ(shape("[\"1\"]"), needed("\"1\""));
  EXPECT_EQ(shape("[-1]"), needed("-1"));
  EXPECT_EQ(shape("[-0]"), needed("-0"));
  EXPECT_EQ(shape("[1.0]"), needed("1.0"));
  EXPECT_EQ(shape("[1e0]"), needed("1e0"));
  EXPECT_EQ(shape("[01]"), needed("01"));
  EXPECT_EQ(shape("[18446744073709551616]"), needed("18446744073709551616"));
  EXPECT_EQ(shape("[9223372036854775808]"), needed("9223372036854775808"));
  const auto offsets = [&](const std::string& text) {
    return Refusal(Described("\"F32\"", "[1]", text));
  };
  EXPECT_EQ(offsets("[4]"),
            "tensor 't': data_offsets has length 1, not 2");
  EXPECT_EQ(offsets("[0,4,8]"),
            "tensor 't': data_offsets has length 3, not 2");
  EXPECT_EQ(offsets("[4,0]"),
            "tensor 't': data_offsets end at 0, before they begin at 4");
}

TEST_F(SafeTensorsTest, RefusesSizesThatDoNotFit) {
  EXPECT_EQ(
      Refusal(Described("\"F32\"", "[2,3]", "[0,4]")),
      "tensor 't': F32 [2, 3] needs 24 bytes, data_offsets [0, 4] hold 4");
  EXPECT_EQ(Refusal(Described("\"F4\"", "[3]", "[0,4]")),
            "tensor 't': 3 F4 elements do not fill whole bytes; 2 share 1");
  EXPECT_EQ(Refusal(Described("\"F32\"", "[4611686018427387904]", "[0,4]")),
            "tensor 't': F32 [4611686018427387904] needs 2^63 or more bytes, "
            "data_offsets [0, 4] hold 4");
  EXPECT_EQ(Refusal(Described("\"U8\"", "[4294967296,4294967296]", "[0,4]")),
            "tensor 't': shape [4294967296, 4294967296] has 2^63 elements or "
            "more");
}

TEST_F(SafeTensorsTest, AZeroAnywhereInAShapeMakesItEmpty) {
  const std::string huge = "4611686018427387904";
  for (const std::string& shape :
       {"[" + huge + "," + huge + ",0]", "[0," + huge + "," + huge + "]"}) {
    const Model model = Load(Described("\"F32\"", shape, "[0,0]"), "");
    EXPECT_EQ(model.Get("t").elements, 0);
  }
}

TEST_F(SafeTensorsTest, RefusesHolesOverlapsAndWrongEnds) {
  const std::string eight = kFour + kFour;
  EXPECT_EQ(Refusal(Two(1, 4, 4, 8), eight),
            "tensor 'a' begins at data byte 1; bytes 0 to 0 belong to no "
            "tensor");
  EXPECT_EQ(Refusal(Two(0, 3, 5, 8), eight),
            "tensor 'b' begins at data byte 5; bytes 3 to 4 belong to no "
            "tensor");
  EXPECT_EQ(Refusal(Two(0, 5, 4, 8), eight),
            "tensor 'b' begins at data byte 4, inside tensor 'a', which ends "
            "at 5");
  EXPECT_EQ(Refusal(Two(0, 8, 0, 8), eight),
            "tensor 'b' begins at data byte 0, inside tensor 'a', which ends "
            "at 8");
  EXPECT_EQ(Refusal(Two(0, 8, 4, 4), eight),
            "tensor 'b' begins at data byte 4, inside tensor 'a', which ends "
            "at 8");
  EXPECT_EQ(Refusal(Two(0, 8, 9, 9), eight),
            "tensor 'b' begins at data byte 9; bytes 8 to 8 belong to no "
            "tensor");
  EXPECT_EQ(Refusal(Two(0, 4, 4, 8), eight + "\0"s),
            "has 9 data bytes, its tensors need only 8");
  EXPECT_EQ(Refusal(Two(0, 4, 4, 8), eight + "trailing"),
            "has 16 data bytes, its tensors need only 8");
  EXPECT_EQ(Refusal(Two(0, 4, 4, 8), "1234567"),
            "has 7 data bytes, its tensors need 8; the file is incomplete");
  EXPECT_EQ(Refusal("{}", "x"), "has 1 data bytes, its tensors need only 0");
}

TEST_F(SafeTensorsTest, RefusesWhatIsNotStrictJson) {
  const std::string t = Tensor("t");
  EXPECT_EQ(Refusal("{" + t + ",}"), "JSON after byte 41 is not well formed");
  EXPECT_EQ(Refusal("{/**/" + t + "}"), "JSON is not well formed");
  EXPECT_EQ(Refusal("{" + t + "}x"),
            "JSON does not end with the bracket that it began with");
  EXPECT_EQ(Refusal("{" + t + "}\0"s),
            "JSON does not end with the bracket that it began with");
  EXPECT_EQ(Refusal("{" + t + "}{}"), "JSON at byte 62 has more after its end");
  EXPECT_EQ(Refusal("{" + t), "JSON after byte 41 is not well formed");
  EXPECT_EQ(Refusal("{\"\\ud800\":1," + t + "}"),
            "JSON at byte 18 has a string that is no text");
  EXPECT_EQ(Refusal("{\"a\x01\":1}"),
            "JSON has a control character inside a string");
  EXPECT_EQ(Refusal("{\"a\xff\":1}"), "JSON is not UTF-8");
  EXPECT_EQ(Refusal("{\"a"), "JSON has a string without an end");
  EXPECT_EQ(Refusal("{" +
                    Tensor("t", ",\"x\":" + std::string(200, '[') +
                                    std::string(200, ']')) +
                    "}"),
            "JSON at byte 186 is nested too deeply");
}

TEST_F(SafeTensorsTest, RefusesAHeaderThatIsNoObject) {
  EXPECT_EQ(Refusal("", ""),
            "begins with 8 zero bytes; a download or a save was "
            "interrupted");
  EXPECT_EQ(Refusal("", "abc"), "its header is empty");
  EXPECT_EQ(Refusal("    ", ""), "JSON is empty");
  EXPECT_EQ(Refusal("[]", ""), "JSON at byte 8 has a value of the wrong kind");
  EXPECT_EQ(Refusal("null", ""),
            "JSON at byte 8 has a value of the wrong kind");
  EXPECT_EQ(Refusal("\xef\xbb\xbf{}", ""),
            "JSON at byte 8 has a value of the wrong kind");
}

TEST_F(SafeTensorsTest, RefusesHeaderLengthsThatCannotBe) {
  EXPECT_EQ(RefusalOfFile(""), "is empty");
  EXPECT_EQ(RefusalOfFile("abc"),
            "3 bytes, a SafeTensors file has at least 8 before its header");
  EXPECT_EQ(RefusalOfFile("\x10\0\0\0\0\0\0\0{}"s),
            "its header has 16 bytes, but only 2 follow; the file is "
            "incomplete or no SafeTensors file");
  EXPECT_EQ(RefusalOfFile("\xff\xff\xff\xff\xff\xff\xff\xff{}"s),
            "is no SafeTensors file: its header would have "
            "18446744073709551615 bytes, at most 100000000 are allowed");
}

TEST_F(SafeTensorsTest, TheLongestHeaderIsAHundredMillionBytes) {
  std::string header = "{" + Tensor("t") + "}";
  header.resize(100'000'000, ' ');
  EXPECT_EQ(Refusal(header), "ok");
  header += ' ';
  EXPECT_EQ(Refusal(header),
            "is no SafeTensors file: its header would have 100000001 bytes, at "
            "most 100000000 are allowed");
}

TEST_F(SafeTensorsTest, EveryTruncationIsRefused) {
  const std::string file = SafeTensorsFile(
      "{\"__metadata__\":{\"format\":\"pt\"}," + Tensor("t") + "}", kFour);
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_NE(RefusalOfFile(file.substr(0, size)), "ok") << size;
  }
}

// Whatever a flipped bit makes of the header, it loads or is refused; the
// message names the file (RefusalOfFile checks), and the sanitizers watch.
TEST_F(SafeTensorsTest, EveryBitFlipLoadsOrIsRefused) {
  const std::string file = SafeTensorsFile(
      "{\"__metadata__\":{\"format\":\"pt\"},"
      "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}",
      kFour);
  int loaded = 0, refused = 0;
  for (size_t bit = 0; bit < 8 * (file.size() - 4); ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    RefusalOfFile(flipped) == "ok" ? ++loaded : ++refused;
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, loaded);
}

}  // namespace
}  // namespace tl
