// Layers that make an image larger or smaller, move blocks of it, or know of
// boxes in it.
#include "coreml/compose.h"
#include "coreml/layer_images.h"
#include "coreml/resize.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

MilResult PaddingLayer(const LayerCall& call) {
  const spec::Padding& layer = call.layer().padding();
  return call.Mil("pad",
                  {{"x", call.x()},
                   call.Ints("pad", EdgesOf(layer.padding_amounts())),
                   {"mode", layer.has_reflection()    ? "reflect"
                            : layer.has_replication() ? "replicate"
                                                      : "constant"},
                   call.Number("constant_val", layer.constant().value())});
}

// What is cut off an axis so that `size` elements from `offset` are left.
std::vector<int64_t> CutsTo(const TensorRef& x, int axis, int64_t offset,
                            Dim size) {
  const int64_t rest = x->shape().dim(axis) - size.value();
  if (offset < 0 || offset > rest) {
    Fail(ErrorKind::kInput, "{} elements from {} of axis {} of shape {}",
         size.value(), offset, axis, x->shape().ToString());
  }
  return {offset, rest - offset};
}

// By amounts, or to the size of a second input.
MilResult CropLayer(const LayerCall& call) {
  const spec::Crop& layer = call.layer().crop();
  const TensorRef& x = call.x();
  const auto crop = [&](std::span<const int64_t> height,
                        std::span<const int64_t> width) {
    return call.Mil("crop", {{"x", x},
                             call.Ints("crop_height", height),
                             call.Ints("crop_width", width)});
  };
  if (call.inputs().size() < 2) {
    const std::vector<int64_t> cuts = EdgesOf(layer.crop_amounts());
    return crop(std::span(cuts).first(2), std::span(cuts).last(2));
  }
  const TensorRef& like = call.x(1);
  const int rank = x->rank();
  if (rank < 3 || like->rank() != rank) {
    Fail(ErrorKind::kInput, "an image of shape {} is cropped to one of {}",
         x->shape().ToString(), like->shape().ToString());
  }
  const std::vector<int64_t> offset = Pair(layer.offset(), 0);
  return crop(CutsTo(x, rank - 2, offset[0], like->shape()[rank - 2]),
              CutsTo(x, rank - 1, offset[1], like->shape()[rank - 1]));
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

std::string_view SamplingOf(const spec::SamplingMode& mode) {
  switch (mode.sampling_method()) {
    case spec::SamplingMode::STRICT_ALIGN_ENDPOINTS_MODE:
      return "STRICT_ALIGN_CORNERS";
    case spec::SamplingMode::ALIGN_ENDPOINTS_MODE:
      return "ALIGN_CORNERS";
    case spec::SamplingMode::UPSAMPLE_MODE:
      return "DEFAULT";
    case spec::SamplingMode::ROI_ALIGN_MODE:
      return "OFFSET_CORNERS";
    default:
      Fail(ErrorKind::kInput, "a sampling of number {}",
           int(mode.sampling_method()));
  }
}

MilResult ResizeBilinearLayer(const LayerCall& call) {
  const spec::ResizeBilinear& layer = call.layer().resize_bilinear();
  const std::vector<int64_t> size = Pair(layer.target_size(), 1);
  return call.Mil("resize_bilinear",
                  {{"x", call.x()},
                   call.Int("target_size_height", size[0]),
                   call.Int("target_size_width", size[1]),
                   {"sampling_mode", SamplingOf(layer.mode())}});
}

MilResult ReorganizeLayer(const LayerCall& call) {
  const spec::ReorganizeData& layer = call.layer().reorganize_data();
  const auto size = static_cast<int64_t>(layer.block_size());
  if (size < 2) {
    Fail(ErrorKind::kInput, "blocks of {}; expected 2 or more", size);
  }
  return OnImages(call, [&](const TensorRef& x) {
    const auto moved = [&](std::string_view operation, std::string_view name) {
      return call.Mil(operation, {{"x", x}, call.Int(name, size)})
          .values[0]
          .tensor;
    };
    switch (layer.mode()) {
      case spec::ReorganizeData::SPACE_TO_DEPTH:
        return moved("space_to_depth", "block_size");
      case spec::ReorganizeData::DEPTH_TO_SPACE:
        return moved("depth_to_space", "block_size");
      case spec::ReorganizeData::PIXEL_SHUFFLE:
        return moved("pixel_shuffle", "upscale_factor");
      default:
        Fail(ErrorKind::kInput, "a reorganisation of number {}",
             int(layer.mode()));
    }
  });
}

std::string_view ModeOf(const spec::BoxCoordinates& boxes) {
  constexpr std::string_view kModes[] = {
      "CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST",
      "CENTER_SIZE_WIDTH_FIRST"};
  const int mode = boxes.box_mode();
  if (mode < 0 || mode >= static_cast<int>(std::size(kModes))) {
    Fail(ErrorKind::kInput, "boxes of number {}", mode);
  }
  return kModes[mode];
}

// Of [1, images, channels, height, width] the boxes [n, 1, 4 or 5, 1, 1].
MilResult CropResizeLayer(const LayerCall& call) {
  const spec::CropResize& layer = call.layer().crop_resize();
  const TensorRef& x = call.x();
  if (x->rank() != 5) {
    Fail(ErrorKind::kInput,
         "boxes of images of shape {}; expected [1, images, "
         "channels, height, width]",
         x->shape().ToString());
  }
  const std::vector<int64_t> size = Pair(layer.target_size(), 1);
  return call.Mil(
      "crop_resize",
      {{"x", WithoutAxes(call.lo(), x, {0})},
       {"roi", call.x(1)},
       call.Int("target_height", size[0]),
       call.Int("target_width", size[1]),
       call.Flag("normalized_coordinates", layer.normalized_coordinates()),
       call.Number("spatial_scale",
                   layer.spatial_scale() == 0 ? 1 : layer.spatial_scale()),
       {"box_coordinate_mode", ModeOf(layer.box_indices_mode())},
       {"sampling_mode", SamplingOf(layer.mode())}});
}

// Boxes, scores and, where they are inputs, the three limits.
MilResult SuppressionLayer(const LayerCall& call) {
  const spec::NonMaximumSuppression& layer =
      call.layer().non_maximum_suppression();
  const auto given = [&](size_t i, LayerCall::Input own) {
    return i < call.inputs().size() ? LayerCall::Input(own.name, call.x(i))
                                    : own;
  };
  return call.Mil(
      "non_maximum_suppression",
      {{"boxes", call.x(0)},
       {"scores", call.x(1)},
       given(2, call.Number("iou_threshold", layer.iou_threshold())),
       given(3, call.Number("score_threshold", layer.score_threshold())),
       given(4, call.Int("max_boxes", int64_t(layer.max_boxes()))),
       call.Flag("per_class_suppression", layer.per_class_suppression())});
}

constexpr LayerOp kLayers[] = {
    {Kind::kCrop, CropLayer},
    {Kind::kCropResize, CropResizeLayer},
    {Kind::kNonMaximumSuppression, SuppressionLayer},
    {Kind::kPadding, PaddingLayer},
    {Kind::kReorganizeData, ReorganizeLayer},
    {Kind::kResizeBilinear, ResizeBilinearLayer},
    {Kind::kUpsample, UpsampleLayer},
};

}  // namespace

std::span<const LayerOp> ImageLayers() { return kLayers; }

}  // namespace tl::coreml
