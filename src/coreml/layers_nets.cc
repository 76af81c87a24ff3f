// Convolution, pooling, products, norms.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"
#include "coreml/resize.h"
#include "coreml/windows.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// f on [images, channels, height, width], whatever axes stand in front.
TensorRef OnImages(const LayerCall& call, auto f) {
  Builder& lo = call.lo();
  const TensorRef& x = call.x();
  const int rank = x->rank();
  if (rank < 3) {
    Fail(ErrorKind::kInput, "shape {} is not [.., channels, height, width]",
         x->shape().ToString());
  }
  const Shape& s = x->shape();
  Dim images = 1;
  for (int axis = 0; axis < rank - 3; ++axis) images = images * s[axis];
  const TensorRef y = f(Reshape(
      lo, x, Shape{images, s[rank - 3], s[rank - 2], s[rank - 1]}));
  Shape shape = s;
  for (int i = 1; i <= 3; ++i) shape[rank - i] = y->shape()[4 - i];
  return Reshape(lo, y, shape);
}

template <class List>
std::vector<int64_t> Pair(const List& list, int64_t otherwise) {
  if (list.empty()) return {otherwise, otherwise};
  if (list.size() != 2) {
    Fail(ErrorKind::kInput, "{} sizes for height and width", list.size());
  }
  return {static_cast<int64_t>(list[0]), static_cast<int64_t>(list[1])};
}

void PadBy(Window& window, const spec::BorderAmounts& amounts) {
  for (int i = 0; i < amounts.border_amounts_size() && i < 2; ++i) {
    window.pad_before[i] =
        static_cast<int64_t>(amounts.border_amounts(i).start_edge_size());
    window.pad_after[i] =
        static_cast<int64_t>(amounts.border_amounts(i).end_edge_size());
  }
}

PadType TypeOf(const spec::SamePadding& same) {
  return same.asymmetry_mode() == spec::SamePadding::TOP_LEFT_HEAVY
             ? PadType::kSameLower
             : PadType::kSame;
}

MilResult Convolve(const LayerCall& call) {
  const spec::Convolution& layer = call.layer().convolution();
  const TensorRef w = call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  const int64_t groups = std::max<int64_t>(1, int64_t(layer.n_groups()));
  Window window = PlainWindow(Pair(layer.kernel_size(), 3));
  window.stride = Pair(layer.stride(), 1);
  window.dilation = Pair(layer.dilation_factor(), 1);
  PadBy(window, layer.valid().padding_amounts());
  const bool same = layer.has_same();
  return OnImages(call, [&](const TensorRef& x) {
    if (!layer.is_deconvolution()) {
      if (same) PadLike(window, TypeOf(layer.same()), x->shape());
      return Convolution(call.lo(), x, w, bias, window, groups);
    }
    if (same) CropLike(window, TypeOf(layer.same()));
    std::vector<int64_t> more;
    if (layer.output_shape_size() > 0) {
      more = OutputPadding(window, x->shape(), Pair(layer.output_shape(), 0));
    }
    return ConvolutionTransposed(call.lo(), x, w, bias, window, groups, more);
  });
}

TensorRef Pool(const LayerCall& call, const TensorRef& x,
               const spec::Pooling& layer, const Window& window) {
  switch (layer.type()) {
    case spec::Pooling::MAX:
      return MaxPool(call.lo(), x, window);
    case spec::Pooling::AVERAGE:
      return AveragePool(call.lo(), x, window,
                         layer.avg_pool_exclude_padding() ? Counted::kInside
                                                          : Counted::kAll);
    default:
      return L2PoolOf(call.lo(), x, window);
  }
}

MilResult PoolLayer(const LayerCall& call) {
  const spec::Pooling& layer = call.layer().pooling();
  return OnImages(call, [&](const TensorRef& x) {
    if (layer.global_pooling()) {
      return Pool(call, x, layer,
                  PlainWindow(std::vector<int64_t>{x->shape().dim(2),
                                                   x->shape().dim(3)}));
    }
    Window window = PlainWindow(Pair(layer.kernel_size(), 3));
    window.stride = Pair(layer.stride(), 1);
    PadBy(window, layer.valid().padding_amounts());
    if (layer.has_same()) PadLike(window, TypeOf(layer.same()), x->shape());
    if (layer.has_include_last_pixel()) {
      window.pad_before = window.pad_after =
          Pair(layer.include_last_pixel().padding_amounts(), 0);
      CountUp(window, x->shape());
    }
    return Pool(call, x, layer, window);
  });
}

