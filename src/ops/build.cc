#include "ops/build.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace tl {
namespace {

Attributes Dims(const Shape& shape) {
  Attributes attributes;
  for (Dim dim : shape) attributes.ints.push_back(dim.code());
  return attributes;
}

Dim Product(const Shape& shape) {
  Dim product = 1;
  for (Dim dim : shape) product = product * dim;
  return product;
}

std::string Elements(const Shape& shape) {
  const Dim product = Product(shape);
  return product.unknown() ? shape.ToString()
                           : fmt::format("{} ({} elements)", shape.ToString(),
                                         product.ToString());
}

}  // namespace

TensorRef Reshape(Lowering& lo, const TensorRef& x, const Shape& shape) {
  if (x->shape() == shape) return x;
  if (Clash(Product(x->shape()), Product(shape))) {
    Fail(ErrorKind::kProgram, "cannot reshape {} to {}", Elements(x->shape()),
         Elements(shape));
  }
  return lo.Apply(OpId::Reshape, {x}, Dims(shape));
}

TensorRef Permute(Lowering& lo, const TensorRef& x, std::span<const int> axes) {
  if (std::is_sorted(axes.begin(), axes.end())) return x;
  return lo.Apply(OpId::Permute, {x}, {{axes.begin(), axes.end()}, {}});
}

TensorRef SwapAxes(Lowering& lo, const TensorRef& x, int a, int b) {
  std::array<int, kMaxRank> axes;
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[a], axes[b]);
  return Permute(lo, x, std::span(axes).first(x->rank()));
}

TensorRef Slice(Lowering& lo, const TensorRef& x, int axis, int64_t start,
                Dim count, int64_t step) {
  if (step == 1 && Same(count, x->shape()[axis])) return x;
  return lo.Apply(OpId::Slice, {x},
                  {{axis, count.code(), step}, {double(start)}});
}

TensorRef BroadcastTo(Lowering& lo, const TensorRef& x, const Shape& shape) {
  if (x->shape() == shape) return x;
  bool fits = x->rank() <= shape.rank();
  for (int i = 1; fits && i <= x->rank(); ++i) {
    const Dim from = x->shape()[x->rank() - i], to = shape[shape.rank() - i];
    fits = Same(from, Dim(1)) || !Clash(from, to);
  }
  if (!fits) {
    Fail(ErrorKind::kProgram, "{} does not broadcast to {}",
         x->shape().ToString(), shape.ToString());
  }
  return lo.Apply(OpId::Broadcast, {x}, Dims(shape));
}

TensorRef Unsqueeze(Lowering& lo, const TensorRef& x, int axis) {
  Shape shape = x->shape();
  shape.Insert(axis, 1);
  return lo.Apply(OpId::Reshape, {x}, Dims(shape));
}

TensorRef Cast(Lowering& lo, const TensorRef& x, DType dtype) {
  if (x->dtype() == dtype) return x;
  return lo.Apply(OpId::Identity, {x}, {{int64_t(dtype)}, {}});
}

TensorRef Concat(Lowering& lo, std::vector<TensorRef> tensors, int axis) {
  if (tensors.size() == 1) return tensors[0];
  std::vector<TensorType> types;
  for (const TensorRef& tensor : tensors) types.push_back(tensor->type());
  const DType dtype = ResultType(OpId::Concat, types, {{axis}, {}}).dtype;
  for (TensorRef& tensor : tensors) tensor = Cast(lo, tensor, dtype);
  return lo.Apply(OpId::Concat, tensors, {{axis}, {}});
}

TensorRef Iota(Lowering& lo, Dim count, DType dtype, double start,
               double step) {
  return lo.Apply(OpId::Arange, {},
                  {{count.code(), int64_t(dtype)}, {start, step}});
}

TensorRef RandomTensor(Lowering& lo, OpId op, uint64_t seed, const Shape& shape,
                       DType dtype) {
  Attributes attributes{{int64_t(dtype)},
                        {double(uint32_t(seed)), double(seed >> 32)}};
  for (Dim dim : shape) attributes.ints.push_back(dim.code());
  return lo.Apply(op, {}, std::move(attributes));
}

