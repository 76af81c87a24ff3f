// The result type of every operation, over known or symbolic dims.
#include <algorithm>

#include "base/error.h"
#include "ops/op.h"
#include "ops/window.h"

namespace tl {
namespace {

using Types = std::span<const TensorType>;

// The float type that an operation without an integer form gives: int32 alone
// becomes the language's default type, as torch's default dtype does.
DType FloatOf(DType dtype) { return dtype == DType::I32 ? DType::F16 : dtype; }

std::string Show(const TensorType& type) {
  return std::string(LanguageName(type.dtype)) + type.shape.ToString();
}

TensorType ElementwiseType(OpId op, Types inputs, const Attributes& attributes) {
  Shape shape = inputs[0].shape;
  for (const TensorType& input : inputs.subspan(1)) {
    shape = BroadcastShapes(shape, input.shape);
  }
  switch (Info(op).domain) {
    case Domain::kCompare:
      return {DType::I32, shape};
    case Domain::kSelect:
      return {Promote(inputs.subspan(1)), shape};
    case Domain::kFloat:
      return {FloatOf(Promote(inputs)), shape};
    case Domain::kNumeric:
    case Domain::kNone:
      break;
  }
  if (!attributes.ints.empty()) return {DType(attributes.ints[0]), shape};
  return {Promote(inputs), shape};
}

Shape ShapeFromInts(std::span<const int64_t> ints) { return Shape::Of(ints); }

TensorType ReduceType(OpId op, const TensorType& x, const Attributes& a) {
  const int first = a.ints[0], last = a.ints[1];
  Shape shape;
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    const bool reduced = axis >= first && axis <= last;
    if (!reduced) shape.Append(x.shape[axis]);
    const bool needs_element = op == OpId::Max || op == OpId::Min ||
                               op == OpId::Argmax || op == OpId::Argmin;
    if (reduced && needs_element && Same(x.shape[axis], Dim(0))) {
      Fail(ErrorKind::kProgram, "{} over no elements: axis {} of {} is empty",
           Info(op).name, axis, x.shape.ToString());
    }
  }
  DType dtype = x.dtype;
  if (op == OpId::Argmax || op == OpId::Argmin) {
    dtype = DType::I32;
  } else if (a.ints.size() > 2) {
    dtype = DType(a.ints[2]);
  } else {
    if (op == OpId::Mean || op == OpId::Norm || op == OpId::Var) {
      dtype = FloatOf(dtype);
    }
    if (shape.rank() == 0 && dtype == DType::F16) dtype = DType::F32;
  }
  return {dtype, shape};
}

TensorType MatmulType(Types inputs, const Attributes& a) {
  const TensorType &x = inputs[0], &w = inputs[1];
  const int rank = x.shape.rank();
  const Dim inner_x = x.shape[rank - 1], inner_w = w.shape[rank - 2];
  if (Clash(inner_x, inner_w)) {
    Fail(ErrorKind::kProgram,
         "cannot multiply {} by {}; inner dimensions {} and {} differ", Show(x),
         Show(w), inner_x.ToString(), inner_w.ToString());
  }
  Shape shape = x.shape;
  shape[rank - 1] = w.shape[rank - 1];
  const DType dtype =
      a.ints.empty() ? FloatOf(Promote(inputs)) : DType(a.ints[0]);
  return {dtype, shape};
}

TensorType ConcatType(Types inputs, int axis) {
  TensorType result = {Promote(inputs), inputs[0].shape};
  for (const TensorType& input : inputs.subspan(1)) {
    bool fits = input.shape.rank() == result.shape.rank();
    for (int i = 0; fits && i < input.shape.rank(); ++i) {
      fits = i == axis || !Clash(input.shape[i], result.shape[i]);
    }
    if (!fits) {
      Fail(ErrorKind::kProgram,
           "cannot join {} and {} along axis {}; the other axes must be equal",
           inputs[0].shape.ToString(), input.shape.ToString(), axis);
    }
    result.shape[axis] = result.shape[axis] + input.shape[axis];
  }
  return result;
}

// A window over x: its places along the spatial axes, `channels` at each.
TensorType WindowedType(OpId op, Types inputs, Dim channels,
                        const Attributes& a) {
  const Shape& x = inputs[0].shape;
  Shape shape{x[0], channels};
  for (int axis = 2; axis < x.rank(); ++axis) {
    shape.Append(
        Places(Info(op).name, WindowAxisOf(a.ints, axis - 2), x, axis));
  }
  return {FloatOf(Promote(inputs)), shape};
}

TensorType InterpolateType(const TensorType& x, const Attributes& a) {
  Shape shape{x.shape[0], x.shape[1]};
  for (int64_t size : std::span(a.ints).subspan(1)) shape.Append(size);
  return {FloatOf(x.dtype), shape};
}

TensorType AttentionType(Types inputs) {
  const Shape &q = inputs[0].shape, &v = inputs[2].shape;
  Shape shape = q;
  shape[q.rank() - 1] = v[v.rank() - 1];
  return {FloatOf(Promote(inputs.subspan(0, 3))), shape};
}

TensorType IndexSelectType(Types inputs, int axis) {
  Shape shape;
  const Shape &x = inputs[0].shape, &index = inputs[1].shape;
  for (int i = 0; i < axis; ++i) shape.Append(x[i]);
  for (Dim dim : index) shape.Append(dim);
  for (int i = axis + 1; i < x.rank(); ++i) shape.Append(x[i]);
  const DType dtype = inputs[0].dtype;
  return {shape.rank() == 0 && dtype == DType::F16 ? DType::F32 : dtype, shape};
}

TensorType PermuteType(const TensorType& x, std::span<const int64_t> axes) {
  Shape shape;
  for (int64_t axis : axes) shape.Append(x.shape[axis]);
  return {x.dtype, shape};
}

}  // namespace

