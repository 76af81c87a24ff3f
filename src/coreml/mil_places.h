// Indices of MIL operations as items between brackets.
#pragma once

#include <vector>

#include "ops/indexing.h"

namespace tl::coreml {

inline IndexItem At(TensorRef index) {
  IndexItem item;
  item.kind = IndexItem::Kind::kTensor;
  item.tensor = std::move(index);
  return item;
}

// indices[.., K] name places in K axes, of which there are `most`: one index
// for each of these axes. mil_scatter.cc
std::vector<IndexItem> IndexColumns(Lowering& lo, const TensorRef& indices,
                                    int most);

}  // namespace tl::coreml