TensorRef Reduce(Lowering& lo, OpId op, const TensorRef& x,
                 std::vector<int> axes, Attributes attributes) {
  if (axes.empty()) return x;
  std::sort(axes.begin(), axes.end());
  TensorRef source = x;
  const int count = static_cast<int>(axes.size());
  int first = axes[0];
  if (axes.back() - first != count - 1) {
    // Not neighbours: move the reduced axes to the end.
    std::vector<int> order;
    for (int axis = 0; axis < x->rank(); ++axis) {
      if (!std::binary_search(axes.begin(), axes.end(), axis)) {
        order.push_back(axis);
      }
    }
    first = static_cast<int>(order.size());
    order.insert(order.end(), axes.begin(), axes.end());
    source = Permute(lo, x, order);
  }
  attributes.ints.insert(attributes.ints.begin(), {first, first + count - 1});
  return lo.Apply(op, {source}, std::move(attributes));
}

namespace {

TensorRef Product(Lowering& lo, TensorRef a, TensorRef b,
                  Attributes attributes) {
  if (a->rank() == 0 || b->rank() == 0) {
    Fail(ErrorKind::kProgram,
         "@ needs tensors with axes; got shapes {} and {} (* multiplies by a "
         "number)",
         a->shape().ToString(), b->shape().ToString());
  }
  const bool vector_a = a->rank() == 1, vector_b = b->rank() == 1;
  if (vector_a) a = Unsqueeze(lo, a, 0);
  if (vector_b) b = Unsqueeze(lo, b, 1);
  // An int32 operand takes the type of the product.
  const TensorType types[] = {a->type(), b->type()};
  DType dtype = Promote(types);
  if (dtype == DType::I32) dtype = DType::F16;
  if (a->dtype() == DType::I32) a = Cast(lo, a, dtype);
  if (b->dtype() == DType::I32) b = Cast(lo, b, dtype);
  // Views: the product's kernel sees the matrix that batches share as one.
  Shape batch_a, batch_b;
  for (int i = 0; i < a->rank() - 2; ++i) batch_a.Append(a->shape()[i]);
  for (int i = 0; i < b->rank() - 2; ++i) batch_b.Append(b->shape()[i]);
  Shape full_a = BroadcastShapes(batch_a, batch_b), full_b = full_a;
  for (int i = 2; i > 0; --i) full_a.Append(a->shape()[a->rank() - i]);
  for (int i = 2; i > 0; --i) full_b.Append(b->shape()[b->rank() - i]);
  a = BroadcastTo(lo, a, full_a);
  b = BroadcastTo(lo, b, full_b);
  TensorRef product = lo.Apply(OpId::Matmul, {a, b}, std::move(attributes));
  Shape shape = product->shape();
  if (vector_b) shape.Erase(shape.rank() - 1);
  if (vector_a) shape.Erase(shape.rank() - (vector_b ? 1 : 2));
  TensorRef result = Reshape(lo, product, shape);
  return shape.rank() == 0 ? Cast(lo, result, DType::F32) : result;
}

}  // namespace

TensorRef MatrixProduct(Lowering& lo, TensorRef a, TensorRef b) {
  return Product(lo, std::move(a), std::move(b), {});
}

TensorRef ExactProduct(Lowering& lo, TensorRef a, TensorRef b,
                       PackedProduct packed) {
  Attributes attributes = {{int64_t(DType::F32)}, {}};
  if (packed == PackedProduct::kFloat32) attributes.ints.push_back(1);
  return Product(lo, std::move(a), std::move(b), std::move(attributes));
}

TensorRef IndexSelect(Lowering& lo, const TensorRef& x, int axis,
                      const TensorRef& index) {
  return lo.Apply(OpId::IndexSelect, {x, Cast(lo, index, DType::I32)},
                  {{axis}, {}});
}

TensorRef Assign(Lowering& lo, const TensorRef& x,
                 std::span<const int64_t> starts,
                 std::span<const int64_t> steps, const Shape& region,
                 const TensorRef& v) {
  Attributes attributes;
  for (int axis = 0; axis < x->rank(); ++axis) {
    attributes.ints.push_back(region[axis].code());
    attributes.ints.push_back(steps[axis]);
    attributes.numbers.push_back(double(starts[axis]));
  }
  const TensorRef source = BroadcastTo(lo, Cast(lo, v, x->dtype()), region);
  return lo.Apply(OpId::Assign, {x, source}, std::move(attributes));
}

}  // namespace tl
