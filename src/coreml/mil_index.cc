// Operations that select and write by index. Indices may be negative: they
// count from the end of their axis.
#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "ops/indexing.h"

namespace tl::coreml {
namespace {

IndexItem At(TensorRef index) {
  IndexItem item;
  item.kind = IndexItem::Kind::kTensor;
  item.tensor = std::move(index);
  return item;
}

// For each of the first `batch_dims` axes of x its own index, along that axis of
// indices of rank `rank`: together they pair every batch with itself.
std::vector<IndexItem> BatchItems(const MilCall& call, const TensorRef& x,
                                  const TensorRef& indices, int batch_dims,
                                  int rank) {
  std::vector<IndexItem> items;
  for (int i = 0; i < batch_dims; ++i) {
    const Dim size = x->shape()[i];
    if (size.value() != indices->shape()[i].value()) {
      Fail(ErrorKind::kInput, "{} batch axes of shapes {} and {}", batch_dims,
           x->shape().ToString(), indices->shape().ToString());
    }
    Shape shape;
    for (int axis = 0; axis < rank; ++axis) {
      shape.Append(axis == i ? size : Dim(1));
    }
    items.push_back(At(Reshape(
        call.lo(), Iota(call.lo(), size, DType::I32), shape)));
  }
  return items;
}

int BatchDims(const MilCall& call, int64_t most) {
  const int64_t batch_dims = call.Int("batch_dims", 0);
  if (batch_dims < 0 || batch_dims > most) {
    Fail(ErrorKind::kInput, "'batch_dims' is {}; expected 0 to {}", batch_dims,
         most);
  }
  return static_cast<int>(batch_dims);
}

MilResult Gather(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const TensorRef indices = Cast(lo, call.Tensor("indices"), DType::I32);
  const int axis = call.Axis("axis", x->rank(), 0);
  const int batch_dims = BatchDims(call, std::min(axis, indices->rank()));
  if (batch_dims == 0) return IndexSelect(lo, x, axis, indices);
  // The axis moved behind the batches, taken there, and what lay between put
  // back in front of what was picked.
  std::vector<int> order(x->rank());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + batch_dims, order.begin() + axis,
              order.begin() + axis + 1);
  std::vector<IndexItem> items =
      BatchItems(call, x, indices, batch_dims, indices->rank());
  items.push_back(At(indices));
  const TensorRef taken = Index(lo, Permute(lo, x, order), items);
  const int picked = indices->rank() - batch_dims, between = axis - batch_dims;
  std::vector<int> back(taken->rank());
  std::iota(back.begin(), back.end(), 0);
  std::rotate(back.begin() + batch_dims, back.begin() + batch_dims + picked,
              back.begin() + batch_dims + picked + between);
  return Permute(lo, taken, back);
}

MilResult GatherAlongAxis(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), 0);
  return CallFunction(call.lo(), "gather",
                      {Argument::Of(x), Argument::Int(axis),
                       Argument::Of(call.Tensor("indices"))});
}

// indices[.., K] name places in K axes, of which there are `most`: one index for
// each of these axes.
std::vector<IndexItem> Columns(Lowering& lo, const TensorRef& indices,
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

MilResult GatherNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const TensorRef indices = Cast(lo, call.Tensor("indices"), DType::I32);
  const int batch_dims =
      BatchDims(call, std::min(x->rank(), indices->rank()) - 1);
  std::vector<IndexItem> items =
      BatchItems(call, x, indices, batch_dims, indices->rank() - 1);
  for (IndexItem& item : Columns(lo, indices, x->rank() - batch_dims)) {
    items.push_back(std::move(item));
  }
  return Index(lo, x, items);
}

// What a mode makes of the element that is there and the update.
std::optional<OpId> ModeOf(const MilCall& call) {
  const std::string_view mode = call.Text("mode", "add");
  if (mode == "update") return std::nullopt;
  if (mode == "add") return OpId::Add;
  if (mode == "sub") return OpId::Sub;
  if (mode == "mul") return OpId::Mul;
  if (mode == "div") return OpId::Div;
  if (mode == "max") return OpId::Maximum;
  if (mode == "min") return OpId::Minimum;
  Fail(ErrorKind::kInput, "mode '{}' is not known", mode);
}

// Whole slices along an axis, at a vector of indices. A mode that computes
// reads each slice once, so that an index may not stand there twice.
TensorRef ScatterSlices(const MilCall& call, const TensorRef& x, int axis,
                        const TensorRef& index, TensorRef updates) {
  Builder& lo = call.lo();
  if (const std::optional<OpId> mode = ModeOf(call)) {
    std::vector<int64_t> places = ReadInts(call.host(), index);
    for (int64_t& place : places) {
      if (place < 0) place += x->shape().dim(axis);
    }
    std::sort(places.begin(), places.end());
    const auto twice = std::adjacent_find(places.begin(), places.end());
    if (twice != places.end()) {
      Fail(ErrorKind::kInput,
           "index {} stands twice; mode '{}' runs here for indices that differ",
           *twice, call.Text("mode", "add"));
    }
    updates = Binary(lo, *mode, IndexSelect(lo, x, axis, index), updates);
  }
  return CallFunction(lo, "scatter",
                      {Argument::Of(x), Argument::Int(axis),
                       Argument::Of(index), Argument::Of(updates)});
}

