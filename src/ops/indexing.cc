#include "ops/indexing.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "ops/build.h"

namespace tl {
namespace {

using Kind = IndexItem::Kind;

// The items with the ellipsis, and missing items at the end, written out: one
// per axis.
std::vector<IndexItem> Expand(const TensorRef& x,
                              std::span<const IndexItem> items) {
  const int rank = x->rank();
  int axes = 0, ellipses = 0;
  for (const IndexItem& item : items) {
    (item.kind == Kind::kEllipsis ? ellipses : axes)++;
  }
  if (ellipses > 1) Fail(ErrorKind::kProgram, "an index may have one '...'");
  if (axes > rank) {
    Fail(ErrorKind::kProgram, "{} indices for a tensor of shape {}", axes,
         x->shape().ToString());
  }
  std::vector<IndexItem> expanded;
  const IndexItem whole;
  for (const IndexItem& item : items) {
    if (item.kind == Kind::kEllipsis) {
      expanded.insert(expanded.end(), rank - axes, whole);
    } else {
      expanded.push_back(item);
    }
  }
  expanded.resize(rank, whole);
  return expanded;
}

int64_t CheckedIndex(const TensorRef& x, int axis, int64_t index) {
  const Dim dim = x->shape()[axis];
  if (!dim.known()) return index < 0 ? 0 : index;
  const int64_t positive = index < 0 ? index + dim.value() : index;
  if (positive < 0 || positive >= dim.value()) {
    Fail(ErrorKind::kProgram, "index {} is out of range for axis {} of {}",
         index, axis, x->shape().ToString());
  }
  return positive;
}

struct Bounds {
  int64_t start;
  Dim count;
};

// Slices clamp, as in Python.
Bounds SliceBounds(const TensorRef& x, int axis, const IndexItem& item) {
  if (item.step < 1) {
    Fail(ErrorKind::kProgram,
         "a slice step of {} is not supported; flip(x, {}) reverses", item.step,
         axis);
  }
  const Dim dim = x->shape()[axis];
  const bool whole = !item.begin && !item.end && item.step == 1 && item.known;
  if (whole) return {0, dim};
  if (!item.known || !dim.known()) return {0, Dim::Unknown()};
  const int64_t size = dim.value();
  const auto clamp = [size](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + size : bound, 0, size);
  };
  const int64_t begin = clamp(item.begin.value_or(0));
  const int64_t end = clamp(item.end.value_or(size));
  return {begin, Dim(end > begin ? (end - begin - 1) / item.step + 1 : 0)};
}

// An index tensor, and the axis of what is indexed that it replaces.
struct AxisIndex {
  int axis;
  TensorRef index;
};

// Where each element of `index` begins in a flat array in which one step along
// the axis is `stride` long. Read from a table, so that negative indices count
// from the end and one out of range is an error that names the axis.
TensorRef Offsets(Lowering& lo, const TensorRef& x, const AxisIndex& at,
                  Dim stride) {
  const Dim size = x->shape()[at.axis];
  const double step = stride.known() ? static_cast<double>(stride.value()) : 1;
  Shape along;
  for (int axis = 0; axis <= at.axis; ++axis) {
    along.Append(axis == at.axis ? size : Dim(1));
  }
  const TensorRef table =
      Reshape(lo, Iota(lo, size, DType::I32, 0, step), along);
  return Reshape(lo, IndexSelect(lo, table, at.axis, at.index),
                 at.index->shape());
}

// x[..., i, j, ...]: several index tensors are taken together, element by
// element, as NumPy does. Their axes become one, which is then selected from:
// it stands where theirs were, or first if they were not neighbours.
TensorRef SelectPairs(Lowering& lo, const TensorRef& x,
                      std::span<const AxisIndex> at) {
  const int count = static_cast<int>(at.size());
  const bool together = at.back().axis - at.front().axis == count - 1;
  const int first = together ? at.front().axis : 0;
  std::vector<int> axes;
  for (int axis = 0; axis < x->rank(); ++axis) axes.push_back(axis);
  for (int i = 0; !together && i < count; ++i) {
    axes.erase(std::find(axes.begin(), axes.end(), at[i].axis));
    axes.insert(axes.begin() + i, at[i].axis);
  }
  const TensorRef moved = together ? x : Permute(lo, x, axes);
  Dim total = 1;
  TensorRef places;
  for (int i = count - 1; i >= 0; --i) {
    const TensorRef offsets = Offsets(lo, x, at[i], total);
    places = places ? Binary(lo, OpId::Add, offsets, places) : offsets;
    total = total * x->shape()[at[i].axis];
  }
  if (total.known() && total.value() > std::numeric_limits<int32_t>::max()) {
    Fail(ErrorKind::kProgram,
         "{} index tensors over {} elements; at most {} can be indexed at once",
         count, total.value(), std::numeric_limits<int32_t>::max());
  }
  Shape merged;
  for (int axis = 0; axis < moved->rank(); ++axis) {
    if (axis == first) merged.Append(total);
    if (axis < first || axis >= first + count) {
      merged.Append(moved->shape()[axis]);
    }
  }
  return IndexSelect(lo, Reshape(lo, moved, merged), first, places);
}

}  // namespace

