#include "text/token_grammar.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/text_test_files.h"

namespace tl {
namespace {

std::string Fault(auto f) {
  try {
    f();
  } catch (const Error& error) {
    return error.text();
  }
  return "none";
}

// Byte-level: "é" is "Ã©" there and "€" "âĤ¬".
Tokenizer ByteLevel() {
  return TestJson{
      .model = R"({"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1,)"
               R"( "ab": 2, "Ã": 3, "©": 4, "Ã©": 5, "âĤ": 6, "¬": 7,)"
               R"( "Ġ": 8, "abc": 9, "<s>": 10, "</s>": 11, "a©": 12}})",
      .added_tokens = R"([{"id": 10, "content": "<s>", "special": true},)"
                      R"( {"id": 11, "content": "</s>", "special": true}])",
      .decoder = R"({"type": "ByteLevel"})"}
      .Read();
}

TokenGrammar Make(const Tokenizer& tokenizer, std::string_view grammar) {
  auto texts = std::make_shared<TokenTexts>(tokenizer);
  texts->ends = {11};
  return TokenGrammar(Grammar::Parse(grammar), std::move(texts));
}

std::vector<TokenId> Allowed(TokenGrammar& grammar) {
  std::vector<TokenId> ids;
  const std::vector<bool>& mask = grammar.Allowed();
  for (size_t id = 0; id < mask.size(); ++id) {
    if (mask[id]) ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

using Ids = std::vector<TokenId>;

TEST(TokenGrammar, AllowsTokensWhoseBytesMayFollow) {
  const Tokenizer tokenizer = ByteLevel();
  TokenGrammar grammar = Make(tokenizer, R"(root ::= "ab" "c"? | "aa")");
  EXPECT_EQ(Allowed(grammar), Ids({0, 2, 9}));
  EXPECT_FALSE(grammar.may_end());
  EXPECT_FALSE(grammar.must_end());
  TokenGrammar other = grammar;
  other.Push(2);
  EXPECT_TRUE(other.may_end());
  EXPECT_FALSE(other.must_end());
  grammar.Push(0);
  EXPECT_EQ(Allowed(grammar), Ids({0, 1}));
  grammar.Push(0);
  EXPECT_EQ(Allowed(grammar), Ids({11}));
  EXPECT_TRUE(grammar.must_end());
}

TEST(TokenGrammar, TokensMayBePartsOfCharacters) {
  const Tokenizer tokenizer = ByteLevel();
  TokenGrammar grammar = Make(tokenizer, "root ::= [\u00e9\u20ac]+");
  EXPECT_EQ(Allowed(grammar), Ids({3, 5, 6}));
  grammar.Push(3);
  EXPECT_EQ(Allowed(grammar), Ids({4}));
  EXPECT_FALSE(grammar.may_end());
  grammar.Push(4);
  EXPECT_EQ(Allowed(grammar), Ids({3, 5, 6, 11}));
  grammar.Push(6);
  EXPECT_EQ(Allowed(grammar), Ids({7}));
  EXPECT_EQ(Fault([&] { grammar.Push(4); }),
            "grammar: the token 4 may not follow '\u00e9\uFFFD'");
  grammar.Push(7);
  EXPECT_TRUE(grammar.may_end());
}

TEST(TokenGrammar, EndsOnlyWhereTheGrammarDoesAndThenForGood) {
  const Tokenizer tokenizer = ByteLevel();
  TokenGrammar grammar = Make(tokenizer, R"(root ::= "a"+)");
  EXPECT_EQ(Fault([&] { grammar.Push(11); }),
            "grammar: the token 11 may not follow the beginning");
  EXPECT_EQ(Fault([&] { grammar.Push(10); }),
            "grammar: the token 10 may not follow the beginning");
  grammar.Push(0);
  TokenGrammar copy = grammar;
  grammar.Push(11);
  EXPECT_TRUE(grammar.ended());
  EXPECT_EQ(Fault([&] { grammar.Allowed(); }),
            "grammar: the text has ended; a copy made before begins anew");
  EXPECT_EQ(Fault([&] { grammar.Push(0); }),
            "grammar: the token 0 may not follow 'a'");
  EXPECT_EQ(Allowed(copy), Ids({0, 11}));
}

TEST(TokenGrammar, AFirstTokenIsWhatTheTextShowsOfIt) {
  const Tokenizer tokenizer =
      TestJson{.model =
                   R"({"type": "BPE", "merges": [], "byte_fallback": true,)"
                   R"( "vocab": {"▁": 0, "a": 1, "▁a": 2, "<0x61>": 3,)"
                   R"( "▁▁a": 4}})",
               .decoder = R"({"type": "Sequence", "decoders": [)"
                          R"({"type": "Replace", "pattern": {"String": "▁"},)"
                          R"( "content": " "}, {"type": "ByteFallback"},)"
                          R"( {"type": "Fuse"},)"
                          R"( {"type": "Strip", "content": " ", "start": 1,)"
                          R"( "stop": 0}]})"}
          .Read();
  TokenGrammar grammar = Make(tokenizer, R"(root ::= "a" " a"*)");
  EXPECT_EQ(Allowed(grammar), Ids({1, 2, 3}));
  grammar.Push(2);
  EXPECT_EQ(Allowed(grammar), Ids({0, 2}));
  grammar.Push(0);
  EXPECT_EQ(Allowed(grammar), Ids({1, 3}));
}

}  // namespace
}  // namespace tl
