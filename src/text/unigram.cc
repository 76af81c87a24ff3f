#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace tl {
namespace {

// How much worse an unknown character is than the worst token.
constexpr double kUnknownPenalty = 10;

}  // namespace

// The best way to get to a place in the word.
struct Unigram::Step {
  TokenId id = kNoToken;
  double score = 0;
  size_t begin = 0;
  bool reached = false;
};

Unigram::Unigram(const Vocabulary& vocabulary, const std::vector<Piece>& pieces,
                 UnknownOptions unknown, ScorePrecision precision)
    : vocabulary_(vocabulary),
      unknown_(unknown),
      precision_(precision),
      byte_tokens_(ByteTokens(vocabulary)),
      scores_(vocabulary.size()) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<Trie::Entry> entries;
  entries.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    least = std::min(least, piece.score);
    scores_[piece.id] = piece.score;
    entries.push_back({vocabulary.Text(piece.id), piece.id});
  }
  unknown_score_ = least - kUnknownPenalty;
  if (precision == ScorePrecision::kFloat) {
    unknown_score_ = static_cast<float>(unknown_score_);
  }
  trie_ = Trie(std::move(entries));
}

std::vector<Unigram::Step> Unigram::BestSteps(std::string_view word) const {
  std::vector<Step> best(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    const double here = best[at].score;
    const size_t size = std::min<size_t>(Utf8Size(word[at]), word.size() - at);
    const auto offer = [&](size_t bytes, TokenId id, double score) {
      // The sum of two floats, rounded once more, is the sum in float.
      double sum = here + score;
      if (precision_ == ScorePrecision::kFloat) sum = static_cast<float>(sum);
      Step& target = best[at + bytes];
      if (target.reached && sum <= target.score) return;
      target = {id, sum, at, true};
    };
    bool single = false;
    trie_.ForEachPrefix(word.substr(at), [&](size_t bytes, TokenId id) {
      offer(bytes, id, scores_[id]);
      if (bytes == size) single = true;
    });
    if (!single) offer(size, unknown_.token, unknown_score_);
    at += size;
  }
  return best;
}

void Unigram::Emit(std::string_view piece, std::vector<TokenId>& out) const {
  const TokenId id = vocabulary_.Find(piece);
  if (id != kNoToken) return out.push_back(id);
  if (unknown_.bytes && AddByteTokens(byte_tokens_, piece, out)) return;
  if (unknown_.token == kNoToken) {
    Fail(ErrorKind::kInput,
         "the tokenizer has no token for '{}' and none for the unknown", piece);
  }
  out.push_back(unknown_.token);
}

void Unigram::Tokenize(std::string_view word, std::vector<TokenId>& out) const {
  const std::vector<Step> best = BestSteps(word);
  std::vector<std::pair<size_t, size_t>> pieces;  // from the last to the first
  bool after_unknown = false;
  for (size_t end = word.size(); end > 0;) {
    const Step& step = best[end];
    const bool unknown = step.id == unknown_.token && step.id != kNoToken;
    if (unknown && unknown_.fuse && after_unknown) {
      pieces.back().first = step.begin;
    } else {
      pieces.emplace_back(step.begin, end);
    }
    after_unknown = unknown;
    end = step.begin;
  }
  std::ranges::reverse(pieces);
  for (auto [begin, end] : pieces) Emit(word.substr(begin, end - begin), out);
}

}  // namespace tl
