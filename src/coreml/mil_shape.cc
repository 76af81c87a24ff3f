// Operations that rearrange elements, or make tensors of a shape.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "ops/padding.h"

namespace tl::coreml {
namespace {

// Elements of the upper and lower diagonals; negative counts mean all.
MilResult BandPart(const MilCall& call) {
  Builder& lo = call.lo();
  TensorRef x = call.Tensor("x");
  const int64_t lower = call.Int("lower", -1), upper = call.Int("upper", -1);
  const auto cut = [&](std::string_view name, int64_t diagonal) {
    x = CallFunction(lo, name, {Argument::Of(x), Argument::Int(diagonal)});
  };
  if (lower >= 0) cut("triu", -lower);
  if (upper >= 0) cut("tril", upper);
  return x;
}

// [a0, b0, a1, b1, ..] along the axis.
TensorRef Interleaved(Builder& lo, const std::vector<TensorRef>& values,
                      int axis) {
  std::vector<TensorRef> columns;
  for (const TensorRef& x : values) {
    columns.push_back(Unsqueeze(lo, x, axis + 1));
  }
  Shape shape = values[0]->shape();
  shape[axis] = shape[axis] * Dim(static_cast<int64_t>(values.size()));
  return Reshape(lo, Concat(lo, columns, axis + 1), shape);
}

MilResult ConcatOf(const MilCall& call) {
  std::vector<TensorRef> values = call.Tensors("values");
  for (TensorRef& x : values) {
    if (x->rank() == 0) x = Unsqueeze(call.lo(), x, 0);
  }
  const int axis = call.Axis("axis", values[0]->rank(), 0);
  if (call.Flag("interleave", false)) {
    return Interleaved(call.lo(), values, axis);
  }
  return Concat(call.lo(), values, axis);
}

MilResult Stack(const MilCall& call) {
  std::vector<TensorRef> values = call.Tensors("values");
  const int axis = call.Axis("axis", values[0]->rank() + 1, 0);
  for (TensorRef& x : values) x = Unsqueeze(call.lo(), x, axis);
  return Concat(call.lo(), values, axis);
}

// Axes count in the result.
MilResult ExpandDims(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  std::vector<int64_t> axes = call.Ints("axes");
  const int rank = x->rank() + static_cast<int>(axes.size());
  for (int64_t& axis : axes) axis = AxisOf(axis, rank);
  std::sort(axes.begin(), axes.end());
  Shape shape = x->shape();
  for (int64_t axis : axes) shape.Insert(static_cast<int>(axis), 1);
  return Reshape(call.lo(), x, shape);
}

MilResult Squeeze(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  std::vector<int> axes;
  if (call.Has("axes")) {
    axes = call.Axes("axes", x->rank());
  } else {
    for (int axis = 0; axis < x->rank(); ++axis) {
      if (x->shape().dim(axis) == 1) axes.push_back(axis);
    }
  }
  return WithoutAxes(call.lo(), x, axes);
}

// A float value gives floats of the program's type.
TensorRef FilledWith(const MilCall& call, const Shape& shape) {
  const TensorRef value = call.Has("value")
                              ? call.Tensor("value")
                              : call.lo().Number(0, DType::F32);
  const DType dtype =
      value->dtype() == DType::I32 ? DType::I32 : call.host().dtype();
  return BroadcastTo(call.lo(), Cast(call.lo(), value, dtype), shape);
}

MilResult Fill(const MilCall& call) {
  return FilledWith(call, ShapeOf(call.Ints("shape")));
}

MilResult FillLike(const MilCall& call) {
  return FilledWith(call, call.Tensor("ref_tensor")->shape());
}

MilResult Flatten2d(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const int axis = static_cast<int>(call.Int("axis", 1));
  const int cut = axis == x->rank() ? axis : AxisOf(axis, x->rank());
  Dim rows = 1, columns = 1;
  for (int i = 0; i < x->rank(); ++i) {
    Dim& side = i < cut ? rows : columns;
    side = side * x->shape()[i];
  }
  return Reshape(call.lo(), x, Shape{rows, columns});
}

// b a | a b c | c b: each axis read forth and back, as often as it takes.
TensorRef PadSymmetric(const MilCall& call, TensorRef x,
                       std::span<const int64_t> before,
                       std::span<const int64_t> after) {
  for (int axis = 0; axis < x->rank(); ++axis) {
    const int64_t size = x->shape().dim(axis);
    if (before[axis] == 0 && after[axis] == 0) continue;
    if (before[axis] < 0 || after[axis] < 0 || size == 0) {
      Fail(ErrorKind::kInput, "padding of {} and {} at axis {} of shape {}",
           before[axis], after[axis], axis, x->shape().ToString());
    }
    std::vector<int64_t> index;
    for (int64_t i = -before[axis]; i < size + after[axis]; ++i) {
      const int64_t turn = (i % (2 * size) + 2 * size) % (2 * size);
      index.push_back(turn < size ? turn : 2 * size - 1 - turn);
    }
    x = IndexSelect(call.lo(), x, axis, IntVector(call.host(), index));
  }
  return x;
}

// Amounts before and after each of the last axes.
MilResult PadOf(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const std::vector<int64_t> pad = call.Ints("pad");
  const size_t rank = static_cast<size_t>(x->rank());
  if (pad.size() % 2 != 0 || pad.size() > 2 * rank) {
    Fail(ErrorKind::kInput, "{} paddings for a tensor of shape {}", pad.size(),
         x->shape().ToString());
  }
  std::vector<int64_t> before(rank, 0), after(rank, 0);
  const size_t first = rank - pad.size() / 2;
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    before[first + i] = pad[2 * i];
    after[first + i] = pad[2 * i + 1];
  }
  const std::string_view mode = call.Text("mode", "constant");
  if (mode == "symmetric") return PadSymmetric(call, x, before, after);
  return Pad(call.lo(), x, before, after, PadModeOf(mode),
             call.lo().Number(call.Number("constant_val", 0), DType::F32));
}

MilResult Range1d(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef first = call.Tensor("start");
  const double start = call.Number("start"), end = call.Number("end"),
               step = call.Number("step");
  if (step == 0) Fail(ErrorKind::kInput, "a range with step 0");
  const double count = std::max(0.0, std::ceil((end - start) / step));
  if (count > double(INT32_MAX)) {
    Fail(ErrorKind::kInput, "a range of {} numbers", count);
  }
  const DType dtype =
      first->dtype() == DType::I32 ? DType::I32 : call.host().dtype();
  return Iota(lo, static_cast<int64_t>(count), dtype, start, step);
}

// 0 keeps the size of the axis, -1 is what is left.
Shape ShapeFor(const TensorRef& x, std::vector<int64_t> sizes) {
  Dim known = 1;
  size_t inferred = sizes.size();
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0 && i < size_t(x->rank())) {
      sizes[i] = x->shape().dim(static_cast<int>(i));
    }
    if (sizes[i] == -1 && inferred == sizes.size()) {
      inferred = i;
    } else if (sizes[i] >= 0) {
      known = known * Dim(sizes[i]);
    }
  }
  if (inferred < sizes.size() && known.value() > 0) {
    sizes[inferred] = x->shape().size() / known.value();
  }
  return ShapeOf(sizes);
}

