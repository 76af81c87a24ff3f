// Layers that see the last three axes as the channels, height and width of an
// image, and whatever stands in front of them as a batch.
#pragma once

#include <vector>

#include "base/error.h"
#include "coreml/layer_call.h"
#include "ops/build.h"

namespace tl::coreml {

// f on [images, channels, height, width].
TensorRef OnImages(const LayerCall& call, auto f) {
  Builder& lo = call.lo();
  const TensorRef& x = call.x();
  const int rank = x->rank();
  if (rank < 3) {
    Fail(ErrorKind::kInput, "shape {} is not [.., channels, height, width]",
         x->shape().ToString());
  }
  const Shape& s = x->shape();
  Dim images = 1;
  for (int axis = 0; axis < rank - 3; ++axis) images = images * s[axis];
  const TensorRef y =
      f(Reshape(lo, x, Shape{images, s[rank - 3], s[rank - 2], s[rank - 1]}));
  Shape shape = s;
  for (int i = 1; i <= 3; ++i) shape[rank - i] = y->shape()[4 - i];
  return Reshape(lo, y, shape);
}

// Of height and width; `otherwise` where none is given.
template <class List>
std::vector<int64_t> Pair(const List& list, int64_t otherwise) {
  if (list.empty()) return {otherwise, otherwise};
  if (list.size() != 2) {
    Fail(ErrorKind::kInput, "{} sizes for height and width", list.size());
  }
  return {static_cast<int64_t>(list[0]), static_cast<int64_t>(list[1])};
}

// [top, bottom, left, right]
inline std::vector<int64_t> EdgesOf(const spec::BorderAmounts& amounts) {
  std::vector<int64_t> edges(4, 0);
  for (int i = 0; i < amounts.border_amounts_size() && i < 2; ++i) {
    const spec::BorderAmounts::Edges& side = amounts.border_amounts(i);
    edges[2 * i] = static_cast<int64_t>(side.start_edge_size());
    edges[2 * i + 1] = static_cast<int64_t>(side.end_edge_size());
  }
  return edges;
}

}  // namespace tl::coreml
