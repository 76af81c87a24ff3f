// Norms and softmax.
#include <numeric>

#include "coreml/compose.h"
#include "coreml/layer_images.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// A format's number where it says one; 0 means `otherwise`.
double OrElse(double number, double otherwise) {
  return number == 0 ? otherwise : number;
}

// With the mean and variance of all images and places, channel by channel.
TensorRef OverBatch(const LayerCall& call, const TensorRef& x,
                    const TensorRef& gamma, const TensorRef& beta,
                    double epsilon) {
  Builder& lo = call.lo();
  return InFloat32(lo, x, [&](const TensorRef& y) {
    TensorRef norm = NormaliseOver(lo, y, {0, 2, 3}, {}, {}, epsilon);
    if (gamma) norm = Binary(lo, OpId::Mul, norm, AlongAxis(lo, gamma, 1, 4));
    if (beta) norm = Binary(lo, OpId::Add, norm, AlongAxis(lo, beta, 1, 4));
    return norm;
  });
}

MilResult BatchNormLayer(const LayerCall& call) {
  const spec::Batchnorm& layer = call.layer().batchnorm();
  const double epsilon = OrElse(layer.epsilon(), 1e-5);
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
    if (layer.compute_mean_var()) {
      return OverBatch(call, x, gamma, beta, epsilon);
    }
    const TensorRef mean = call.Weight(layer.mean()),
                    variance = call.Weight(layer.variance());
    if (!mean || !variance) {
      Fail(ErrorKind::kInput, "the layer has no mean or no variance");
    }
    return BatchNormOf(call.lo(), x, mean, variance, gamma, beta, epsilon);
  });
}

// Over each image, or over each channel of it.
MilResult MvnLayer(const LayerCall& call) {
  const spec::MeanVarianceNormalize& layer = call.layer().mvn();
  Builder& lo = call.lo();
  return OnImages(call, [&](const TensorRef& x) {
    const std::vector<int> axes = layer.across_channels()
                                      ? std::vector<int>{1, 2, 3}
                                      : std::vector<int>{2, 3};
    if (layer.normalize_variance()) {
      return NormaliseOver(lo, x, axes, {}, {}, OrElse(layer.epsilon(), 1e-6));
    }
    return InFloat32(lo, x, [&](const TensorRef& y) {
      return Binary(lo, OpId::Sub, y,
                    ReduceOver(lo, OpId::Mean, y, axes, Kept::kYes));
    });
  });
}

MilResult L2NormalizeLayer(const LayerCall& call) {
  const double epsilon = OrElse(call.layer().l2_normalize().epsilon(), 1e-6);
  return call.Mil("l2_norm",
                  {{"x", call.x()}, call.Number("epsilon", epsilon)});
}

// Over the last axes, which have the shape that the layer names.
MilResult LayerNormLayer(const LayerCall& call) {
  const spec::LayerNormalization& layer = call.layer().layer_normalization();
  const auto& shape = layer.normalized_shape();
  const TensorRef& x = call.x();
  const int first = x->rank() - shape.size();
  std::vector<int> axes;
  for (int i = 0; i < shape.size() && first >= 0; ++i) {
    if (x->shape().dim(first + i) == shape[i]) axes.push_back(first + i);
  }
  if (axes.empty() || static_cast<int>(axes.size()) != shape.size()) {
    Fail(ErrorKind::kInput, "a norm over axes of sizes [{}] of shape {}",
         fmt::join(shape, ", "), x->shape().ToString());
  }
  const std::vector<int64_t> sizes(shape.begin(), shape.end());
  return NormaliseOver(call.lo(), x, axes, call.WeightOf(layer.gamma(), sizes),
                       call.WeightOf(layer.beta(), sizes), layer.eps());
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
                               OrElse(layer.k(), 1));
  });
}

constexpr LayerOp kLayers[] = {
    {Kind::kBatchnorm, BatchNormLayer},
    {Kind::kL2Normalize, L2NormalizeLayer},
    {Kind::kLayerNormalization, LayerNormLayer},
    {Kind::kLrn, LrnLayer},
    {Kind::kMvn, MvnLayer},
    {Kind::kSoftmax, SoftmaxLayer},
    {Kind::kSoftmaxNd, SoftmaxNd},
};

}  // namespace

std::span<const LayerOp> NormLayers() { return kLayers; }

}  // namespace tl::coreml
