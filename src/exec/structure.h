// The part of a graph that a run needs, in a canonical order, and the key that
// equal structures share. Everything that varies between two runs of one plan
// (leaves, numbers) is gathered beside it.
#pragma once

#include <span>
#include <vector>

#include "graph/node.h"

namespace tl {

struct Structure {
  struct Input {
    enum class Kind : uint8_t { kNode, kLeaf, kNumber };
    Kind kind;
    int32_t index;
  };
  // One operation to compute.
  struct Item {
    Node* node;
    std::span<const Input> inputs;
    int32_t first_number;  // its attributes' numbers, in `numbers`
    // Somebody outside the run holds it: its result must be kept.
    bool held = false;
    bool wanted = false;  // asked for: a view must be made real
  };

  Structure() = default;
  Structure(Structure&&) = default;
  Structure& operator=(Structure&&) = default;
  Structure(const Structure&) = delete;  // items look into `inputs`

  std::vector<Item> items;     // inputs before users
  std::vector<Node*> leaves;   // nodes with a value
  std::vector<double> numbers; // run-time arguments
  std::vector<DType> number_dtypes;
  std::vector<int64_t> key;
  uint64_t hash = 0;  // of the key

  std::vector<Input> inputs;  // of all items, one after the other
};

// `wanted`: nodes whose values are asked for. `visit`: nodes to compute if
// somebody holds them (a sweep over everything pending). `room` is an earlier
// structure that nobody needs any more: its memory is used again.
Structure CollectStructure(std::span<Node* const> wanted,
                           std::span<Node* const> visit, Structure room = {});

}  // namespace tl