// Of [sequence, batch, channels, 1, 1] the channels, else the last axis.
MilResult InnerProduct(const LayerCall& call) {
  const spec::InnerProduct& layer = call.layer().inner_product();
  const TensorRef& x = call.x();
  const TensorRef w = call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  Builder& lo = call.lo();
  if (!call.rank5() || x->rank() != 5) return LinearOf(lo, x, w, bias);
  const Shape& s = x->shape();
  const Dim features = s.dim(2) * s.dim(3) * s.dim(4);
  const TensorRef y =
      LinearOf(lo, Reshape(lo, x, Shape{s[0], s[1], features}), w, bias);
  return Reshape(lo, y, Shape{s[0], s[1], y->shape()[2], 1, 1});
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

MilResult BatchNormLayer(const LayerCall& call) {
  const spec::Batchnorm& layer = call.layer().batchnorm();
  const double epsilon = layer.epsilon() == 0 ? 1e-5 : layer.epsilon();
  const TensorRef gamma = call.Weight(layer.gamma()),
                  beta = call.Weight(layer.beta());
  return OnImages(call, [&](const TensorRef& x) {
    if (layer.compute_mean_var() && layer.instance_normalization()) {
      return call
          .Mil("instance_norm", {{"x", x},
                                 {"gamma", gamma},
                                 {"beta", beta},
                                 call.Number("epsilon", epsilon)})
          .values[0]
          .tensor;
    }
    const TensorRef mean = call.Weight(layer.mean()),
                    variance = call.Weight(layer.variance());
    if (!mean || !variance) {
      Fail(ErrorKind::kInput, "a norm over the batch does not run here");
    }
    return BatchNormOf(call.lo(), x, mean, variance, gamma, beta, epsilon);
  });
}

// Over the channels.
MilResult SoftmaxLayer(const LayerCall& call) {
  const TensorRef& x = call.x();
  return SoftmaxAlong(call.lo(), x, x->rank() >= 3 ? x->rank() - 3 : 0);
}

MilResult SoftmaxNd(const LayerCall& call) {
  return SoftmaxAlong(call.lo(), call.x(),
                      call.Axis(call.layer().softmax_nd().axis()));
}

MilResult LrnLayer(const LayerCall& call) {
  const spec::LocalResponseNorm& layer = call.layer().lrn();
  return OnImages(call, [&](const TensorRef& x) {
    return LocalResponseNormOf(call.lo(), x, int64_t(layer.local_size()),
                               layer.alpha(), layer.beta(),
                               layer.k() == 0 ? 1 : layer.k());
  });
}

MilResult UpsampleLayer(const LayerCall& call) {
  const spec::Upsample& layer = call.layer().upsample();
  const bool linear = layer.mode() == spec::Upsample::BILINEAR;
  const bool corners =
      layer.linear_upsample_mode() == spec::Upsample::ALIGN_CORNERS_TRUE;
  const bool areas =
      layer.linear_upsample_mode() == spec::Upsample::ALIGN_CORNERS_FALSE;
  const Sampling sampling = linear && corners ? Sampling::kStrictAlignCorners
                            : linear && areas ? Sampling::kUnalignCorners
                                              : Sampling::kDefault;
  std::vector<double> factors = {1, 1};
  for (int i = 0; i < layer.scaling_factor_size() && i < 2; ++i) {
    factors[i] = double(layer.scaling_factor(i));
  }
  for (int i = 0; i < layer.fractional_scaling_factor_size() && i < 2; ++i) {
    factors[i] = layer.fractional_scaling_factor(i);
  }
  const TensorRef& x = call.x();
  if (x->rank() < 3) Fail(ErrorKind::kInput, "x is no image");
  const int64_t height = x->shape().dim(x->rank() - 2),
                width = x->shape().dim(x->rank() - 1);
  for (double factor : factors) {
    if (!(factor > 0 && factor <= 1 << 14)) {
      Fail(ErrorKind::kInput, "an image is scaled by {}", factor);
    }
  }
  return ResizeImage(
      call.lo(), x,
      SampledAxis(height, int64_t(double(height) * factors[0]), sampling),
      SampledAxis(width, int64_t(double(width) * factors[1]), sampling),
      linear ? Resampling::kLinear : Resampling::kNearest);
}

constexpr LayerOp kLayers[] = {
    {Kind::kBatchedMatmul, BatchedMatmul},
    {Kind::kBatchnorm, BatchNormLayer},
    {Kind::kConvolution, Convolve},
    {Kind::kInnerProduct, InnerProduct},
    {Kind::kLrn, LrnLayer},
    {Kind::kPooling, PoolLayer},
    {Kind::kSoftmax, SoftmaxLayer},
    {Kind::kSoftmaxNd, SoftmaxNd},
    {Kind::kUpsample, UpsampleLayer},
};

}  // namespace

std::span<const LayerOp> NetLayers() { return kLayers; }

}  // namespace tl::coreml
