// Comparing two models, for `tl diff`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

// How the numbers of two tensors of one shape differ. NaN equals NaN, and is
// infinitely far from everything else.
struct ValueDifference {
  int64_t differing = 0;  // elements
  double largest = 0;
  int64_t largest_at = 0;  // row-major index
};

struct TensorDifference {
  std::string name;
  const TensorEntry* a = nullptr;  // null where only the other model has it
  const TensorEntry* b = nullptr;
  // Where both have it, of one shape, and both types have values. With no
  // element differing only the bits do: another type, or the sign of a zero.
  std::optional<ValueDifference> values;
};

struct ModelDifference {
  // Those that are not bit for bit the same, in the order of the first model,
  // then those that only the second has.
  std::vector<TensorDifference> tensors;
  int64_t same_tensors = 0;
  std::vector<std::string> metadata;  // keys whose values differ

  bool same() const { return tensors.empty() && metadata.empty(); }
};

// Fails if a file changes meanwhile. The entries belong to the models.
ModelDifference Compare(const Model& a, const Model& b);

}  // namespace tl
