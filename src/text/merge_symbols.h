// The loop of both kinds of BPE: neighbours in a word are joined, the best pair
// first. A heap holds the pairs, so a word of n symbols costs n log n.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace tl {

struct Symbol {
  TokenId id;  // or kNoToken
  uint32_t begin;
  uint32_t size;  // bytes; 0 once it went into the one before
  int32_t previous = -1;
  int32_t next = -1;
};

struct Joined {
  uint32_t rank;  // less is better; at the same rank, what stands first
  TokenId id;     // kNoToken: the two are not joined
};

// Links the symbols to each other.
inline void LinkSymbols(std::vector<Symbol>& symbols) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
  }
}

// join(left, right) says what two neighbours become.
template <class Join>
void MergeSymbols(std::vector<Symbol>& symbols, const Join& join) {
  struct Candidate {
    uint32_t rank;
    int32_t left;
    TokenId id;
    bool operator<(const Candidate& other) const {  // std's heap is a max heap
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  LinkSymbols(symbols);
  std::vector<Candidate> candidates;
  candidates.reserve(symbols.size());
  const auto consider = [&](int32_t left, auto&& add) {
    if (left < 0 || symbols[left].next < 0) return;
    const Joined joined = join(symbols[left], symbols[symbols[left].next]);
    if (joined.id != kNoToken) add(Candidate{joined.rank, left, joined.id});
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    consider(static_cast<int32_t>(i), [&](const Candidate& candidate) {
      candidates.push_back(candidate);
    });
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(),
                                       std::move(candidates));
  const auto push = [&](const Candidate& candidate) { queue.push(candidate); };
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    if (left.size == 0 || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // One of the two may have been joined with another meanwhile.
    if (join(left, right).id != best.id) continue;
    left.size += right.size;
    left.id = best.id;
    left.next = right.next;
    right.size = 0;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous, push);
    consider(best.left, push);
  }
}

}  // namespace tl
