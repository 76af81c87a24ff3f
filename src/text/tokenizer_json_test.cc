#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/text_test_files.h"

namespace tl {
namespace {

using Ids = std::vector<TokenId>;

template <class F>
std::string MessageOf(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

std::string Refusal(const TestJson& json) {
  return MessageOf([&] { json.Read(); });
}

// a to z are 1 to 26, <unk> is 0.
TestJson Letters() {
  TestJson json;
  json.model = R"({"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 0)";
  for (char c = 'a'; c <= 'z'; ++c) {
    json.model += fmt::format(R"(, "{}": {})", c, c - 'a' + 1);
  }
  json.model += R"(}, "merges": []})";
  return json;
}

TEST(TokenizerJson, FindsAddedTokensAsTheirFlagsSay) {
  TestJson json = Letters();
  json.normalizer = R"({"type": "Lowercase"})";
  json.added_tokens = R"([
    {"id": 30, "content": "<S>", "special": true},
    {"id": 31, "content": "XY", "normalized": true},
    {"id": 32, "content": "Q", "normalized": false, "single_word": true},
    {"id": 33, "content": "=", "normalized": false, "lstrip": true,
     "rstrip": true}])";
  const Tokenizer tokenizer = json.Read();
  const auto ids = [&](std::string_view text, bool parse = false) {
    return tokenizer.Tokenize(text, {.parse_special = parse});
  };
  EXPECT_EQ(ids("a<S>b", true), (Ids{1, 30, 2}));
  EXPECT_EQ(ids("a<S>b"), (Ids{1, 0, 19, 0, 2}));
  EXPECT_EQ(ids("axYb"), (Ids{1, 31, 2}));
  EXPECT_EQ(ids("Q"), Ids{32});
  EXPECT_EQ(ids("aQ"), (Ids{1, 17}));
  EXPECT_EQ(ids("a \n=  b"), (Ids{1, 33, 2}));
}

TEST(TokenizerJson, TakesTheLongestAddedToken) {
  TestJson json = Letters();
  json.added_tokens = R"([{"id": 30, "content": "ab", "normalized": false},
    {"id": 31, "content": "abc", "normalized": false},
    {"id": 32, "content": "bcd", "normalized": false}])";
  EXPECT_EQ(json.Read().Tokenize("abcd"), (Ids{31, 4}));
}

TEST(TokenizerJson, PutsSpecialTokensAround) {
  TestJson json = Letters();
  json.post_processor = R"({"type": "Sequence", "processors": [
    {"type": "ByteLevel"},
    {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}],
     "special_tokens": {"x": {"id": "x", "ids": [24, 25], "tokens": []}}},
    {"type": "BertProcessing", "sep": ["b", 2], "cls": ["c", 3]}]})";
  const Tokenizer tokenizer = json.Read();
  EXPECT_EQ(tokenizer.Tokenize("a"), (Ids{3, 24, 25, 1, 2}));
  EXPECT_EQ(tokenizer.Tokenize("a", {.add_special = false}), Ids{1});
  EXPECT_EQ(tokenizer.Tokenize(""), (Ids{3, 24, 25, 2}));
}

TEST(TokenizerJson, TakesWrongBytesAsTheReplacementCharacter) {
  TestJson json;
  json.model = R"({"type": "BPE", "vocab": {"\ufffd": 0, "a": 1, "\u0000": 2},
                   "merges": []})";
  const Tokenizer tokenizer = json.Read();
  EXPECT_EQ(tokenizer.Tokenize("a\xE2\x82"
                               "a\xFF"),
            (Ids{1, 0, 1, 0}));
  EXPECT_EQ(tokenizer.Tokenize(std::string_view("a\0a", 3)), (Ids{1, 2, 1}));
}

