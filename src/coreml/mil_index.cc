// Operations that select and write by index. Indices may be negative: they
// count from the end of their axis, as the kernels know.
#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

// For indices that are computed with.
TensorRef FromFront(Lowering& lo, const TensorRef& index, int64_t length) {
  const TensorRef ints = Cast(lo, index, DType::I32);
  return Pick(lo, WithInt(lo, OpId::Less, ints, 0),
              WithInt(lo, OpId::Add, ints, length), ints);
}

Shape Joined(std::initializer_list<std::span<const Dim>> parts) {
  Shape shape;
  for (std::span<const Dim> part : parts) {
    for (Dim dim : part) shape.Append(dim);
  }
  return shape;
}

int64_t Product(std::span<const Dim> dims) {
  int64_t product = 1;
  for (Dim dim : dims) product *= dim.value();
  return product;
}

// index[b, ..] + b * length: positions in the batches laid end to end.
TensorRef InBatches(const MilCall& call, const TensorRef& index,
                    int batch_dims, int64_t length) {
  const std::span<const Dim> dims = index->shape().dims();
  const int64_t batches = Product(dims.first(batch_dims));
  std::vector<int64_t> offsets(static_cast<size_t>(batches));
  for (int64_t b = 0; b < batches; ++b) offsets[b] = b * length;
  Shape shape = Shape(dims.first(batch_dims));
  for (int i = batch_dims; i < index->rank(); ++i) shape.Append(1);
  return Binary(call.lo(), OpId::Add, index,
                Ints(call.host(), offsets, shape));
}

MilResult Gather(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"), indices = call.Tensor("indices");
  const int axis = call.Axis("axis", x->rank(), 0);
  const int batch_dims = static_cast<int>(call.Int("batch_dims", 0));
  if (batch_dims == 0) return IndexSelect(lo, x, axis, indices);
  if (batch_dims < 0 || batch_dims > axis || batch_dims > indices->rank()) {
    Fail(ErrorKind::kInput, "{} batch axes with axis {} and indices of shape {}",
         batch_dims, axis, indices->shape().ToString());
  }
  // [batch.., between.., length, rest..]: the axis moved behind the batches,
  // these laid end to end, and the result's axes put back in order.
  std::vector<int> order(x->rank());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + batch_dims, order.begin() + axis,
              order.begin() + axis + 1);
  const TensorRef moved = Permute(lo, x, order);
  const std::span<const Dim> dims = moved->shape().dims();
  const int64_t length = x->shape().dim(axis);
  const Dim rows = Product(dims.first(batch_dims)) * length;
  const TensorRef flat = Reshape(
      lo, moved, Joined({std::span(&rows, 1), dims.subspan(batch_dims + 1)}));
  const TensorRef index =
      InBatches(call, FromFront(lo, indices, length), batch_dims, length);
  const TensorRef taken = IndexSelect(lo, flat, 0, index);
  // taken: [batch.., picked.., between.., rest..]
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

// indices[.., K] name places in the first K axes of a tensor of this shape (or
// those behind the batches): as positions in these axes laid end to end.
TensorRef Positions(const MilCall& call, const TensorRef& indices,
                    std::span<const Dim> dims) {
  Builder& lo = call.lo();
  const int last = indices->rank() - 1;
  const int64_t k = indices->rank() > 0 ? indices->shape().dim(last) : 0;
  if (k < 1 || k > static_cast<int64_t>(dims.size())) {
    Fail(ErrorKind::kInput, "indices of shape {} into {} axes",
         indices->shape().ToString(), dims.size());
  }
  TensorRef position;
  for (int64_t i = 0; i < k; ++i) {
    const TensorRef column =
        WithoutAxes(lo, Slice(lo, indices, last, i, 1), {last});
    const TensorRef index = FromFront(lo, column, dims[i].value());
    position = position ? Binary(lo, OpId::Add,
                                 WithInt(lo, OpId::Mul, position,
                                         dims[i].value()),
                                 index)
                        : index;
  }
  return position;
}

MilResult GatherNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"), indices = call.Tensor("indices");
  const int batch_dims = static_cast<int>(call.Int("batch_dims", 0));
  const std::span<const Dim> dims = x->shape().dims();
  if (batch_dims < 0 || batch_dims >= x->rank() ||
      batch_dims >= indices->rank()) {
    Fail(ErrorKind::kInput, "{} batch axes of shapes {} and {}", batch_dims,
         x->shape().ToString(), indices->shape().ToString());
  }
  TensorRef position = Positions(call, indices, dims.subspan(batch_dims));
  const size_t k =
      static_cast<size_t>(indices->shape().dim(indices->rank() - 1));
  const std::span<const Dim> taken = dims.subspan(batch_dims, k);
  if (batch_dims > 0) {
    position = InBatches(call, position, batch_dims, Product(taken));
  }
  const Dim rows = Product(dims.first(batch_dims + k));
  const TensorRef flat = Reshape(
      lo, x, Joined({std::span(&rows, 1), dims.subspan(batch_dims + k)}));
  return IndexSelect(lo, flat, 0, position);
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

MilResult ScatterNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("data"), indices = call.Tensor("indices");
  const std::span<const Dim> dims = x->shape().dims();
  const TensorRef position = Positions(call, indices, dims);
  const size_t k =
      static_cast<size_t>(indices->shape().dim(indices->rank() - 1));
  const Dim rows = Product(dims.first(k));
  const Dim columns = Product(dims.subspan(k));
  const Dim count = position->shape().size();
  const TensorRef updates =
      Reshape(lo, call.Tensor("updates"), Shape{count, columns});
  const TensorRef written =
      ScatterSlices(call, Reshape(lo, x, Shape{rows, columns}), 0,
                    Reshape(lo, position, Shape{count}), updates);
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
