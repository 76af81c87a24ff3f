// Reductions, scans and sorts.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

using Kind = Argument::Kind;

std::vector<int> AllAxes(const TensorRef& x) {
  std::vector<int> axes(x->rank());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// The reduced axes back as axes of size 1.
TensorRef KeepAxes(Lowering& lo, const TensorRef& x, const TensorRef& reduced,
                   const std::vector<int>& axes) {
  Shape shape = x->shape();
  for (int axis : axes) shape[axis] = 1;
  const TensorRef kept = Reshape(lo, reduced, shape);
  // A rank-0 result is float32; with its axes back it takes x's type again.
  const bool widened = reduced->rank() == 0 && x->rank() > 0 &&
                       x->dtype() == DType::F16 &&
                       reduced->dtype() == DType::F32;
  return widened ? Cast(lo, kept, DType::F16) : kept;
}

// f(x, axes) with the arguments (x, dim, keepdim) of every reduction.
template <class F>
FunctionResult Reduction(const Call& call, F f) {
  const TensorRef x = call.Tensor(0);
  const std::vector<int> axes =
      call.has(1) ? call.Axes(1, x->rank()) : AllAxes(x);
  const TensorRef result = f(x, axes);
  const bool keep = call.size() > 2 && call.has(2) && call.Flag(2);
  return keep ? KeepAxes(call.lowering(), x, result, axes) : result;
}

FunctionResult Plain(const Call& call, OpId op) {
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    return Reduce(call.lowering(), op, x, axes);
  });
}

// Whether a list could be the axes of a tensor of this rank.
bool NamesAxes(const Argument& list, int rank) {
  return std::all_of(list.list.begin(), list.list.end(),
                     [rank](const Argument& item) {
                       return item.is(Kind::kUnknown) ||
                              (item.is(Kind::kInt) && item.integer >= -rank &&
                               item.integer < rank);
                     });
}

bool IsScalar(const Argument& argument) {
  return argument.is_number() || argument.is(Kind::kBool);
}

// max and min are also elementwise: max(a, b) where both are numbers or b has
// axes of its own; else the second argument is an axis.
FunctionResult Extreme(const Call& call, OpId reduce, OpId binary) {
  if (call.has(1)) {
    const Argument &a = call[0], &b = call[1];
    const bool numbers = IsScalar(a) && IsScalar(b);
    const bool axes = b.is(Kind::kTensor) && b.tensor->rank() > 0;
    const bool list = b.is(Kind::kList) && !NamesAxes(b, call.Tensor(0)->rank());
    if (numbers || axes || list || b.is(Kind::kFloat)) {
      if (call.has(2) && call.Flag(2)) {
        Fail(ErrorKind::kProgram,
             "{0}: a third value where two are compared; {0}([a, b, c]) takes "
             "any number of them",
             call.function());
      }
      return Binary(call.lowering(), binary, call.Tensor(0), call.Tensor(1));
    }
  }
  return Plain(call, reduce);
}

// The kernel knows one axis; all axes are one axis of the flattened tensor.
FunctionResult ArgExtreme(const Call& call, OpId op) {
  Lowering& lo = call.lowering();
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    if (axes.size() == 1) return Reduce(lo, op, x, axes);
    Dim total = 1;
    for (Dim dim : x->shape()) total = total * dim;
    if (axes.size() != size_t(x->rank())) {
      Fail(ErrorKind::kProgram, "{}: 'dim' names {} axes; expected one",
           call.function(), axes.size());
    }
    return Reduce(lo, op, Reshape(lo, x, Shape{total}), {0});
  });
}

// Computed in float32 up to `finish`, then rounded once to x's type.
TensorRef VarianceOf(const Call& call, const TensorRef& x,
                     const std::vector<int>& axes, bool root) {
  Lowering& lo = call.lowering();
  TensorRef v = Reduce(lo, OpId::Var, x, axes,
                       {{int64_t(DType::F32)}, {call.Number(3)}});
  if (root) v = Unary(lo, OpId::Sqrt, v);
  const bool rank0 = v->rank() == 0;
  return rank0 || x->dtype() == DType::F32 ? v : Cast(lo, v, DType::F16);
}

FunctionResult Sorted(const Call& call, int axis, Dim k, bool descending) {
  Lowering& lo = call.lowering();
  std::vector<TensorRef> results;
  for (int64_t which : {0, 1}) {
    results.push_back(OnLastAxis(
        lo, call.Tensor(0), axis, [&](const TensorRef& x) {
          return lo.Apply(OpId::TopK, {x},
                          {{k.code(), descending, which}, {}});
        }));
  }
  return FunctionResult::List(std::move(results));
}

}  // namespace

FunctionResult Sum(const Call& call) { return Plain(call, OpId::Sum); }
FunctionResult Mean(const Call& call) { return Plain(call, OpId::Mean); }
FunctionResult Prod(const Call& call) { return Plain(call, OpId::Prod); }
FunctionResult Norm(const Call& call) { return Plain(call, OpId::Norm); }

FunctionResult Max(const Call& call) {
  return Extreme(call, OpId::Max, OpId::Maximum);
}

FunctionResult Min(const Call& call) {
  return Extreme(call, OpId::Min, OpId::Minimum);
}

FunctionResult Argmax(const Call& call) {
  return ArgExtreme(call, OpId::Argmax);
}

FunctionResult Argmin(const Call& call) {
  return ArgExtreme(call, OpId::Argmin);
}

FunctionResult Var(const Call& call) {
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    return VarianceOf(call, x, axes, false);
  });
}

FunctionResult Std(const Call& call) {
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    return VarianceOf(call, x, axes, true);
  });
}

FunctionResult Any(const Call& call) {
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    Lowering& lo = call.lowering();
    // A sum of 0 and 1, so that no elements give 0.
    const TensorRef set = WithInt(lo, OpId::NotEqual, x, 0);
    return WithInt(lo, OpId::NotEqual, Reduce(lo, OpId::Sum, set, axes), 0);
  });
}

FunctionResult All(const Call& call) {
  return Reduction(call, [&](const TensorRef& x, const std::vector<int>& axes) {
    Lowering& lo = call.lowering();
    const TensorRef unset = WithInt(lo, OpId::Equal, x, 0);
    return WithInt(lo, OpId::Equal, Reduce(lo, OpId::Sum, unset, axes), 0);
  });
}

FunctionResult Cumsum(const Call& call) {
  const TensorRef x = call.Tensor(0);
  return call.lowering().Apply(OpId::Cumsum, {x},
                               {{call.Axis(1, x->rank())}, {}});
}

FunctionResult TopK(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const int axis = call.Axis(2, x->rank());
  const Dim k = call.Size(1), length = x->shape()[axis];
  if (k.known() && length.known() && k.value() > length.value()) {
    Fail(ErrorKind::kProgram, "topk: 'k' is {}; axis {} of {} has {} elements",
         k.value(), axis, x->shape().ToString(), length.value());
  }
  return Sorted(call, axis, k, true);
}

FunctionResult Sort(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const int axis = call.Axis(1, x->rank());
  return Sorted(call, axis, x->shape()[axis], call.Flag(2));
}

}  // namespace tl::functions
