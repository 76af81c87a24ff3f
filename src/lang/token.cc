#include "lang/token.h"

#include <array>
#include <unordered_map>

namespace tl {
namespace {

constexpr TokenInfo kTokens[] = {
#define TL_TOKEN(id, spelling, name, power) {spelling, name, power},
#include "lang/tokens.def"
};

bool IsWord(std::string_view spelling) {
  return !spelling.empty() && spelling[0] >= 'a' && spelling[0] <= 'z';
}

}  // namespace

const TokenInfo& InfoOf(TokenKind kind) {
  return kTokens[static_cast<size_t>(kind)];
}

TokenKind WordKind(std::string_view word) {
  static const auto* const words = [] {
    auto* made = new std::unordered_map<std::string_view, TokenKind>;
    for (size_t i = 0; i < std::size(kTokens); ++i) {
      if (!IsWord(kTokens[i].spelling)) continue;
      made->emplace(kTokens[i].spelling, static_cast<TokenKind>(i));
    }
    return made;
  }();
  auto found = words->find(word);
  return found == words->end() ? TokenKind::kName : found->second;
}

}  // namespace tl
