#include "text/trie.h"

#include <algorithm>

namespace tl {
namespace {

// Entries that begin alike, and how many bytes of that are nodes already.
struct Range {
  size_t begin;
  size_t end;
  size_t depth;
  uint32_t node;
};

}  // namespace

// Breadth first, so that what belongs side by side is made side by side.
Trie::Trie(std::vector<Entry> entries) {
  first_.fill(kNone);
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::ranges::stable_sort(entries, {}, &Entry::text);
  nodes_.push_back({});  // the root, whose children first_ has
  std::vector<Range> open = {{0, entries.size(), 0, 0}};
  for (size_t next = 0; next < open.size(); ++next) {
    auto [begin, end, depth, node] = open[next];
    while (begin < end && entries[begin].text.size() == depth) {
      nodes_[node].value = entries[begin++].value;
    }
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = entries[begin].text[depth];
      size_t last = begin + 1;
      while (last < end && entries[last].text[depth] == byte) ++last;
      const auto child = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({.byte = static_cast<uint8_t>(byte)});
      ++nodes_[node].children;
      open.push_back({begin, last, depth + 1, child});
      begin = last;
    }
  }
  for (uint32_t i = 0; i < nodes_[0].children; ++i) {
    const uint32_t child = nodes_[0].first_child + i;
    first_[nodes_[child].byte] = child;
  }
}

uint32_t Trie::Child(uint32_t node, uint8_t byte) const {
  const auto begin = nodes_.begin() + nodes_[node].first_child;
  const auto end = begin + nodes_[node].children;
  const auto found = std::lower_bound(
      begin, end, byte,
      [](const Node& child, uint8_t wanted) { return child.byte < wanted; });
  if (found == end || found->byte != byte) return kNone;
  return static_cast<uint32_t>(found - nodes_.begin());
}

}  // namespace tl
