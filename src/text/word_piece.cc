#include "base/error.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace tl {
namespace {

[[noreturn]] void FailUnknown(std::string_view word) {
  Fail(ErrorKind::kInput,
       "the tokenizer has no token for '{}' and none for the unknown", word);
}

size_t CharactersOf(std::string_view word) {
  size_t count = 0;
  for (char c : word) count += !ContinuesUtf8(c);
  return count;
}

}  // namespace

void WordPiece::Tokenize(std::string_view word,
                         std::vector<TokenId>& out) const {
  const size_t before = out.size();
  bool whole = CharactersOf(word) <= options_.longest;
  std::string candidate;
  for (size_t at = 0; whole && at < word.size();) {
    TokenId id = kNoToken;
    size_t end = word.size();
    while (end > at) {
      candidate = at == 0 ? "" : options_.prefix;
      candidate += word.substr(at, end - at);
      id = vocabulary_.Find(candidate);
      if (id != kNoToken) break;
      do {
        --end;
      } while (end > at && ContinuesUtf8(word[end]));
    }
    if (id == kNoToken) {
      whole = false;
    } else {
      out.push_back(id);
      at = end;
    }
  }
  if (whole) return;
  out.resize(before);
  if (options_.unknown == kNoToken) FailUnknown(word);
  out.push_back(options_.unknown);
}

void WordLevel::Tokenize(std::string_view word,
                         std::vector<TokenId>& out) const {
  TokenId id = vocabulary_.Find(word);
  if (id == kNoToken) id = unknown_;
  if (id == kNoToken) FailUnknown(word);
  out.push_back(id);
}

}  // namespace tl
