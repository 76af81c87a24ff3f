#include <algorithm>

#include "base/error.h"
#include "text/merge_symbols.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace tl {
namespace {

uint64_t PairOf(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 |
         static_cast<uint32_t>(right);
}

// Characters of a word as symbols. Unknown ones become bytes, or the token for
// the unknown, which takes up those that follow if it is said to.
class SymbolList {
 public:
  SymbolList(const UnknownOptions& unknown,
             const std::vector<TokenId>& byte_tokens)
      : unknown_(unknown), byte_tokens_(byte_tokens) {}

  void Add(TokenId id, std::string_view word, size_t begin, size_t size) {
    if (id != kNoToken) return Push(id, begin, size);
    if (unknown_.bytes && AddBytes(word.substr(begin, size), begin)) return;
    if (unknown_.token == kNoToken) return;
    if (unknown_.fuse && last_unknown_) {
      symbols_.back().size += static_cast<uint32_t>(size);
      return;
    }
    Push(unknown_.token, begin, size);
    last_unknown_ = true;
  }

  std::vector<Symbol>& symbols() { return symbols_; }

 private:
  void Push(TokenId id, size_t begin, size_t size) {
    symbols_.push_back(
        {id, static_cast<uint32_t>(begin), static_cast<uint32_t>(size)});
    last_unknown_ = false;
  }

  bool AddBytes(std::string_view character, size_t begin) {
    bytes_.clear();
    if (!AddByteTokens(byte_tokens_, character, bytes_)) return false;
    for (size_t i = 0; i < bytes_.size(); ++i) Push(bytes_[i], begin + i, 1);
    return true;
  }

  const UnknownOptions& unknown_;
  const std::vector<TokenId>& byte_tokens_;
  std::vector<Symbol> symbols_;
  std::vector<TokenId> bytes_;
  bool last_unknown_ = false;
};

}  // namespace

bool AddByteTokens(const std::vector<TokenId>& byte_tokens,
                   std::string_view text, std::vector<TokenId>& out) {
  const size_t before = out.size();
  for (char byte : text) {
    const TokenId id = byte_tokens[static_cast<uint8_t>(byte)];
    if (id == kNoToken) {
      out.resize(before);
      return false;
    }
    out.push_back(id);
  }
  return true;
}

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
         BpeOptions options, std::string_view source)
    : vocabulary_(vocabulary),
      options_(std::move(options)),
      byte_tokens_(ByteTokens(vocabulary)) {
  merges_.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const TokenId left_id = IdOf(left, i, source);
    const TokenId right_id = IdOf(right, i, source);
    std::string_view rest = right;
    if (rest.size() >= options_.prefix.size()) {
      rest.remove_prefix(options_.prefix.size());
    }
    const TokenId joined = IdOf(left + std::string(rest), i, source);
    merges_[PairOf(left_id, right_id)] = {static_cast<uint32_t>(i), joined};
  }
}

TokenId Bpe::IdOf(std::string_view part, size_t merge,
                  std::string_view source) const {
  const TokenId id = vocabulary_.Find(part);
  if (id == kNoToken) {
    Fail(ErrorKind::kInput,
         "{}: merge {} is of or makes '{}', which is none "
         "of the {} tokens",
         source, merge, part, vocabulary_.size());
  }
  return id;
}

void Bpe::Tokenize(std::string_view word, std::vector<TokenId>& out) const {
  if (options_.whole_words) {
    const TokenId whole = vocabulary_.Find(word);
    if (whole != kNoToken) return out.push_back(whole);
  }
  SymbolList list(options_.unknown, byte_tokens_);
  std::string affixed;
  for (size_t at = 0; at < word.size();) {
    const size_t size = std::min<size_t>(Utf8Size(word[at]), word.size() - at);
    std::string_view character = word.substr(at, size);
    const bool first = at == 0;
    const bool last = at + size == word.size();
    if ((!first && !options_.prefix.empty()) ||
        (last && !options_.suffix.empty())) {
      affixed = first ? "" : options_.prefix;
      affixed += character;
      if (last) affixed += options_.suffix;
      character = affixed;
    }
    list.Add(vocabulary_.Find(character), word, at, size);
    at += size;
  }
  MergeSymbols(list.symbols(), [this](const Symbol& left, const Symbol& right) {
    const auto found = merges_.find(PairOf(left.id, right.id));
    if (found == merges_.end()) return Joined{0, kNoToken};
    return Joined{found->second.rank, found->second.id};
  });
  for (const Symbol& symbol : list.symbols()) {
    if (symbol.size > 0) out.push_back(symbol.id);
  }
}

// Equal scores share a rank: among them the first in the word is joined first.
ScoredBpe::ScoredBpe(const Vocabulary& vocabulary,
                     const std::vector<std::optional<float>>& scores,
                     UnknownOptions unknown)
    : vocabulary_(vocabulary),
      unknown_(unknown),
      byte_tokens_(ByteTokens(vocabulary)),
      ranks_(scores.size(), kNeverJoined) {
  std::vector<TokenId> order;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id]) order.push_back(static_cast<TokenId>(id));
  }
  std::ranges::stable_sort(
      order, [&](TokenId a, TokenId b) { return *scores[a] > *scores[b]; });
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && *scores[order[i]] < *scores[order[i - 1]]) ++rank;
    ranks_[order[i]] = rank;
  }
}

void ScoredBpe::Tokenize(std::string_view word,
                         std::vector<TokenId>& out) const {
  const auto find = [this](std::string_view text) {
    const TokenId id = vocabulary_.Find(text);
    return id != kNoToken && ranks_[id] != kNeverJoined ? id : kNoToken;
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < word.size();) {
    const size_t size = std::min<size_t>(Utf8Size(word[at]), word.size() - at);
    symbols.push_back({find(word.substr(at, size)), static_cast<uint32_t>(at),
                       static_cast<uint32_t>(size)});
    at += size;
  }
  MergeSymbols(symbols, [&](const Symbol& left, const Symbol& right) {
    const TokenId id = find(word.substr(left.begin, left.size + right.size));
    return Joined{id == kNoToken ? 0 : ranks_[id], id};
  });
  SymbolList list(unknown_, byte_tokens_);
  for (const Symbol& symbol : symbols) {
    if (symbol.size > 0) list.Add(symbol.id, word, symbol.begin, symbol.size);
  }
  for (const Symbol& symbol : list.symbols()) out.push_back(symbol.id);
}

}  // namespace tl
