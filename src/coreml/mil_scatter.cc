// Operations that write by index. Indices may be negative: they count from the
// end of their axis.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "coreml/mil_places.h"

namespace tl::coreml {
namespace {

// What a mode makes of the element that is there and the update.
using Combine = double (*)(double, double);

// Null: the update takes its place.
Combine ModeOf(const MilCall& call) {
  const std::string_view mode = call.Text("mode", "add");
  if (mode == "update") return nullptr;
  if (mode == "add") return [](double a, double b) { return a + b; };
  if (mode == "sub") return [](double a, double b) { return a - b; };
  if (mode == "mul") return [](double a, double b) { return a * b; };
  if (mode == "div") return [](double a, double b) { return a / b; };
  // Both pass NaN on.
  if (mode == "max") {
    return [](double a, double b) { return a >= b || a != a ? a : b; };
  }
  if (mode == "min") {
    return [](double a, double b) { return a <= b || a != a ? a : b; };
  }
  Fail(ErrorKind::kInput, "mode '{}' is not known", mode);
}

// x with the elements updates[i] worked into the row places[i] of its elements,
// one after the other: a place may be there several times. Computed now, in
// double, so that many updates of one place are rounded once.
TensorRef Combined(const MilCall& call, const TensorRef& x, Combine combine,
                   const std::vector<int64_t>& places, const TensorRef& updates,
                   int64_t row) {
  std::vector<double> result = ReadNumbers(call.host(), x);
  const std::vector<double> values = ReadNumbers(call.host(), updates);
  TL_CHECK(values.size() == places.size() * static_cast<size_t>(row));
  size_t next = 0;
  for (const int64_t place : places) {
    for (int64_t i = place * row; i < (place + 1) * row; ++i) {
      result[i] = combine(result[i], values[next++]);
    }
  }
  return Numbers(call.host(), result, x->shape(), x->dtype());
}

// Indices into an axis of this length, counted from its front.
std::vector<int64_t> PlacesIn(const MilCall& call, const TensorRef& indices,
                              int64_t length) {
  std::vector<int64_t> places = ReadInts(call.host(), indices);
  for (int64_t& place : places) {
    const int64_t given = place;
    if (place < 0) place += length;
    if (place < 0 || place >= length) {
      Fail(ErrorKind::kInput, "index {} is out of range for {} elements", given,
           length);
    }
  }
  return places;
}

void RequireUpdates(const TensorRef& updates, const Shape& shape) {
  if (updates->shape() == shape) return;
  Fail(ErrorKind::kInput, "updates of shape {}; expected {}",
       updates->shape().ToString(), shape.ToString());
}

// Whole slices of x [rows, columns] at a vector of indices.
TensorRef ScatterRows(const MilCall& call, const TensorRef& x,
                      const TensorRef& index, const TensorRef& updates) {
  if (const Combine combine = ModeOf(call)) {
    return Combined(call, x, combine, PlacesIn(call, index, x->shape().dim(0)),
                    updates, x->shape().dim(1));
  }
  return CallFunction(call.lo(), "scatter",
                      {Argument::Of(x), Argument::Int(0), Argument::Of(index),
                       Argument::Of(updates)});
}

// The axis in front, where a slice is a row.
MilResult Scatter(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("data"), index = call.Tensor("indices");
  const TensorRef updates = call.Tensor("updates");
  if (index->rank() != 1) {
    Fail(ErrorKind::kInput, "indices of shape {}; expected a vector",
         index->shape().ToString());
  }
  const int axis = call.Axis("axis", x->rank(), 0);
  Shape given = x->shape();
  given[axis] = index->shape()[0];
  RequireUpdates(updates, given);
  std::vector<int> order, back;
  for (int i = 0; i < x->rank(); ++i) {
    order.push_back(i == 0 ? axis : i <= axis ? i - 1 : i);
    back.push_back(i == axis ? 0 : i < axis ? i + 1 : i);
  }
  const TensorRef front = Permute(lo, x, order);
  const int64_t rows = x->shape().dim(axis);
  const int64_t columns = rows == 0 ? 0 : x->shape().size() / rows;
  const int64_t count = index->shape().dim(0);
  const TensorRef written = ScatterRows(
      call, Reshape(lo, front, Shape{rows, columns}),
      Cast(lo, index, DType::I32),
      Reshape(lo, Permute(lo, updates, order), Shape{count, columns}));
  return Permute(lo, Reshape(lo, written, front->shape()), back);
}

MilResult ScatterAlongAxis(const MilCall& call) {
  const TensorRef x = call.Tensor("data"), index = call.Tensor("indices");
  const TensorRef updates = call.Tensor("updates");
  const int axis = call.Axis("axis", x->rank(), 0);
  RequireUpdates(updates, index->shape());
  Shape along = x->shape();
  if (index->rank() == x->rank()) along[axis] = index->shape()[axis];
  if (index->shape() != along) {
    Fail(ErrorKind::kInput, "indices of shape {} along axis {} of shape {}",
         index->shape().ToString(), axis, x->shape().ToString());
  }
  const Combine combine = ModeOf(call);
  if (combine == nullptr) {
    return CallFunction(call.lo(), "scatter",
                        {Argument::Of(x), Argument::Int(axis),
                         Argument::Of(index), Argument::Of(updates)});
  }
  // From a place in its axis to one among all elements.
  const int64_t length = x->shape().dim(axis), given = along.dim(axis);
  std::vector<int64_t> places = PlacesIn(call, index, length);
  int64_t inner = 1;
  for (int i = axis + 1; i < x->rank(); ++i) inner *= x->shape().dim(i);
  for (size_t i = 0; i < places.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i);
    const int64_t outer = at / (inner * given);
    places[i] = (outer * length + places[i]) * inner + at % inner;
  }
  return Combined(call, x, combine, places, updates, 1);
}

// The places as positions in the indexed axes laid end to end: read from a
// table of these, which checks them.
MilResult ScatterNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("data"), updates = call.Tensor("updates");
  const TensorRef indices = Cast(lo, call.Tensor("indices"), DType::I32);
  const std::vector<IndexItem> items = IndexColumns(lo, indices, x->rank());
  const std::span<const Dim> dims = x->shape().dims();
  const Shape indexed(dims.first(items.size())),
      slice(dims.subspan(items.size()));
  Shape given(indices->shape().dims().first(indices->rank() - 1));
  for (Dim dim : slice) given.Append(dim);
  RequireUpdates(updates, given);
  const int64_t rows = indexed.size(), columns = slice.size();
  const TensorRef table = Reshape(lo, Iota(lo, rows, DType::I32), indexed);
  const TensorRef places = Index(lo, table, items);
  const int64_t count = places->shape().size();
  const TensorRef written =
      ScatterRows(call, Reshape(lo, x, Shape{rows, columns}),
                  Reshape(lo, places, Shape{count}),
                  Reshape(lo, updates, Shape{count, columns}));
  return Reshape(lo, written, x->shape());
}

constexpr MilOp kOps[] = {
    {"scatter", Scatter},
    {"scatter_along_axis", ScatterAlongAxis},
    {"scatter_nd", ScatterNd},
};

}  // namespace

std::vector<IndexItem> IndexColumns(Lowering& lo, const TensorRef& indices,
                                    int most) {
  const int last = indices->rank() - 1;
  const int64_t k = last < 0 ? 0 : indices->shape().dim(last);
  if (k < 1 || k > most) {
    Fail(ErrorKind::kInput, "indices of shape {} into {} axes",
         indices->shape().ToString(), most);
  }
  std::vector<IndexItem> items;
  for (int64_t i = 0; i < k; ++i) {
    items.push_back(
        At(WithoutAxes(lo, Slice(lo, indices, last, i, 1), {last})));
  }
  return items;
}

std::span<const MilOp> ScatterOps() { return kOps; }

}  // namespace tl::coreml
