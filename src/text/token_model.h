// What makes tokens of a word: BPE, SentencePiece's BPE, Unigram or WordPiece.
// Each looks into a vocabulary that lives as long as the model does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/trie.h"
#include "text/vocabulary.h"

namespace tl {

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Adds the tokens of `word`, which is valid UTF-8 and not empty.
  virtual void Tokenize(std::string_view word,
                        std::vector<TokenId>& out) const = 0;
};

// What becomes of a character that no token has.
struct UnknownOptions {
  TokenId token = kNoToken;  // the last resort; without it nothing
  bool fuse = false;         // one for a run of them
  bool bytes = false;        // first by the tokens of its bytes, if all exist
};

struct BpeOptions {
  std::string prefix;        // of a character inside a word
  std::string suffix;        // of the last character of a word
  bool whole_words = false;  // a word that is a token needs no merges
  UnknownOptions unknown;
};

// Joins the pair of neighbours that comes first in a list of merges, again and
// again.
class Bpe final : public TokenModel {
 public:
  using Merge = std::pair<std::string, std::string>;

  // Fails for a merge whose parts or result are no tokens; `source` names the
  // file's part in messages.
  Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
      BpeOptions options, std::string_view source);

  void Tokenize(std::string_view word,
                std::vector<TokenId>& out) const override;

 private:
  struct Merged {
    uint32_t rank;
    TokenId id;
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const {
      pair *= 0x9E3779B97F4A7C15;
      return pair ^ pair >> 32;
    }
  };

  TokenId IdOf(std::string_view part, size_t merge,
               std::string_view source) const;
  const Vocabulary& vocabulary_;
  BpeOptions options_;
  std::vector<TokenId> byte_tokens_;
  std::unordered_map<uint64_t, Merged, PairHash> merges_;
};

// Joins the neighbours whose union is the token with the highest score, again
// and again: "BPE" in SentencePiece, "llama" in GGUF.
class ScoredBpe final : public TokenModel {
 public:
  // A score for each token, nothing for tokens that are never made by joining.
  ScoredBpe(const Vocabulary& vocabulary,
            const std::vector<std::optional<float>>& scores,
            UnknownOptions unknown);

  void Tokenize(std::string_view word,
                std::vector<TokenId>& out) const override;

 private:
  static constexpr uint32_t kNeverJoined = ~uint32_t{0};

  const Vocabulary& vocabulary_;
  UnknownOptions unknown_;
  std::vector<TokenId> byte_tokens_;
  std::vector<uint32_t> ranks_;  // by token; the highest score is 0
};

enum class ScorePrecision { kFloat, kDouble };

// The tokens whose scores have the highest sum.
class Unigram final : public TokenModel {
 public:
  struct Piece {
    TokenId id;
    double score;
  };

  // `precision` of the sums: SentencePiece's are float.
  Unigram(const Vocabulary& vocabulary, const std::vector<Piece>& pieces,
          UnknownOptions unknown, ScorePrecision precision);

  void Tokenize(std::string_view word,
                std::vector<TokenId>& out) const override;

 private:
  struct Step;
  std::vector<Step> BestSteps(std::string_view word) const;
  void Emit(std::string_view piece, std::vector<TokenId>& out) const;

  const Vocabulary& vocabulary_;
  UnknownOptions unknown_;
  ScorePrecision precision_;
  std::vector<TokenId> byte_tokens_;
  std::vector<double> scores_;  // by token
  double unknown_score_;
  Trie trie_;
};

struct WordPieceOptions {
  std::string prefix = "##";  // of a word's tokens but the first
  TokenId unknown = kNoToken;
  size_t longest = 100;  // characters; longer words are unknown
};

// The longest token that a word begins with, then the same of the rest; a word
// that leaves a rest is unknown as a whole.
class WordPiece final : public TokenModel {
 public:
  WordPiece(const Vocabulary& vocabulary, WordPieceOptions options)
      : vocabulary_(vocabulary), options_(std::move(options)) {}

  void Tokenize(std::string_view word,
                std::vector<TokenId>& out) const override;

 private:
  const Vocabulary& vocabulary_;
  WordPieceOptions options_;
};

// Each word is a token or unknown.
class WordLevel final : public TokenModel {
 public:
  WordLevel(const Vocabulary& vocabulary, TokenId unknown)
      : vocabulary_(vocabulary), unknown_(unknown) {}

  void Tokenize(std::string_view word,
                std::vector<TokenId>& out) const override;

 private:
  const Vocabulary& vocabulary_;
  TokenId unknown_;
};

// The tokens of the bytes of `text`; false if one is missing, and then none is
// added.
bool AddByteTokens(const std::vector<TokenId>& byte_tokens,
                   std::string_view text, std::vector<TokenId>& out);

}  // namespace tl