TEST(TokenizerJson, LearnsOfSpecialTokensFromTheFilesBeside) {
  TokenizerJsonFiles files;
  files.label = "t.json";
  files.tokenizer = Letters().Text();
  files.tokenizer_config =
      R"({"bos_token": {"content": "b"}, "eos_token": "e", "pad_token": null})";
  files.generation_config = R"({"eos_token_id": [26, 5, 99]})";
  files.model_config = R"({"bos_token_id": 1, "pad_token_id": 16})";
  const Tokenizer tokenizer = ReadTokenizerJson(files);
  const SpecialIds& special = tokenizer.special();
  EXPECT_EQ(special.bos, 2);
  EXPECT_EQ(special.eos, 5);
  EXPECT_EQ(special.pad, 16);
  EXPECT_EQ(special.unknown, std::nullopt);
  EXPECT_EQ(special.ends, (Ids{5, 26}));
}

TEST(TokenizerJson, NamesTheFileBesideThatIsWrong) {
  TokenizerJsonFiles files;
  files.label = "model/tokenizer.json";
  files.tokenizer = Letters().Text();
  const auto refusal = [&] {
    return MessageOf([&] { ReadTokenizerJson(files); });
  };
  files.model_config = "[]";
  EXPECT_EQ(refusal(), "model/config.json: is no object");
  files.generation_config = R"({"eos_token_id": "e"})";
  EXPECT_EQ(refusal(),
            "model/generation_config.json: eos_token_id: is a text; expected a "
            "whole number");
  files.tokenizer_config = "1";
  EXPECT_EQ(refusal(), "model/tokenizer_config.json: is no object");
}

TEST(TokenizerJson, SaysWhichNumberIsNoToken) {
  TestJson json = Letters();
  json.added_tokens = R"([{"id": 30, "content": "+"}])";
  const Tokenizer tokenizer = json.Read();
  EXPECT_EQ(MessageOf([&] {
              tokenizer.Detokenize(Ids{1, 31});
            }),
            "token 31 is outside the vocabulary, which has 31 tokens");
  EXPECT_EQ(MessageOf([&] { tokenizer.Detokenize(Ids{-1}); }),
            "token -1 is outside the vocabulary, which has 31 tokens");
  EXPECT_EQ(MessageOf([&] { tokenizer.TokenText(28); }),
            "the vocabulary has no token of the number 28");
}

TEST(TokenizerJson, NamesTheStepThatItDoesNotKnow) {
  TestJson json;
  json.normalizer = R"({"type": "Magic"})";
  EXPECT_EQ(Refusal(json),
            "t.json: normalizer: the type 'Magic' is not known here; known are "
            "Sequence, BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, "
            "StripAccents, Strip, Replace, Prepend, Nmt, ByteLevel, "
            "Precompiled");
  json = {};
  json.pre_tokenizer =
      R"({"type": "Sequence", "pretokenizers": [{"type": "Digits"},
          {"type": "UnicodeScripts"}]})";
  EXPECT_EQ(Refusal(json),
            "t.json: pre_tokenizer.pretokenizers[1]: the type 'UnicodeScripts' "
            "is not known here; known are Sequence, ByteLevel, Split, "
            "Metaspace, Digits, Punctuation, BertPreTokenizer, Whitespace, "
            "WhitespaceSplit, CharDelimiterSplit, FixedLength");
  json = {};
  json.decoder = R"({"type": "Rot13"})";
  EXPECT_EQ(Refusal(json),
            "t.json: decoder: the type 'Rot13' is not known here; known are "
            "Sequence, ByteLevel, ByteFallback, Metaspace, WordPiece, "
            "BPEDecoder, Replace, Fuse, Strip, CTC");
  json = {};
  json.post_processor = R"({"type": "Wrap"})";
  EXPECT_EQ(Refusal(json),
            "t.json: post_processor: the type 'Wrap' is not known here; known "
            "are Sequence, TemplateProcessing, BertProcessing, "
            "RobertaProcessing, ByteLevel");
  json = {};
  json.model = R"({"type": "LSTM"})";
  EXPECT_EQ(Refusal(json),
            "t.json: model: the type 'LSTM' is not known here; known are BPE, "
            "Unigram, WordPiece, WordLevel");
}

