#include "exec/views.h"

#include "base/error.h"

namespace tl {
namespace {

// Strides for `shape` over the elements of x in row-major order. Groups of axes
// with equal products on both sides are matched; inside a group of x the axes
// must follow each other without a gap.
std::optional<Operand> FoldReshape(const Operand& x, const Shape& shape) {
  Operand y = x;
  y.rank = shape.rank();
  for (int axis = 0; axis < y.rank; ++axis) y.dims[axis] = shape.dim(axis);
  if (x.size() == 0) {
    y.strides.fill(0);
    return y;
  }
  int i = 0, j = 0;
  while (i < x.rank || j < y.rank) {
    const int first_i = i, first_j = j;
    int64_t from = i < x.rank ? x.dims[i++] : 1;
    int64_t to = j < y.rank ? y.dims[j++] : 1;
    while (from != to) {
      if (from < to) {
        from *= x.dims[i++];
      } else {
        to *= y.dims[j++];
      }
    }
    // Axes of size 1 say nothing about strides.
    int64_t stride = 0;
    std::optional<int64_t> expected;
    for (int axis = i - 1; axis >= first_i; --axis) {
      if (x.dims[axis] == 1) continue;
      if (!expected) {
        stride = x.strides[axis];
      } else if (x.strides[axis] != *expected) {
        return std::nullopt;
      }
      expected = x.strides[axis] * x.dims[axis];
    }
    for (int axis = j - 1; axis >= first_j; --axis) {
      y.strides[axis] = y.dims[axis] == 1 ? 0 : stride;
      stride *= y.dims[axis];
    }
  }
  return y;
}

}  // namespace

Operand WholeOperand(Operand::Source source, int index, DType dtype,
                     const Shape& shape) {
  Operand x;
  x.source = source;
  x.index = index;
  x.dtype = dtype;
  x.rank = shape.rank();
  int64_t stride = 1;
  for (int axis = x.rank - 1; axis >= 0; --axis) {
    x.dims[axis] = shape.dim(axis);
    x.strides[axis] = stride;
    stride *= shape.dim(axis);
  }
  return x;
}

Operand BroadcastOperand(const Operand& x, const Shape& shape) {
  Operand y = x;
  y.rank = shape.rank();
  const int added = y.rank - x.rank;
  for (int axis = 0; axis < y.rank; ++axis) {
    const bool repeats = axis < added || x.dims[axis - added] == 1;
    y.dims[axis] = shape.dim(axis);
    y.strides[axis] = repeats ? 0 : x.strides[axis - added];
  }
  return y;
}

std::optional<Operand> FoldView(OpId op, const Operand& x,
                                std::span<const int64_t> ints,
                                const Shape& result, int32_t first_number) {
  if (op == OpId::Reshape) return FoldReshape(x, result);
  if (op == OpId::Broadcast) return BroadcastOperand(x, result);
  Operand y = x;
  if (op == OpId::Permute) {
    for (int axis = 0; axis < x.rank; ++axis) {
      y.dims[axis] = x.dims[ints[axis]];
      y.strides[axis] = x.strides[ints[axis]];
    }
    return y;
  }
  TL_CHECK(op == OpId::Slice);
  const int axis = static_cast<int>(ints[0]);
  if (x.strides[axis] != 0) y.terms.push_back({first_number, x.strides[axis]});
  y.dims[axis] = ints[1];
  y.strides[axis] *= ints[2];
  return y;
}

}  // namespace tl
