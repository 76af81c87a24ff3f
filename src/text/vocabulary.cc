#include "text/vocabulary.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace tl {
namespace {

constexpr size_t kFewestSlots = 64;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

size_t Vocabulary::SlotOf(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(text) & mask;
  while (slots_[slot] != kNoToken && tokens_[slots_[slot]].text != text) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void Vocabulary::Reserve(size_t tokens) {
  size_t slots = kFewestSlots;
  while (slots < 2 * tokens) slots *= 2;
  if (slots <= slots_.size()) return;
  slots_.assign(slots, kNoToken);
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (!tokens_[id].present) continue;
    slots_[SlotOf(tokens_[id].text)] = static_cast<TokenId>(id);
  }
}

void Vocabulary::Add(int64_t id, std::string_view text, std::string_view source,
                     SameText same) {
  if (id < 0 || id >= kMaxTokens) {
    Fail(ErrorKind::kInput,
         "{}: the token '{}' has the number {}; expected 0 "
         "to {}",
         source, text, id, kMaxTokens - 1);
  }
  if (Has(id)) {
    Fail(ErrorKind::kInput,
         "{}: the tokens '{}' and '{}' have the same number, "
         "{}",
         source, Text(static_cast<TokenId>(id)), text, id);
  }
  const TokenId taken = Find(text);
  if (taken != kNoToken && same == SameText::kRefused) {
    Fail(ErrorKind::kInput, "{}: the tokens {} and {} are the same, '{}'",
         source, taken, id, text);
  }
  Reserve(std::max(tokens_.size(), ++count_));
  const size_t slot = SlotOf(text);
  if (id >= size()) tokens_.resize(id + 1);
  tokens_[id] = {std::string(text), true};
  slots_[slot] = static_cast<TokenId>(id);
}

TokenId Vocabulary::Find(std::string_view text) const {
  return slots_.empty() ? kNoToken : slots_[SlotOf(text)];
}

int ByteOfToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = HexDigit(text[3]);
  const int low = HexDigit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::vector<TokenId> ByteTokens(const Vocabulary& vocabulary) {
  std::vector<TokenId> tokens(256);
  for (int byte = 0; byte < 256; ++byte) {
    tokens[byte] = vocabulary.Find(fmt::format("<0x{:02X}>", byte));
  }
  return tokens;
}

}  // namespace tl