MilResult Scatter(const MilCall& call) {
  const TensorRef x = call.Tensor("data"), index = call.Tensor("indices");
  if (index->rank() != 1) {
    Fail(ErrorKind::kInput, "indices of shape {}; expected a vector",
         index->shape().ToString());
  }
  return ScatterSlices(call, x, call.Axis("axis", x->rank(), 0), index,
                       call.Tensor("updates"));
}

MilResult ScatterAlongAxis(const MilCall& call) {
  if (ModeOf(call)) {
    Fail(ErrorKind::kInput, "mode '{}' does not run here; only 'update' does",
         call.Text("mode", "add"));
  }
  const TensorRef x = call.Tensor("data");
  return CallFunction(call.lo(), "scatter",
                      {Argument::Of(x),
                       Argument::Int(call.Axis("axis", x->rank(), 0)),
                       Argument::Of(call.Tensor("indices")),
                       Argument::Of(call.Tensor("updates"))});
}

// The places as positions in the indexed axes laid end to end: read from a table
// of these, which checks them.
MilResult ScatterNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("data");
  const TensorRef indices = Cast(lo, call.Tensor("indices"), DType::I32);
  const std::vector<IndexItem> items = Columns(lo, indices, x->rank());
  const std::span<const Dim> dims = x->shape().dims();
  const Shape indexed(dims.first(items.size())),
      slice(dims.subspan(items.size()));
  const int64_t rows = indexed.size(), columns = slice.size();
  const TensorRef table =
      Reshape(lo, Iota(lo, rows, DType::I32), indexed);
  const TensorRef places = Index(lo, table, items);
  const int64_t count = places->shape().size();
  const TensorRef written = ScatterSlices(
      call, Reshape(lo, x, Shape{rows, columns}), 0,
      Reshape(lo, places, Shape{count}),
      Reshape(lo, call.Tensor("updates"), Shape{count, columns}));
  return Reshape(lo, written, x->shape());
}

// Indices of the elements that are not 0, [count, rank]: read now, since the
// result's shape is their number.
MilResult NonZero(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const std::vector<double> numbers = ReadNumbers(call.host(), x);
  std::vector<int64_t> places;
  int64_t count = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] == 0) continue;
    ++count;
    int64_t rest = static_cast<int64_t>(i), stride = x->shape().size();
    for (Dim dim : x->shape()) {
      stride /= dim.value();
      places.push_back(rest / stride);
      rest %= stride;
    }
  }
  return Ints(call.host(), places, Shape{count, x->rank()});
}

MilResult OneHot(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef index = call.Tensor("indices");
  const int64_t size = call.Int("one_hot_vector_size");
  if (size < 0) Fail(ErrorKind::kInput, "a one-hot vector of {}", size);
  const int axis = call.Axis("axis", index->rank() + 1, -1);
  const auto value = [&](std::string_view name, double otherwise) {
    return call.Has(name) ? call.Tensor(name)
                          : lo.Lowering::Apply(
                                OpId::Identity,
                                {lo.Number(otherwise, DType::I32)});
  };
  const TensorRef on = value("on_value", 1), off = value("off_value", 0);
  const TensorRef column = Unsqueeze(lo, index, index->rank());
  const TensorRef hit =
      Binary(lo, OpId::Equal, column, Iota(lo, size, DType::I32));
  const bool ints = on->dtype() == DType::I32 && off->dtype() == DType::I32;
  TensorRef hot = Cast(lo, Pick(lo, hit, on, off),
                       ints ? DType::I32 : call.host().dtype());
  std::vector<int> order(hot->rank());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + axis, order.end() - 1, order.end());
  return Permute(lo, hot, order);
}

std::vector<int64_t> Mask(const MilCall& call, std::string_view name,
                          int rank) {
  std::vector<int64_t> mask =
      call.Ints(name, std::vector<int64_t>(static_cast<size_t>(rank), 0));
  mask.resize(static_cast<size_t>(rank), 0);
  return mask;
}

// One axis of a slice as Python counts: `count` elements from `start`.
struct AxisSlice {
  int64_t start = 0, count = 0, step = 1;
  bool squeezed = false;
};