MilResult ReshapeTo(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return Reshape(call.lo(), x, ShapeFor(x, call.Ints("shape")));
}

// Axes begins[i] .. ends[i] of the i-th reference tensor take the place of the
// same axes of x.
MilResult ReshapeLike(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const std::vector<int64_t> begins = call.Ints("begins"),
                             ends = call.Ints("ends"),
                             masks = call.Ints("end_masks");
  const std::vector<TensorRef> like = call.Tensors("ref_tensors");
  Shape shape;
  for (size_t i = 0; i < like.size(); ++i) {
    if (i >= begins.size() || i >= ends.size() || i >= masks.size()) {
      Fail(ErrorKind::kInput, "{} reference tensors and {} ranges of axes",
           like.size(), std::min(begins.size(), ends.size()));
    }
    const int64_t rank = like[i]->rank();
    const int64_t end = masks[i] ? rank : std::min(ends[i], rank);
    for (int64_t axis = std::max<int64_t>(begins[i], 0); axis < end; ++axis) {
      shape.Append(like[i]->shape()[static_cast<int>(axis)]);
    }
  }
  return Reshape(call.lo(), x, shape);
}

MilResult Reverse(const MilCall& call) {
  TensorRef x = call.Tensor("x");
  for (int axis : call.Axes("axes", x->rank())) {
    const int64_t length = x->shape().dim(axis);
    if (length > 1) x = Slice(call.lo(), x, axis, length - 1, length, -1);
  }
  return x;
}

MilResult SizesOf(const MilCall& call) {
  std::vector<int64_t> sizes;
  for (Dim dim : call.Tensor("x")->shape()) sizes.push_back(dim.value());
  return IntVector(call.host(), sizes);
}

MilResult Split(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), 0);
  const int64_t length = x->shape().dim(axis);
  std::vector<int64_t> sizes;
  if (call.Has("split_sizes")) {
    sizes = call.Ints("split_sizes");
  } else {
    const int64_t parts = call.Int("num_splits");
    if (parts < 1 || length % parts != 0) {
      Fail(ErrorKind::kInput, "axis {} of shape {} does not divide into {}",
           axis, x->shape().ToString(), parts);
    }
    sizes.assign(static_cast<size_t>(parts), length / parts);
  }
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  if (total != length || *std::min_element(sizes.begin(), sizes.end()) < 0) {
    Fail(ErrorKind::kInput, "sizes [{}] do not split axis {} of shape {}",
         fmt::join(sizes, ", "), axis, x->shape().ToString());
  }
  std::vector<TensorRef> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(Slice(call.lo(), x, axis, start, size));
    start += size;
  }
  return parts;
}

MilResult Tile(const MilCall& call) {
  std::vector<Argument> repeats;
  for (int64_t count : call.Ints("reps")) {
    repeats.push_back(Argument::Int(count));
  }
  return CallFunction(
      call.lo(), "repeat",
      {Argument::Of(call.Tensor("x")), Argument::List(std::move(repeats))});
}

MilResult Transpose(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const std::vector<int> axes = call.Axes("perm", x->rank());
  if (static_cast<int>(axes.size()) != x->rank()) {
    Fail(ErrorKind::kInput, "perm [{}] does not order the axes of {}",
         fmt::join(axes, ", "), x->shape().ToString());
  }
  return Permute(call.lo(), x, axes);
}

constexpr MilOp kOps[] = {
    {"band_part", BandPart},
    {"concat", ConcatOf},
    {"expand_dims", ExpandDims},
    {"fill", Fill},
    {"fill_like", FillLike},
    {"flatten2d", Flatten2d},
    {"pad", PadOf},
    {"range_1d", Range1d},
    {"reshape", ReshapeTo},
    {"reshape_like", ReshapeLike},
    {"reverse", Reverse},
    {"shape", SizesOf},
    {"split", Split},
    {"squeeze", Squeeze},
    {"stack", Stack},
    {"tile", Tile},
    {"transpose", Transpose},
};

}  // namespace

std::span<const MilOp> ShapeOps() { return kOps; }

}  // namespace tl::coreml
