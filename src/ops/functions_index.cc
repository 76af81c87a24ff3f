// Functions that select and write by index.
#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

TensorRef Indices(const Call& call, size_t i) {
  const TensorRef index = call.Tensor(i);
  return Cast(call.lowering(), index, DType::I32);
}

// The index of torch.gather and torch.scatter: x's rank, and no longer than x
// along the other axes.
void RequireIndex(const Call& call, const TensorRef& x, const TensorRef& index,
                  int axis) {
  bool fits = index->rank() == x->rank();
  for (int i = 0; fits && i < x->rank(); ++i) {
    const Dim a = index->shape()[i], b = x->shape()[i];
    fits = i == axis || !a.known() || !b.known() || a.value() <= b.value();
  }
  if (!fits) {
    Fail(ErrorKind::kProgram,
         "{}: an index of shape {} does not fit x of shape {} along axis {}",
         call.function(), index->shape().ToString(), x->shape().ToString(),
         axis);
  }
}

// A rank-1 index over whole slices, as an index of x's rank.
TensorRef OverSlices(Lowering& lo, const TensorRef& x, const TensorRef& index,
                     int axis) {
  Shape column, full = x->shape();
  for (int i = 0; i < x->rank(); ++i) column.Append(i == axis ? index->shape()[0] : Dim(1));
  full[axis] = index->shape()[0];
  return BroadcastTo(lo, Reshape(lo, index, column), full);
}

}  // namespace

FunctionResult Gather(const Call& call) {
  const TensorRef x = call.Tensor(0), index = Indices(call, 2);
  const int axis = call.Axis(1, x->rank());
  if (index->rank() == 1 && x->rank() > 1) {
    return tl::IndexSelect(call.lowering(), x, axis, index);
  }
  RequireIndex(call, x, index, axis);
  return call.lowering().Apply(OpId::Gather, {x, index}, {{axis}, {}});
}

FunctionResult Scatter(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  TensorRef index = Indices(call, 2);
  const int axis = call.Axis(1, x->rank());
  if (index->rank() == 1 && x->rank() > 1) index = OverSlices(lo, x, index, axis);
  RequireIndex(call, x, index, axis);
  const TensorRef source =
      BroadcastTo(lo, Cast(lo, call.Tensor(3), x->dtype()), index->shape());
  return lo.Apply(OpId::Scatter, {x, index, source}, {{axis}, {}});
}

FunctionResult IndexSelect(const Call& call) {
  const TensorRef x = call.Tensor(0);
  return tl::IndexSelect(call.lowering(), x, call.Axis(1, x->rank()),
                         Indices(call, 2));
}

FunctionResult Take(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  Dim total = 1;
  for (Dim dim : x->shape()) total = total * dim;
  return tl::IndexSelect(lo, Reshape(lo, x, Shape{total}), 0, Indices(call, 1));
}

FunctionResult MaskedFill(const Call& call) {
  return call.lowering().Apply(
      OpId::Where, {call.Tensor(1), call.Tensor(2), call.Tensor(0)});
}

}  // namespace tl::functions