DType Promote(std::span<const TensorType> types) {
  bool f16 = false, f32 = false, i32 = false, scalar_float = false;
  bool any_axes = false;
  for (const TensorType& type : types) any_axes |= type.shape.rank() > 0;
  for (const TensorType& type : types) {
    if (any_axes && type.shape.rank() == 0) {
      scalar_float |= type.dtype != DType::I32;
      continue;
    }
    f16 |= type.dtype == DType::F16;
    f32 |= type.dtype == DType::F32;
    i32 |= type.dtype == DType::I32;
  }
  if (f32) return DType::F32;
  if (f16) return DType::F16;
  return scalar_float ? DType::F16 : DType::I32;
}

Shape BroadcastShapes(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int offset = longer.rank() - shorter.rank();
  Shape result = longer;
  for (int axis = 0; axis < shorter.rank(); ++axis) {
    const Dim x = longer[axis + offset], y = shorter[axis];
    if (Same(x, y) || Same(y, Dim(1))) continue;
    Dim& dim = result[axis + offset];
    if (Same(x, Dim(1))) {
      dim = y;
    } else if (x.known() && y.known()) {
      Fail(ErrorKind::kProgram,
           "shapes {} and {} do not broadcast; dimensions {} and {} differ",
           a.ToString(), b.ToString(), a.rank() >= b.rank() ? x.value() : y.value(),
           a.rank() >= b.rank() ? y.value() : x.value());
    } else if (!x.known() && !y.known()) {
      dim = Dim::Unknown();
    } else {
      dim = x.known() ? x : y;  // the other is 1 or the same number
    }
  }
  return result;
}

TensorType ResultType(OpId op, Types inputs, const Attributes& a) {
  switch (op) {
#define TL_UNARY(id, ...) case OpId::id:
#define TL_BINARY(id, ...) case OpId::id:
#define TL_TERNARY(id, ...) case OpId::id:
#include "ops/elementwise.def"
    return ElementwiseType(op, inputs, a);
    case OpId::Reshape:
    case OpId::Broadcast:
      return {inputs[0].dtype, ShapeFromInts(a.ints)};
    case OpId::Permute:
      return PermuteType(inputs[0], a.ints);
    case OpId::Slice: {
      TensorType type = inputs[0];
      type.shape[a.ints[0]] = a.ints[1];
      return type;
    }
    case OpId::Decode:
      return {DType(a.ints[0]), inputs[0].shape};
    case OpId::Arange:
      return {DType(a.ints[1]), Shape{a.ints[0]}};
    case OpId::Rand:
    case OpId::Randn:
      return {DType(a.ints[0]), ShapeFromInts(std::span(a.ints).subspan(1))};
    case OpId::Concat:
      return ConcatType(inputs, a.ints[0]);
    case OpId::Sum:
    case OpId::Mean:
    case OpId::Prod:
    case OpId::Max:
    case OpId::Min:
    case OpId::SumSquares:
    case OpId::Norm:
    case OpId::Var:
    case OpId::Argmax:
    case OpId::Argmin:
      return ReduceType(op, inputs[0], a);
    case OpId::TopK: {
      TensorType type = inputs[0];
      type.shape[type.shape.rank() - 1] = a.ints[0];
      if (a.ints[2] == 1) type.dtype = DType::I32;
      return type;
    }
    case OpId::NextToken:
      return {DType::I32, Shape{1}};
    case OpId::Softmax:
    case OpId::LogSoftmax:
    case OpId::LayerNorm:
    case OpId::RmsNorm:
      return {FloatOf(Promote(inputs)), inputs[0].shape};
    case OpId::Rope:
      return {FloatOf(inputs[0].dtype), inputs[0].shape};
    case OpId::Assign:
    case OpId::Cumsum:
    case OpId::Scatter:
      return inputs[0];
    case OpId::Matmul:
      return MatmulType(inputs, a);
    case OpId::Attention:
      return AttentionType(inputs);
    case OpId::Convolution:
      return WindowedType(op, inputs, inputs[1].shape[0], a);
    case OpId::MaxPool:
    case OpId::AveragePool:
      return WindowedType(op, inputs, inputs[0].shape[1], a);
    case OpId::Interpolate:
      return InterpolateType(inputs[0], a);
    case OpId::IndexSelect:
      return IndexSelectType(inputs, a.ints[0]);
    case OpId::Gather:
      return {inputs[0].dtype, inputs[1].shape};
    case OpId::kLeaf:
    case OpId::kNumber:
      break;
  }
  Fail(ErrorKind::kInternal, "internal error: {} has no result rule",
       Info(op).name);
}

}  // namespace tl
