// Operations that select by index, and slices. Indices may be negative: they
// count from the end of their axis.
#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_places.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

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

MilResult GatherNd(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const TensorRef indices = Cast(lo, call.Tensor("indices"), DType::I32);
  const int batch_dims =
      BatchDims(call, std::min(x->rank(), indices->rank()) - 1);
  std::vector<IndexItem> items =
      BatchItems(call, x, indices, batch_dims, indices->rank() - 1);
  for (IndexItem& item : IndexColumns(lo, indices, x->rank() - batch_dims)) {
    items.push_back(std::move(item));
  }
  return Index(lo, x, items);
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

// The first lengths[i] elements of sequence i backwards, the rest as they are.
MilResult ReverseSequence(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const int sequence = call.Axis("seq_axis", x->rank(), 0);
  const int batch = call.Axis("batch_axis", x->rank(), 0);
  const int64_t count = x->shape().dim(batch);
  const int64_t longest = x->shape().dim(sequence);
  const std::vector<int64_t> lengths = call.Ints("lengths");
  if (sequence == batch || static_cast<int64_t>(lengths.size()) != count) {
    Fail(ErrorKind::kInput,
         "{} lengths for shape {} with sequences along axis {} and batches "
         "along axis {}",
         lengths.size(), x->shape().ToString(), sequence, batch);
  }
  std::vector<int64_t> places;
  for (const int64_t length : lengths) {
    if (length < 0 || length > longest) {
      Fail(ErrorKind::kInput, "a sequence of {} in an axis of {}", length,
           longest);
    }
    for (int64_t i = 0; i < longest; ++i) {
      places.push_back(i < length ? length - 1 - i : i);
    }
  }
  TensorRef index = Ints(call.host(), places, Shape{count, longest});
  if (sequence < batch) index = SwapAxes(lo, index, 0, 1);
  Shape spread;
  for (int axis = 0; axis < x->rank(); ++axis) {
    const bool kept = axis == sequence || axis == batch;
    spread.Append(kept ? x->shape()[axis] : Dim(1));
  }
  index = BroadcastTo(lo, Reshape(lo, index, spread), x->shape());
  return CallFunction(lo, "gather",
                      {Argument::Of(x), Argument::Int(sequence),
                       Argument::Of(index)});
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
    {"reverse_sequence", ReverseSequence},
    {"slice_by_index", SliceByIndex},
    {"slice_by_size", SliceBySize},
    {"slice_update", SliceUpdate},
};

}  // namespace

std::span<const MilOp> IndexOps() { return kOps; }

}  // namespace tl::coreml
