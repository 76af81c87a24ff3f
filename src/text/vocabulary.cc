#include "text/vocabulary.h"

#include <functional>

#include "base/error.h"

namespace tl {
namespace {

constexpr size_t kFewestSlots = 64;

int UpperHexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

size_t Vocabulary::SlotOf(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(text) & mask;
  while (slots_[slot] != kNowhere && tokens_[slots_[slot]].text != text) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void Vocabulary::Reserve(size_t tokens) {
  size_t slots = kFewestSlots;
  while (slots < 2 * tokens) slots *= 2;
  if (slots <= slots_.size()) return;
  slots_.assign(slots, kNowhere);
  for (size_t place = 0; place < tokens_.size(); ++place) {
    slots_[SlotOf(tokens_[place].text)] = static_cast<int32_t>(place);
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
  Reserve(tokens_.size() + 1);
  if (id >= size()) places_.resize(id + 1, kNowhere);
  places_[id] = static_cast<int32_t>(tokens_.size());
  slots_[SlotOf(text)] = places_[id];
  tokens_.push_back({std::string(text), static_cast<TokenId>(id)});
}

TokenId Vocabulary::Find(std::string_view text) const {
  if (slots_.empty()) return kNoToken;
  const int32_t place = slots_[SlotOf(text)];
  return place == kNowhere ? kNoToken : tokens_[place].id;
}

int ByteOfToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = UpperHexDigit(text[3]);
  const int low = UpperHexDigit(text[4]);
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
