// Texts with a number each, to find which of them another text begins with.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tl {

class Trie {
 public:
  struct Entry {
    std::string text;
    int32_t value;  // not negative
  };

  Trie() : Trie(std::vector<Entry>()) {}
  // Empty texts are left out; of equal ones the last counts.
  explicit Trie(std::vector<Entry> entries);

  // found(size, value) for each text that `text` begins with, shortest first.
  template <class F>
  void ForEachPrefix(std::string_view text, F found) const {
    if (text.empty()) return;
    uint32_t node = first_[static_cast<uint8_t>(text[0])];
    for (size_t size = 1; node != kNone; ++size) {
      if (nodes_[node].value >= 0) found(size, nodes_[node].value);
      if (size == text.size()) return;
      node = Child(node, static_cast<uint8_t>(text[size]));
    }
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // Children of a node lie side by side, in the order of their bytes.
  struct Node {
    uint32_t first_child = 0;
    uint16_t children = 0;
    uint8_t byte = 0;
    int32_t value = -1;
  };

  uint32_t Child(uint32_t node, uint8_t byte) const;

  std::array<uint32_t, 256> first_;
  std::vector<Node> nodes_;
};

}  // namespace tl
