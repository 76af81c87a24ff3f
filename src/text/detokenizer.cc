#include "text/detokenizer.h"

#include "text/utf8.h"

namespace tl {
namespace {

constexpr DetokenizeOptions kRaw = {.skip_special = true,
                                    .wrong_bytes = WrongBytes::kKeep};

}  // namespace

std::string Detokenizer::Push(TokenId id) {
  if (tokenizer_.IsSpecial(id)) return "";
  waiting_.push_back(id);
  std::vector<TokenId> ids = context_;
  ids.insert(ids.end(), waiting_.begin(), waiting_.end());
  const std::string text = tokenizer_.Detokenize(ids, kRaw);
  if (text.size() <= given_) return "";
  const std::string fresh = text.substr(given_);
  const size_t unfinished = UnfinishedUtf8(fresh);
  given_ += fresh.size() - unfinished;
  if (unfinished == 0) {
    context_ = std::move(waiting_);
    waiting_.clear();
    given_ = tokenizer_.Detokenize(context_, kRaw).size();
  }
  return WholeText(fresh.substr(0, fresh.size() - unfinished));
}

std::string Detokenizer::Finish() {
  std::vector<TokenId> ids = context_;
  ids.insert(ids.end(), waiting_.begin(), waiting_.end());
  const std::string text = tokenizer_.Detokenize(ids, kRaw);
  const std::string rest = text.size() > given_ ? text.substr(given_) : "";
  context_.clear();
  waiting_.clear();
  given_ = 0;
  return WholeText(rest);
}

}  // namespace tl
