// Convolution and pooling, of images and of volumes, and sliding windows.
#include <algorithm>

#include "coreml/compose.h"
#include "coreml/layer_images.h"
#include "coreml/windows.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

void PadBy(Window& window, const spec::BorderAmounts& amounts) {
  const std::vector<int64_t> edges = EdgesOf(amounts);
  window.pad_before = {edges[0], edges[2]};
  window.pad_after = {edges[1], edges[3]};
}

PadType TypeOf(const spec::SamePadding& same) {
  return same.asymmetry_mode() == spec::SamePadding::TOP_LEFT_HEAVY
             ? PadType::kSameLower
             : PadType::kSame;
}

// The second input, where there is one, is the weights.
MilResult Convolve(const LayerCall& call) {
  const spec::Convolution& layer = call.layer().convolution();
  const TensorRef w =
      call.inputs().size() > 1 ? call.x(1) : call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  const int64_t groups = std::max<int64_t>(1, int64_t(layer.n_groups()));
  Window window = WindowOfSize(Pair(layer.kernel_size(), 3));
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
      return AveragePool(
          call.lo(), x, window,
          layer.avg_pool_exclude_padding() ? Counted::kInside : Counted::kAll);
    default:
      return L2PoolOf(call.lo(), x, window);
  }
}

MilResult PoolLayer(const LayerCall& call) {
  const spec::Pooling& layer = call.layer().pooling();
  return OnImages(call, [&](const TensorRef& x) {
    if (layer.global_pooling()) {
      return Pool(call, x, layer,
                  WindowOfSize(std::vector<int64_t>{x->shape().dim(2),
                                                    x->shape().dim(3)}));
    }
    Window window = WindowOfSize(Pair(layer.kernel_size(), 3));
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

constexpr std::string_view kPadTypes[] = {"custom", "valid", "same"};

std::string_view PadTypeNamed(int type) {
  if (type < 0 || type > 2) {
    Fail(ErrorKind::kInput, "a padding of number {}", type);
  }
  return kPadTypes[type];
}

// [front, back, top, bottom, left, right]
template <class Layer>
std::vector<int64_t> CustomPadding(const Layer& layer) {
  return {layer.custom_padding_front(), layer.custom_padding_back(),
          layer.custom_padding_top(),   layer.custom_padding_bottom(),
          layer.custom_padding_left(),  layer.custom_padding_right()};
}

template <class Layer>
std::vector<int64_t> Strides(const Layer& layer) {
  return {layer.stride_depth(), layer.stride_height(), layer.stride_width()};
}

MilResult Convolve3d(const LayerCall& call) {
  const spec::Convolution3d& layer = call.layer().convolution_3d();
  const TensorRef w = call.Weight(layer.weights());
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  const TensorRef bias =
      layer.with_bias() ? call.Weight(layer.bias()) : TensorRef();
  const std::vector<int64_t> dilations = {
      layer.dilation_depth(), layer.dilation_height(), layer.dilation_width()};
  const auto apply = [&](std::string_view name, LayerCall::Input shape) {
    return call.Mil(name,
                    {{"x", call.x()},
                     {"weight", w},
                     {"bias", bias},
                     call.Ints("strides", Strides(layer)),
                     call.Ints("dilations", dilations),
                     {"pad_type", PadTypeNamed(layer.padding_type())},
                     call.Ints("pad", CustomPadding(layer)),
                     call.Int("groups", std::max<int64_t>(1, layer.n_groups())),
                     std::move(shape)});
  };
  const LayerCall::Input none("output_shape", TensorRef());
  if (!layer.is_deconvolution()) return apply("conv", none);
  return apply("conv_transpose",
               layer.output_shape().empty()
                   ? none
                   : call.Ints("output_shape", layer.output_shape()));
}

MilResult Pool3d(const LayerCall& call) {
  const spec::Pooling3d& layer = call.layer().pooling_3d();
  const bool max = layer.type() == spec::Pooling3d::MAX;
  const std::vector<int64_t> kernel = {
      layer.kernel_depth(), layer.kernel_height(), layer.kernel_width()};
  return call.Mil(max ? "max_pool" : "avg_pool",
                  {{"x", call.x()},
                   call.Ints("kernel_sizes", kernel),
                   call.Ints("strides", Strides(layer)),
                   {"pad_type", PadTypeNamed(layer.padding_type())},
                   call.Ints("pad", CustomPadding(layer)),
                   call.Flag("exclude_padding_from_average",
                             layer.count_exclude_padding())});
}

MilResult GlobalPool3d(const LayerCall& call) {
  const bool max =
      call.layer().global_pooling_3d().type() == spec::GlobalPooling3d::MAX;
  return call.Mil(max ? "reduce_max" : "reduce_mean",
                  {{"x", call.x()},
                   call.Ints("axes", std::vector<int64_t>{-3, -2, -1}),
                   call.Flag("keep_dims", true)});
}

MilResult SlidingWindowsLayer(const LayerCall& call) {
  const spec::SlidingWindows& layer = call.layer().sliding_windows();
  return call.Mil("sliding_windows",
                  {{"x", call.x()},
                   call.Int("axis", layer.axis()),
                   call.Int("size", int64_t(layer.window_size())),
                   call.Int("stride", int64_t(layer.step()))});
}

constexpr LayerOp kLayers[] = {
    {Kind::kConvolution, Convolve},
    {Kind::kConvolution3D, Convolve3d},
    {Kind::kGlobalPooling3D, GlobalPool3d},
    {Kind::kPooling, PoolLayer},
    {Kind::kPooling3D, Pool3d},
    {Kind::kSlidingWindows, SlidingWindowsLayer},
};

}  // namespace

std::span<const LayerOp> WindowLayers() { return kLayers; }

}  // namespace tl::coreml
