// Products and embeddings.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// [.., channels] as [.., channels, 1, 1]
TensorRef WithPixels(Builder& lo, const TensorRef& x) {
  Shape shape = x->shape();
  shape.Append(1);
  shape.Append(1);
  return Reshape(lo, x, shape);
}

// Of an image the channels, [.., channels, 1, 1], else the last axis.
MilResult InnerProduct(const LayerCall& call) {
  const spec::InnerProduct& layer = call.layer().inner_product();
  const TensorRef& x = call.x();
  const TensorRef w = call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  Builder& lo = call.lo();
  const int rank = x->rank();
  if (rank < 4 || rank > 5) return LinearOf(lo, x, w, bias);
  const Shape& s = x->shape();
  Shape rows(s.dims().first(static_cast<size_t>(rank - 3)));
  rows.Append(s[rank - 3] * s[rank - 2] * s[rank - 1]);
  return WithPixels(lo, LinearOf(lo, Reshape(lo, x, rows), w, bias));
}

MilResult BatchedMatmul(const LayerCall& call) {
  const spec::BatchedMatmul& layer = call.layer().batched_matmul();
  if (call.inputs().size() > 1) {
    return call.Mil("matmul", {{"x", call.x(0)},
                               {"y", call.x(1)},
                               call.Flag("transpose_x", layer.transpose_a()),
                               call.Flag("transpose_y", layer.transpose_b())});
  }
  return LinearOf(call.lo(), call.x(), call.Weight(layer.weights()),
                  layer.with_bias() ? call.Weight(layer.bias()) : TensorRef());
}

// float16 has every whole number up to here.
constexpr int64_t kExactInHalf = 2048;

// Rows of the transpose of w [size, vocabulary], plus the bias, for ids [..].
template <class Layer>
TensorRef RowsOf(const LayerCall& call, const Layer& layer,
                 const TensorRef& ids) {
  Builder& lo = call.lo();
  const TensorRef w = call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const int64_t last = w->shape().dim(1) - 1;
  if (ids->dtype() == DType::F16 && last > kExactInHalf) {
    Fail(ErrorKind::kInput,
         "ids up to {} are not exact in float16; load the model with "
         "dtype: float32",
         last);
  }
  const TensorRef rows =
      IndexSelect(lo, SwapAxes(lo, w, 0, 1), 0, Cast(lo, ids, DType::I32));
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  return bias ? Binary(lo, OpId::Add, rows, bias) : rows;
}

// x without its last `count` axes, which are of size 1.
TensorRef Ids(const LayerCall& call, int count) {
  const TensorRef& x = call.x();
  const int rank = x->rank();
  if (rank <= count) {
    Fail(ErrorKind::kInput, "ids of shape {}; expected {} axes or more",
         x->shape().ToString(), count + 1);
  }
  std::vector<int> axes;
  for (int axis = rank - count; axis < rank; ++axis) axes.push_back(axis);
  return WithoutAxes(call.lo(), x, axes);
}

MilResult EmbeddingLayer(const LayerCall& call) {
  return WithPixels(call.lo(),
                    RowsOf(call, call.layer().embedding(), Ids(call, 3)));
}

MilResult EmbeddingNdLayer(const LayerCall& call) {
  return RowsOf(call, call.layer().embedding_nd(), Ids(call, 1));
}

// Over the channels: the cosine of the angle where the layer wants it.
MilResult DotLayer(const LayerCall& call) {
  Builder& lo = call.lo();
  const TensorRef &a = call.x(0), &b = call.x(1);
  if (a->rank() < 3 || !(a->shape() == b->shape())) {
    Fail(ErrorKind::kInput, "a product of vectors of shapes {} and {}",
         a->shape().ToString(), b->shape().ToString());
  }
  const auto sum = [&](OpId op, const TensorRef& x) {
    return ReduceOver(lo, op, x, {x->rank() - 3}, Kept::kYes);
  };
  return InFloat32(lo, a, [&](const TensorRef& x) {
    const TensorRef y = Cast(lo, b, DType::F32);
    const TensorRef product = sum(OpId::Sum, Binary(lo, OpId::Mul, x, y));
    if (!call.layer().dot().cosine_similarity()) return product;
    return Binary(
        lo, OpId::Div, product,
        Binary(lo, OpId::Mul, sum(OpId::Norm, x), sum(OpId::Norm, y)));
  });
}

constexpr LayerOp kLayers[] = {
    {Kind::kBatchedMatmul, BatchedMatmul},
    {Kind::kDot, DotLayer},
    {Kind::kEmbedding, EmbeddingLayer},
    {Kind::kEmbeddingNd, EmbeddingNdLayer},
    {Kind::kInnerProduct, InnerProduct},
};

}  // namespace

std::span<const LayerOp> NetLayers() { return kLayers; }

}  // namespace tl::coreml
