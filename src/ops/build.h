// Short names for the operations that lowering functions are made of. Each
// checks what ResultType cannot see (that a reshape keeps the element count)
// and leaves out what would do nothing.
#pragma once

#include <span>
#include <vector>

#include "ops/lowering.h"

namespace tl {

TensorRef Reshape(Lowering& lo, const TensorRef& x, const Shape& shape);
TensorRef Permute(Lowering& lo, const TensorRef& x, std::span<const int> axes);
TensorRef SwapAxes(Lowering& lo, const TensorRef& x, int a, int b);
TensorRef Slice(Lowering& lo, const TensorRef& x, int axis, int64_t start,
                Dim count, int64_t step = 1);
// Fails where x does not broadcast to exactly `shape`.
TensorRef BroadcastTo(Lowering& lo, const TensorRef& x, const Shape& shape);
TensorRef Unsqueeze(Lowering& lo, const TensorRef& x, int axis);
TensorRef Cast(Lowering& lo, const TensorRef& x, DType dtype);
TensorRef Concat(Lowering& lo, std::vector<TensorRef> tensors, int axis);
// start, start + step, ...; I32, F16 or F32.
TensorRef Iota(Lowering& lo, Dim count, DType dtype, double start = 0,
               double step = 1);
// OpId::Rand or OpId::Randn: the same numbers for the same seed.
TensorRef RandomTensor(Lowering& lo, OpId op, uint64_t seed, const Shape& shape,
                       DType dtype);
// A reduction over any set of axes. `dtype`: of the result, where given.
TensorRef Reduce(Lowering& lo, OpId op, const TensorRef& x,
                 std::vector<int> axes, Attributes attributes = {});
// The @ operator: matrices, vectors and batches as NumPy's matmul.
TensorRef MatrixProduct(Lowering& lo, TensorRef a, TensorRef b);
// The same, not yet rounded to the type that the product should have: for
// functions that go on in float32 and round their own result once.
enum class PackedProduct { kUsual, kFloat32 };  // see Matmul in structured.def
TensorRef ExactProduct(Lowering& lo, TensorRef a, TensorRef b,
                       PackedProduct packed = PackedProduct::kUsual);
// Whole slices of x along an axis; index is I32 of any rank.
TensorRef IndexSelect(Lowering& lo, const TensorRef& x, int axis,
                      const TensorRef& index);
// x with the region starting at `starts` replaced by v (broadcast to it).
TensorRef Assign(Lowering& lo, const TensorRef& x,
                 std::span<const int64_t> starts,
                 std::span<const int64_t> steps, const Shape& region,
                 const TensorRef& v);

// Any axis as the last one, and back: for kernels that work on the last axis.
TensorRef OnLastAxis(Lowering& lo, const TensorRef& x, int axis, auto f) {
  if (axis == x->rank() - 1) return f(x);
  return SwapAxes(lo, f(SwapAxes(lo, x, axis, x->rank() - 1)), axis,
                  x->rank() - 1);
}

// Binary and unary elementwise ops, int32 operands taking a float's type.
inline TensorRef Unary(Lowering& lo, OpId op, const TensorRef& x) {
  return lo.Apply(op, {x});
}
inline TensorRef Binary(Lowering& lo, OpId op, const TensorRef& x,
                        const TensorRef& y) {
  return lo.Apply(op, {x, y});
}
// x op number, the number taking x's type.
inline TensorRef WithNumber(Lowering& lo, OpId op, const TensorRef& x,
                            double number) {
  return lo.Apply(op, {x, lo.Number(number, DType::F32)});
}
inline TensorRef WithInt(Lowering& lo, OpId op, const TensorRef& x,
                         int64_t number) {
  return lo.Apply(op, {x, lo.Number(number, DType::I32)});
}

}  // namespace tl
