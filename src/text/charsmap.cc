#include "text/charsmap.h"

#include "base/bytes.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tl {
namespace {

// The fields of a unit of the trie, as Darts-clone lays them out.
constexpr uint32_t kLeaf = 1u << 31;
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t ValueOf(uint32_t unit) { return unit & ~kLeaf; }
uint32_t LabelOf(uint32_t unit) { return unit & (kLeaf | 0xFF); }
uint32_t OffsetOf(uint32_t unit) {
  return unit >> 10 << ((unit & (1u << 9)) >> 6);
}

// Longer graphemes are taken apart.
constexpr size_t kShortGrapheme = 6;

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
  ByteReader reader(std::as_bytes(std::span(bytes)), "precompiled_charsmap");
  const auto size = reader.Read<uint32_t>("the size of its trie");
  if (size % sizeof(uint32_t) != 0 || size == 0) {
    Fail(
        ErrorKind::kInput,
        "precompiled_charsmap: its trie has {} bytes; expected a multiple of 4",
        size);
  }
  const auto trie = reader.Take(size, "its trie");
  units_.resize(size / sizeof(uint32_t));
  std::memcpy(units_.data(), trie.data(), trie.size());
  replacements_ = reader.ReadText(reader.remaining(), "its replacements");
  if (!IsUtf8(replacements_)) {
    Fail(ErrorKind::kInput,
         "precompiled_charsmap: its replacements are not UTF-8");
  }
}

template <class F>
void Charsmap::ForEachKey(std::string_view text, F found) const {
  uint64_t node = OffsetOf(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == 0) return;  // ends a key in the trie
    node ^= byte;
    if (node >= units_.size()) return;
    const uint32_t unit = units_[node];
    if (LabelOf(unit) != byte) return;
    node ^= OffsetOf(unit);
    if (node >= units_.size()) return;
    if (!HasLeaf(unit)) continue;
    const size_t value = ValueOf(units_[node]);
    if (value > replacements_.size()) continue;
    const size_t end = replacements_.find('\0', value);
    const bool more = found(Match{
        i + 1, std::string_view(replacements_)
                   .substr(value, end == std::string::npos ? std::string::npos
                                                           : end - value)});
    if (!more) return;
  }
}

std::optional<Charsmap::Match> Charsmap::Shortest(std::string_view text) const {
  std::optional<Match> shortest;
  ForEachKey(text, [&](const Match& match) {
    shortest = match;
    return false;
  });
  return shortest;
}

std::optional<Charsmap::Match> Charsmap::Longest(std::string_view text) const {
  std::optional<Match> longest;
  ForEachKey(text, [&](const Match& match) {
    longest = match;
    return true;
  });
  return longest;
}

std::string ReplaceByGrapheme(const Charsmap& map, std::string_view text) {
  std::string replaced;
  replaced.reserve(text.size());
  while (!text.empty()) {
    const std::string_view grapheme = text.substr(0, GraphemeSize(text));
    text.remove_prefix(grapheme.size());
    const auto whole = grapheme.size() < kShortGrapheme ? map.Shortest(grapheme)
                                                        : std::nullopt;
    if (whole) {
      replaced += whole->replacement;
      continue;
    }
    for (size_t at = 0; at < grapheme.size();) {
      const auto character = grapheme.substr(at, Utf8Size(grapheme[at]));
      const auto match = map.Shortest(character);
      replaced += match ? match->replacement : character;
      at += character.size();
    }
  }
  return replaced;
}

}  // namespace tl
