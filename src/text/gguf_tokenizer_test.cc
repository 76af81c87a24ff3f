#include "text/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/gguf_pre_tokenizers.h"

namespace tl {
namespace {

using Ids = std::vector<TokenId>;

std::string Refusal(const GgufVocabulary& file) {
  try {
    MakeGgufTokenizer(file);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

GgufVocabulary SentencePiece() {
  GgufVocabulary file;
  file.label = "m.gguf";
  file.model = "llama";
  file.tokens = {"<unk>",  "<s>", "</s>",    "<0xC3>", "<0xA9>",
                 "\u2581", "a",   "\u2581a", "b",      "<u>"};
  file.scores = {0, 0, 0, 0, 0, -3, -2, -1, -4, 0};
  file.token_types = {2, 3, 3, 6, 6, 1, 1, 1, 1, 4};
  return file;
}

TEST(GgufTokenizer, DoesSentencePiece) {
  const Tokenizer tokenizer = MakeGgufTokenizer(SentencePiece());
  EXPECT_EQ(tokenizer.Tokenize("a ab"), (Ids{1, 7, 7, 8}));
  EXPECT_EQ(tokenizer.Tokenize("a\u00E9x"), (Ids{1, 7, 3, 4, 0}));
  EXPECT_EQ(tokenizer.Tokenize("<u>", {.add_special = false}), Ids{9});
  EXPECT_EQ(
      tokenizer.Tokenize("</s>", {.add_special = false, .parse_special = true}),
      Ids{2});
  EXPECT_EQ(tokenizer.Detokenize(Ids{1, 7, 3, 4, 7}, {.skip_special = true}),
            "a\u00E9 a");
  EXPECT_EQ(tokenizer.special().bos, 1);
  EXPECT_EQ(tokenizer.special().ends, Ids{2});
}

TEST(GgufTokenizer, PutsAroundWhatTheFileAsksFor) {
  GgufVocabulary file = SentencePiece();
  file.add_bos_token = false;
  file.add_eos_token = true;
  file.add_space_prefix = false;
  EXPECT_EQ(MakeGgufTokenizer(file).Tokenize("ab"), (Ids{6, 8, 2}));
}

TEST(GgufTokenizer, DoesByteLevelBpe) {
  GgufVocabulary file;
  file.label = "m.gguf";
  file.model = "gpt2";
  file.pre = "llama-bpe";
  file.tokens = {"a", "b", "ab", "\u0120", "abc", "c", "<|eot_id|>", "1"};
  file.token_types = {1, 1, 1, 1, 1, 1, 3, 1};
  file.merges = {"a b"};
  file.bos_token_id = 6;
  const Tokenizer tokenizer = MakeGgufTokenizer(file);
  // "abc" is whole though no merges lead there.
  EXPECT_EQ(tokenizer.Tokenize("abc ab1111"), (Ids{6, 4, 3, 2, 7, 7, 7, 7}));
  EXPECT_EQ(tokenizer.special().ends, Ids{6});
}

TEST(GgufTokenizer, DoesWordPiece) {
  GgufVocabulary file;
  file.label = "m.gguf";
  file.model = "bert";
  file.tokens = {"[UNK]", "[CLS]", "[SEP]", "\u2581un", "do", "\u2581,"};
  file.token_types = {3, 3, 3, 1, 1, 1};
  file.unknown_token_id = 0;
  file.cls_token_id = 1;
  file.separator_token_id = 2;
  const Tokenizer tokenizer = MakeGgufTokenizer(file);
  EXPECT_EQ(tokenizer.Tokenize("Undo, x"), (Ids{1, 3, 4, 5, 0, 2}));
  EXPECT_EQ(tokenizer.Detokenize(Ids{1, 3, 4, 5, 2}, {.skip_special = true}),
            "undo,");
  EXPECT_EQ(tokenizer.TokenText(4), "##do");
}

TEST(GgufTokenizer, DoesUnigram) {
  GgufVocabulary file;
  file.label = "m.gguf";
  file.model = "t5";
  file.tokens = {"<pad>", "</s>", "<unk>", "\u2581a", "b", "\u2581ab"};
  file.scores = {0, 0, 0, -1, -1, -3};
  file.token_types = {3, 3, 2, 1, 1, 1};
  const Tokenizer tokenizer = MakeGgufTokenizer(file);
  EXPECT_EQ(tokenizer.Tokenize(" ab  a xy "), (Ids{3, 4, 3, 2, 1}));
}

TEST(GgufTokenizer, RefusesWhatDoesNotFit) {
  GgufVocabulary file = SentencePiece();
  file.scores->pop_back();
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.scores has 9 elements; "
            "there are 10 tokens");
  file.scores.reset();
  EXPECT_EQ(Refusal(file),
            "m.gguf: it lacks tokenizer.ggml.scores, which the "
            "tokenizer 'llama' needs");
  file = SentencePiece();
  file.token_types->push_back(1);
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.token_type has 11 elements; "
            "there are 10 tokens");
  file = SentencePiece();
  file.bos_token_id = 10;
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.bos_token_id is 10; there are 10 tokens");
  file = SentencePiece();
  file.tokens.clear();
  EXPECT_EQ(Refusal(file), "m.gguf: it lacks tokenizer.ggml.tokens");
  file = SentencePiece();
  file.tokens[9] = "a";
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.tokens: the tokens 6 and 9 "
            "are the same, 'a'");
  file = SentencePiece();
  file.model = "rwkv";
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.model is 'rwkv'; known here "
            "are llama, gpt2, bert, t5");
  file.model = "gpt2";
  EXPECT_EQ(Refusal(file), "m.gguf: it lacks tokenizer.ggml.merges");
  file.merges = {"ab"};
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.merges: merge 0 is 'ab'; "
            "expected two parts and a blank between");
  file.merges = {"a x"};
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.merges: merge 0 is of or "
            "makes 'x', which is none of the 10 tokens");
  file.merges.emplace();
  file.add_eos_token = true;
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.add_eos_token is set, but "
            "there is no such token");
  file.pre = "pig-latin";
  EXPECT_EQ(Refusal(file),
            "m.gguf: tokenizer.ggml.pre is 'pig-latin', a way "
            "of cutting texts that is not known here");
}

TEST(GgufPreTokenizers, AreAllWellFormed) {
  for (std::string_view name :
       {"default",      "gpt-2",          "llama-bpe",   "jais-2",
        "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon",
        "starcoder",    "refact",         "command-r",   "smaug-bpe",
        "mpt",          "olmo",           "qwen2",       "qwen35",
        "bloom",        "viking",         "tekken",      "gpt-4o",
        "tiny_aya",     "chameleon",      "superbpe",    "bailingmoe",
        "seed-coder",   "ufakzeka"}) {
    const GgufPreTokenizer* row = FindGgufPreTokenizer(name);
    ASSERT_NE(row, nullptr) << name;
    Pieces pieces("I'M 1234 x", true);
    const size_t bytes = pieces.bytes();
    for (const auto& step : MakePreTokenizers(*row)) {
      pieces = step->Apply(pieces);
    }
    EXPECT_GE(pieces.bytes(), bytes) << name;
    EXPECT_GE(pieces.size(), 3u) << name;
  }
  EXPECT_EQ(FindGgufPreTokenizer("pig-latin"), nullptr);
}

}  // namespace
}  // namespace tl