TEST(TokenizerJson, SaysWhereAValueIsWrong) {
  TestJson json;
  json.model = R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})";
  EXPECT_EQ(Refusal(json),
            "t.json: model.merges[0]: is no merge; expected "
            "\"a b\" or [\"a\", \"b\"]");
  json.model = R"({"type": "BPE", "vocab": {"a": "x"}, "merges": []})";
  EXPECT_EQ(Refusal(json), "t.json: model.vocab: the number of 'a' is none");
  json.model = R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]})";
  EXPECT_EQ(Refusal(json),
            "t.json: model.merges: merge 0 is of or makes 'b', "
            "which is none of the 1 tokens");
  json.model = R"({"type": "BPE", "vocab": {"a": 0}, "merges": [],
                   "unk_token": "?"})";
  EXPECT_EQ(Refusal(json),
            "t.json: model.unk_token: is '?', which is none of "
            "the 1 tokens");
  json.model = R"({"type": "BPE", "vocab": {"a": 0}, "merges": [],
                   "dropout": 0.5})";
  EXPECT_EQ(Refusal(json),
            "t.json: model.dropout: is 0.5; random merges are not supported");
  json.model = R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 7})";
  EXPECT_EQ(Refusal(json), "t.json: model.unk_id: is 7; there are 1 tokens");
  json.model = R"({"type": "Unigram", "vocab": [["a"]]})";
  EXPECT_EQ(Refusal(json),
            "t.json: model.vocab[0]: is no token; expected "
            "[\"text\", score]");
  json.model = R"({"type": "BPE", "vocab": {"a": 0}})";
  EXPECT_EQ(Refusal(json), "t.json: model: has no 'merges'");
  json = {};
  json.pre_tokenizer = R"({"type": "Metaspace", "replacement": "ab"})";
  EXPECT_EQ(Refusal(json),
            "t.json: pre_tokenizer.replacement: is 'ab'; "
            "expected one character");
  json.pre_tokenizer = R"({"type": "Split", "pattern": {"String": "a"},
                           "behavior": "Lost"})";
  EXPECT_EQ(Refusal(json),
            "t.json: pre_tokenizer.behavior: 'Lost' is not known here; known "
            "are Removed, Isolated, MergedWithPrevious, MergedWithNext, "
            "Contiguous");
  json.pre_tokenizer = R"({"type": "FixedLength", "length": 0})";
  EXPECT_EQ(Refusal(json),
            "t.json: pre_tokenizer.length: is 0; expected at least 1");
  json.pre_tokenizer = R"({"type": "Digits", "individual_digits": 1})";
  EXPECT_EQ(Refusal(json),
            "t.json: pre_tokenizer.individual_digits: is a "
            "number; expected true or false");
  json = {};
  json.normalizer = R"({"type": "Precompiled", "precompiled_charsmap": "?"})";
  EXPECT_EQ(Refusal(json),
            "t.json: normalizer.precompiled_charsmap: is not base64");
  json = {};
  json.post_processor = R"({"type": "BertProcessing", "sep": ["b", 9],
                            "cls": ["c", 1]})";
  EXPECT_EQ(Refusal(json),
            "t.json: post_processor.sep[1]: is 9; the "
            "vocabulary has 2 tokens");
}

TEST(TokenizerJson, RefusesWhatIsNoTokenizer) {
  const auto refusal = [](std::string text) {
    TokenizerJsonFiles files;
    files.label = "t.json";
    files.tokenizer = std::move(text);
    return MessageOf([&] { ReadTokenizerJson(files); });
  };
  EXPECT_EQ(refusal("[1]"), "t.json: is no object");
  EXPECT_EQ(refusal("{}"), "t.json: has no 'model'");
  EXPECT_EQ(refusal(R"({"model": 1})"),
            "t.json: model: is a number; expected an object");
}

}  // namespace
}  // namespace tl
