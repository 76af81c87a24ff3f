// Functions that rearrange elements without computing.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"
#include "ops/padding.h"

namespace tl::functions {
namespace {

Shape WithInferred(const Call& call, const TensorRef& x, Call::SizeList sizes) {
  Shape shape(sizes.dims);
  if (sizes.inferred < 0) return shape;
  Dim given = 1, total = 1;
  for (Dim dim : shape) given = given * dim;
  for (Dim dim : x->shape()) total = total * dim;
  const Dim rest = DivideExact(total, given);
  if (rest.unknown() && total.known() && given.known()) {
    Fail(ErrorKind::kProgram,
         "{}: the {} elements of {} do not divide by {} for the -1",
         call.function(), total.value(), x->shape().ToString(), given.value());
  }
  shape[sizes.inferred] = rest;
  return shape;
}

// The positional tensors of concat, cat and stack, and their axis: the last
// positional number is the axis, as in concat(a, b, 1).
struct Joined {
  std::vector<TensorRef> tensors;
  const Argument* axis = nullptr;
};

Joined JoinedTensors(const Call& call) {
  const Argument& all = call[0];
  if (all.is(Argument::Kind::kUnknown)) throw NotKnown{};
  std::vector<Argument> items = all.list;
  Joined joined{{}, &call[1]};
  if (items.size() > 1 && items.back().is_number()) {
    joined.axis = &all.list.back();
    items.pop_back();
  }
  if (items.size() == 1 && items[0].is(Argument::Kind::kList)) {
    items = std::vector<Argument>(items[0].list);
  }
  for (const Argument& item : items) {
    joined.tensors.push_back(call.TensorOf(item, call.function()));
  }
  if (joined.tensors.empty()) {
    Fail(ErrorKind::kProgram, "{}: there are no tensors to join",
         call.function());
  }
  return joined;
}

int AxisOf(const Call& call, const Argument& argument, int rank) {
  const int64_t axis = call.IntOf(argument, "'dim'");
  const int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) {
    Fail(ErrorKind::kProgram, "{}: 'dim' is {}; a tensor of rank {} has axes "
         "{} to {}", call.function(), axis, rank, -rank, rank - 1);
  }
  return static_cast<int>(positive);
}

FunctionResult Join(const Call& call) {
  Joined joined = JoinedTensors(call);
  for (TensorRef& tensor : joined.tensors) {
    if (tensor->rank() == 0) tensor = Unsqueeze(call.lowering(), tensor, 0);
  }
  return tl::Concat(call.lowering(), joined.tensors,
                    AxisOf(call, *joined.axis, joined.tensors[0]->rank()));
}

FunctionResult Parts(const Call& call, const TensorRef& x, int axis,
                     const std::vector<Dim>& sizes) {
  std::vector<TensorRef> parts;
  int64_t start = 0;
  for (Dim size : sizes) {
    if (!size.known()) throw NotKnown{};
    parts.push_back(Slice(call.lowering(), x, axis, start, size));
    start += size.value();
  }
  return FunctionResult::List(std::move(parts));
}

std::vector<Dim> EqualParts(int64_t length, int64_t size) {
  std::vector<Dim> sizes;
  for (int64_t start = 0; start < length; start += size) {
    sizes.push_back(std::min(size, length - start));
  }
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

int64_t KnownDim(const TensorRef& x, int axis) {
  if (!x->shape()[axis].known()) throw NotKnown{};
  return x->shape().dim(axis);
}

}  // namespace

FunctionResult Reshape(const Call& call) {
  const TensorRef x = call.Tensor(0);
  return tl::Reshape(call.lowering(), x, WithInferred(call, x, call.Sizes(1)));
}

FunctionResult Flatten(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (x->rank() == 0) return tl::Reshape(call.lowering(), x, Shape{1});
  const int first = call.Axis(1, x->rank()), last = call.Axis(2, x->rank());
  Shape shape;
  for (int axis = 0; axis < x->rank(); ++axis) {
    if (axis > first && axis <= last) {
      shape[first] = shape[first] * x->shape()[axis];
    } else {
      shape.Append(x->shape()[axis]);
    }
  }
  return tl::Reshape(call.lowering(), x, shape);
}

FunctionResult Transpose(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (x->rank() < 2) {
    Fail(ErrorKind::kProgram, "transpose: x of shape {} has no two axes",
         x->shape().ToString());
  }
  return SwapAxes(call.lowering(), x, call.Axis(1, x->rank()),
                  call.Axis(2, x->rank()));
}

FunctionResult Permute(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const std::vector<int> axes = call.Axes(1, x->rank());
  if (static_cast<int>(axes.size()) != x->rank()) {
    Fail(ErrorKind::kProgram, "permute: {} axes given for x of shape {}",
         axes.size(), x->shape().ToString());
  }
  return tl::Permute(call.lowering(), x, axes);
}

FunctionResult Unsqueeze(const Call& call) {
  const TensorRef x = call.Tensor(0);
  return tl::Unsqueeze(call.lowering(), x, call.Axis(1, x->rank() + 1));
}

FunctionResult Squeeze(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const bool all = !call.has(1);
  const std::vector<int> axes =
      all ? std::vector<int>() : call.Axes(1, x->rank());
  Shape shape;
  for (int axis = 0; axis < x->rank(); ++axis) {
    const Dim dim = x->shape()[axis];
    const bool chosen =
        all || std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (chosen && !dim.known()) throw NotKnown{};
    if (!chosen || !Same(dim, Dim(1))) shape.Append(dim);
  }
  return tl::Reshape(call.lowering(), x, shape);
}

FunctionResult BroadcastTo(const Call& call) {
  const Call::SizeList sizes = call.Sizes(1);
  call.RequireGiven(sizes, 1);
  return tl::BroadcastTo(call.lowering(), call.Tensor(0), Shape(sizes.dims));
}

FunctionResult Concat(const Call& call) { return Join(call); }
FunctionResult Cat(const Call& call) { return Join(call); }

FunctionResult Stack(const Call& call) {
  Joined joined = JoinedTensors(call);
  const int axis =
      AxisOf(call, *joined.axis, joined.tensors[0]->rank() + 1);
  const Shape first = joined.tensors[0]->shape();
  for (TensorRef& tensor : joined.tensors) {
    const Shape& shape = tensor->shape();
    bool same = shape.rank() == first.rank();
    for (int i = 0; same && i < shape.rank(); ++i) {
      same = !Clash(shape[i], first[i]);
    }
    if (!same) {
      Fail(ErrorKind::kProgram,
           "{}: tensors of shapes {} and {}; expected all of one shape",
           call.function(), first.ToString(), shape.ToString());
    }
    tensor = tl::Unsqueeze(call.lowering(), tensor, axis);
  }
  return tl::Concat(call.lowering(), joined.tensors, axis);
}

FunctionResult Split(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const int axis = call.Axis(2, x->rank());
  if (!call[1].is(Argument::Kind::kList)) {
    const int64_t size = call.Int(1);
    if (size < 1) {
      Fail(ErrorKind::kProgram, "split: 'sizes' is {}; expected 1 or more",
           size);
    }
    return Parts(call, x, axis, EqualParts(KnownDim(x, axis), size));
  }
  const std::vector<Dim> sizes = call.Sizes(1).dims;
  Dim total = 0;
  for (Dim size : sizes) total = total + size;
  if (Clash(total, x->shape()[axis])) {
    Fail(ErrorKind::kProgram, "split: the sizes sum to {}; axis {} of {} has {}",
         total.ToString(), axis, x->shape().ToString(),
         x->shape()[axis].ToString());
  }
  return Parts(call, x, axis, sizes);
}

FunctionResult Chunk(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const int axis = call.Axis(2, x->rank());
  const int64_t chunks = call.Int(1), length = KnownDim(x, axis);
  if (chunks < 1) {
    Fail(ErrorKind::kProgram, "chunk: 'chunks' is {}; expected 1 or more",
         chunks);
  }
  const int64_t size = std::max<int64_t>(1, (length + chunks - 1) / chunks);
  return Parts(call, x, axis, EqualParts(length, size));
}

// [a, b] tiled m by n is [1, a, 1, b] broadcast to [m, a, n, b], reshaped.
FunctionResult Repeat(const Call& call) {
  Lowering& lo = call.lowering();
  TensorRef x = call.Tensor(0);
  const Call::SizeList list = call.Sizes(1);
  call.RequireGiven(list, 1);
  const std::vector<Dim>& sizes = list.dims;
  const int rank = static_cast<int>(sizes.size());
  if (rank < x->rank()) {
    Fail(ErrorKind::kProgram, "repeat: {} sizes given for x of shape {}", rank,
         x->shape().ToString());
  }
  while (x->rank() < rank) x = tl::Unsqueeze(lo, x, 0);
  // One axis at a time, so that the rank grows by one only.
  for (int axis = 0; axis < rank; ++axis) {
    if (Same(sizes[axis], Dim(1))) continue;
    Shape tiled = x->shape(), joined = x->shape();
    tiled.Insert(axis, sizes[axis]);
    joined[axis] = joined[axis] * sizes[axis];
    x = tl::Reshape(lo, tl::BroadcastTo(lo, tl::Unsqueeze(lo, x, axis), tiled),
                    joined);
  }
  return x;
}

FunctionResult Flip(const Call& call) {
  TensorRef x = call.Tensor(0);
  for (int axis : call.Axes(1, x->rank())) {
    const int64_t length = KnownDim(x, axis);
    if (length > 1) {
      x = Slice(call.lowering(), x, axis, length - 1, length, -1);
    }
  }
  return x;
}

// pad(x, p, value, mode), and pad(x, p, mode) as PyTorch has it.
FunctionResult Pad(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (call[1].is(Argument::Kind::kUnknown)) throw NotKnown{};
  if (!call[1].is(Argument::Kind::kList)) call.FailAt(1, "a list of ints");
  const std::vector<Argument>& pad = call[1].list;
  if (pad.size() % 2 != 0 || static_cast<int>(pad.size()) > 2 * x->rank()) {
    Fail(ErrorKind::kProgram,
         "pad: {} numbers given; expected pairs for at most the {} axes of {}",
         pad.size(), x->rank(), x->shape().ToString());
  }
  std::vector<int64_t> before(x->rank(), 0), after(x->rank(), 0);
  for (size_t i = 0; i < pad.size(); i += 2) {
    const int axis = x->rank() - 1 - static_cast<int>(i / 2);
    before[axis] = call.IntOf(pad[i], "pad: 'pad'");
    after[axis] = call.IntOf(pad[i + 1], "pad: 'pad'");
  }
  const bool mode_is_third = call[2].is(Argument::Kind::kString);
  const PadMode mode = PadModeOf(call.Text(mode_is_third ? 2 : 3));
  const TensorRef fill =
      mode == PadMode::kConstant && !mode_is_third ? call.Tensor(2)
      : call.lowering().Number(0, DType::F32);
  return tl::Pad(call.lowering(), x, before, after, mode, fill);
}

FunctionResult Heads(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (x->rank() < 2) {
    Fail(ErrorKind::kProgram, "heads: x of shape {} is not [.., seq, n*d]",
         x->shape().ToString());
  }
  const Dim n = call.Size(1), width = x->shape()[x->rank() - 1];
  const Dim each = DivideExact(width, n);
  if (each.unknown() && width.known() && n.known()) {
    Fail(ErrorKind::kProgram, "heads: the last axis of {} does not divide by {}",
         x->shape().ToString(), n.value());
  }
  Shape shape = x->shape();
  shape[shape.rank() - 1] = n;
  shape.Append(each);
  return tl::Reshape(call.lowering(), x, shape);
}

FunctionResult JoinHeads(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (x->rank() < 3) {
    Fail(ErrorKind::kProgram, "join_heads: x of shape {} is not [.., seq, n, d]",
         x->shape().ToString());
  }
  Shape shape = x->shape();
  const Dim each = shape[shape.rank() - 1];
  shape.Erase(shape.rank() - 1);
  shape[shape.rank() - 1] = shape[shape.rank() - 1] * each;
  return tl::Reshape(call.lowering(), x, shape);
}

}  // namespace tl::functions
