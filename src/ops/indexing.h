// x[i, a:b, ..., ids] and x[...] = v as operations.
#pragma once

#include <optional>
#include <span>

#include "ops/lowering.h"

namespace tl {

// One item between the brackets.
struct IndexItem {
  enum class Kind : uint8_t {
    kInt,       // removes the axis
    kSlice,     // begin:end:step, any of them absent
    kEllipsis,  // as many whole axes as are needed
    kTensor,    // int32 indices: their axes take the axis's place; several are
                // taken together, element by element
    kUnknown,   // checker only: an int, a list or a tensor
  };
  Kind kind = Kind::kSlice;
  // kInt. In the checker the value may be unknown: nullopt.
  std::optional<int64_t> integer;
  // kSlice. A bound that is given but unknown (checker) makes `known` false.
  std::optional<int64_t> begin, end;
  int64_t step = 1;
  bool known = true;
  TensorRef tensor;
};

TensorRef Index(Lowering& lo, const TensorRef& x,
                std::span<const IndexItem> items);

// The tensor that the variable holds after x[items] = v. kTensor items are an
// error naming scatter.
TensorRef AssignIndex(Lowering& lo, const TensorRef& x,
                      std::span<const IndexItem> items, const TensorRef& v);

}  // namespace tl