TensorRef Index(Lowering& lo, const TensorRef& x,
                std::span<const IndexItem> items) {
  TensorRef result = x;
  std::vector<AxisIndex> selected;
  int axis = 0;
  for (const IndexItem& item : Expand(x, items)) {
    switch (item.kind) {
      case Kind::kInt: {
        const int64_t index =
            item.integer ? CheckedIndex(result, axis, *item.integer) : 0;
        result = Slice(lo, result, axis, index, 1);
        Shape shape = result->shape();
        shape.Erase(axis);
        result = Reshape(lo, result, shape);
        break;
      }
      case Kind::kSlice: {
        const Bounds bounds = SliceBounds(result, axis, item);
        result = Slice(lo, result, axis, bounds.start, bounds.count, item.step);
        ++axis;
        break;
      }
      case Kind::kTensor:
        if (item.tensor->dtype() != DType::I32) {
          Fail(ErrorKind::kProgram,
               "an index tensor must be int32, not {}; where() selects by a "
               "mask", LanguageName(item.tensor->dtype()));
        }
        selected.push_back({axis++, item.tensor});
        break;
      case Kind::kUnknown:
        throw NotKnown{};
      case Kind::kEllipsis:
        break;  // expanded away
    }
  }
  if (selected.size() == 1) {
    result = IndexSelect(lo, result, selected[0].axis, selected[0].index);
  } else if (!selected.empty()) {
    result = SelectPairs(lo, result, selected);
  }
  // An index that leaves no axis gives a number: float32 or int32.
  const bool number = result->rank() == 0 && result->dtype() == DType::F16;
  return number ? Cast(lo, result, DType::F32) : result;
}

TensorRef AssignIndex(Lowering& lo, const TensorRef& x,
                      std::span<const IndexItem> items, const TensorRef& v) {
  std::vector<int64_t> starts, steps;
  Shape region, visible;  // visible: without the axes that an int removes
  int axis = 0;
  for (const IndexItem& item : Expand(x, items)) {
    int64_t start = 0, step = 1;
    Dim count = 1;
    switch (item.kind) {
      case Kind::kInt:
        start = item.integer ? CheckedIndex(x, axis, *item.integer) : 0;
        break;
      case Kind::kSlice: {
        const Bounds bounds = SliceBounds(x, axis, item);
        start = bounds.start;
        count = bounds.count;
        step = item.step;
        visible.Append(count);
        break;
      }
      case Kind::kTensor:
        Fail(ErrorKind::kProgram,
             "assigning through an index tensor is not supported; "
             "scatter(x, dim, index, source) does it");
      case Kind::kUnknown:
        throw NotKnown{};
      case Kind::kEllipsis:
        break;
    }
    starts.push_back(start);
    steps.push_back(step);
    region.Append(count);
    ++axis;
  }
  // One element fits a place for one number, whatever its rank.
  const bool one = visible.rank() == 0 && v->shape().known() &&
                   v->shape().size() == 1;
  const TensorRef shaped =
      one ? Reshape(lo, v, Shape{})
      : v->rank() == 0
          ? v
          : Reshape(lo, BroadcastTo(lo, v, visible), region);
  return Assign(lo, x, starts, steps, region, shaped);
}

}  // namespace tl
