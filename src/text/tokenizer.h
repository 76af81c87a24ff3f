// Text to tokens and back. A tokenizer is made of steps: added tokens are
// found, what stands between is normalised and cut into words, a model makes
// tokens of each word, and special tokens are put around. Which steps they are
// tells the file: read next tokenizer_json.h and gguf_tokenizer.h.
//
// Texts may hold any bytes: what is no UTF-8 is taken as U+FFFD.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace tl {

struct SpecialIds {
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> unknown;
  std::optional<TokenId> pad;
  // All that end what a model writes, the eos first.
  std::vector<TokenId> ends;
};

// At the end of `ends`, unless it is there.
void AddEnd(TokenId id, SpecialIds& special);
// The ends of a turn that chat models write and few files name, of the special
// tokens among `added`.
void AddUsualEnds(const Vocabulary& vocabulary, const AddedTokens& added,
                  SpecialIds& special);

struct TokenizerParts {
  // Apart, because the model keeps a reference to it.
  std::unique_ptr<Vocabulary> vocabulary = std::make_unique<Vocabulary>();
  Normalizers normalizers;
  AddedTokens added;
  PreTokenizers pre_tokenizers;
  std::unique_ptr<TokenModel> model;
  std::vector<Template> templates;
  Decoders decoders;
  SpecialIds special;
};

struct TokenizeOptions {
  bool add_special = true;     // what the tokenizer puts around a text
  bool parse_special = false;  // "<s>" in the text is the token, not a text
};

struct DetokenizeOptions {
  bool skip_special = false;
  WrongBytes wrong_bytes = WrongBytes::kReplace;
};

class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts) : parts_(std::move(parts)) {}

  std::vector<TokenId> Tokenize(std::string_view text,
                                TokenizeOptions options = {}) const;
  // Fails for a number that is no token's.
  std::string Detokenize(std::span<const TokenId> ids,
                         DetokenizeOptions options = {}) const;

  // One above the largest number of a token.
  int64_t vocabulary_size() const { return parts_.vocabulary->size(); }
  bool HasToken(int64_t id) const { return parts_.vocabulary->Has(id); }
  // As the vocabulary has it. Fails for a number that is no token's.
  const std::string& TokenText(int64_t id) const;
  TokenId FindToken(std::string_view text) const {
    return parts_.vocabulary->Find(text);
  }
  // Fails for a number that is no token's.
  bool IsSpecial(TokenId id) const {
    return parts_.added.IsSpecial(TokenText(id));
  }
  const SpecialIds& special() const { return parts_.special; }

 private:
  void TokenizePart(std::string_view part, bool at_start, SpecialTokens special,
                    std::vector<TokenId>& out) const;
  void TokenizeWords(std::string_view text, bool at_start,
                     std::vector<TokenId>& out) const;

  TokenizerParts parts_;
};

}  // namespace tl
