#include "ops/indexing.h"

#include <algorithm>

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

}  // namespace

TensorRef Index(Lowering& lo, const TensorRef& x,
                std::span<const IndexItem> items) {
  TensorRef result = x;
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
        result = IndexSelect(lo, result, axis, item.tensor);
        axis += item.tensor->rank();
        break;
      case Kind::kUnknown:
        throw NotKnown{};
      case Kind::kEllipsis:
        break;  // expanded away
    }
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