AxisSlice SliceOfAxis(int64_t length, std::optional<int64_t> begin,
                      std::optional<int64_t> end, int64_t step) {
  if (step == 0) Fail(ErrorKind::kInput, "a slice with stride 0");
  const int64_t lowest = step > 0 ? 0 : -1;
  const auto bound = [&](std::optional<int64_t> given, int64_t otherwise) {
    if (!given) return otherwise;
    return std::clamp(*given < 0 ? *given + length : *given, lowest,
                      length + lowest);
  };
  const int64_t first = bound(begin, step > 0 ? 0 : length - 1);
  const int64_t last = bound(end, step > 0 ? length : -1);
  const int64_t distance = step > 0 ? last - first : first - last;
  const int64_t stride = step > 0 ? step : -step;
  return {first, distance > 0 ? (distance - 1) / stride + 1 : 0, step};
}

std::vector<AxisSlice> SlicesOf(const MilCall& call, const TensorRef& x) {
  const int rank = x->rank();
  const size_t axes = static_cast<size_t>(rank);
  const std::vector<int64_t> begin = call.Ints("begin"), end = call.Ints("end");
  const std::vector<int64_t> step =
      call.Ints("stride", std::vector<int64_t>(axes, 1));
  const std::vector<int64_t> from_start = Mask(call, "begin_mask", rank),
                             to_end = Mask(call, "end_mask", rank),
                             one = Mask(call, "squeeze_mask", rank);
  if (begin.size() != axes || end.size() != axes || step.size() != axes) {
    Fail(ErrorKind::kInput, "{} begins, {} ends and {} strides for shape {}",
         begin.size(), end.size(), step.size(), x->shape().ToString());
  }
  std::vector<AxisSlice> slices(axes);
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t length = x->shape().dim(axis);
    if (one[axis]) {
      const int64_t at = begin[axis] < 0 ? begin[axis] + length : begin[axis];
      if (at < 0 || at >= length) {
        Fail(ErrorKind::kInput, "index {} is out of range for axis {} of {}",
             begin[axis], axis, x->shape().ToString());
      }
      slices[axis] = {at, 1, 1, true};
      continue;
    }
    const auto given = [](int64_t masked, int64_t value) {
      return masked ? std::nullopt : std::optional(value);
    };
    slices[axis] = SliceOfAxis(length, given(from_start[axis], begin[axis]),
                               given(to_end[axis], end[axis]), step[axis]);
  }
  return slices;
}

MilResult SliceByIndex(const MilCall& call) {
  TensorRef x = call.Tensor("x");
  const std::vector<AxisSlice> slices = SlicesOf(call, x);
  std::vector<int> squeezed;
  for (int axis = 0; axis < x->rank(); ++axis) {
    const AxisSlice& s = slices[axis];
    x = Slice(call.lo(), x, axis, s.start, s.count, s.step);
    if (s.squeezed) squeezed.push_back(axis);
  }
  return WithoutAxes(call.lo(), x, squeezed);
}

MilResult SliceUpdate(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  TensorRef update = call.Tensor("update");
  std::vector<int64_t> starts, steps;
  Shape region;
  const std::vector<AxisSlice> slices = SlicesOf(call, x);
  for (int axis = 0; axis < x->rank(); ++axis) {
    starts.push_back(slices[axis].start);
    steps.push_back(slices[axis].step);
    region.Append(slices[axis].count);
    if (slices[axis].squeezed) update = Unsqueeze(call.lo(), update, axis);
  }
  return Assign(call.lo(), x, starts, steps, region, update);
}

// -1 is what is left of the axis.
MilResult SliceBySize(const MilCall& call) {
  const std::vector<int64_t> begin = call.Ints("begin"),
                             size = call.Ints("size");
  TensorRef x = call.Tensor("x");
  if (begin.size() != size_t(x->rank()) || size.size() != begin.size()) {
    Fail(ErrorKind::kInput, "{} begins and {} sizes for shape {}", begin.size(),
         size.size(), x->shape().ToString());
  }
  for (int axis = 0; axis < x->rank(); ++axis) {
    const int64_t length = x->shape().dim(axis);
    const int64_t start = begin[axis] < 0 ? begin[axis] + length : begin[axis];
    const int64_t count = size[axis] == -1 ? length - start : size[axis];
    if (start < 0 || count < 0 || count > length - start) {
      Fail(ErrorKind::kInput, "{} from {} of axis {} of shape {}", count, start,
           axis, x->shape().ToString());
    }
    x = Slice(call.lo(), x, axis, start, count);
  }
  return x;
}

constexpr MilOp kOps[] = {
    {"gather", Gather},
    {"gather_along_axis", GatherAlongAxis},
    {"gather_nd", GatherNd},
    {"non_zero", NonZero},
    {"one_hot", OneHot},
    {"scatter", Scatter},
    {"scatter_along_axis", ScatterAlongAxis},
    {"scatter_nd", ScatterNd},
    {"slice_by_index", SliceByIndex},
    {"slice_by_size", SliceBySize},
    {"slice_update", SliceUpdate},
};

}  // namespace

std::span<const MilOp> IndexOps() { return kOps; }

}  // namespace tl::coreml
