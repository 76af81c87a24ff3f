// Enlarging, shrinking and cropping images.
#include <cmath>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "coreml/resize.h"

namespace tl::coreml {
namespace {

struct ImageSize {
  int64_t height, width;
};

ImageSize SizeOf(const TensorRef& x) {
  if (x->rank() < 3) {
    Fail(ErrorKind::kInput, "shape {} is not [.., channels, height, width]",
         x->shape().ToString());
  }
  return {x->shape().dim(x->rank() - 2), x->shape().dim(x->rank() - 1)};
}

// A program is not to make a pixel into more than this.
constexpr double kMaxScale = 1 << 14;

ImageSize Scaled(const MilCall& call, const TensorRef& x) {
  const double height = call.Number("scale_factor_height", 1),
               width = call.Number("scale_factor_width", 1);
  if (!(height > 0 && width > 0 && height <= kMaxScale && width <= kMaxScale)) {
    Fail(ErrorKind::kInput, "an image is scaled by {} and {}", height, width);
  }
  const ImageSize size = SizeOf(x);
  return {int64_t(double(size.height) * height),
          int64_t(double(size.width) * width)};
}

ImageSize Target(const MilCall& call) {
  const ImageSize size = {call.Int("target_size_height"),
                          call.Int("target_size_width")};
  if (size.height < 1 || size.width < 1) {
    Fail(ErrorKind::kInput, "an image of {} by {}", size.height, size.width);
  }
  return size;
}

TensorRef Resized(const MilCall& call, const ImageSize& to, Sampling sampling,
                  Resampling how) {
  const TensorRef x = call.Tensor("x");
  const ImageSize from = SizeOf(x);
  return ResizeImage(call.lo(), x,
                     SampledAxis(from.height, to.height, sampling),
                     SampledAxis(from.width, to.width, sampling), how);
}

MilResult UpsampleNearestNeighbor(const MilCall& call) {
  return Resized(call, Scaled(call, call.Tensor("x")), Sampling::kDefault,
                 Resampling::kNearest);
}

MilResult ResizeNearestNeighbor(const MilCall& call) {
  return Resized(call, Target(call), Sampling::kDefault, Resampling::kNearest);
}

MilResult UpsampleBilinear(const MilCall& call) {
  const bool align = call.Flag("align_corners", true);
  const bool areas = call.Flag("half_pixel_centers", !align);
  const Sampling sampling = align   ? Sampling::kStrictAlignCorners
                            : areas ? Sampling::kUnalignCorners
                                    : Sampling::kDefault;
  return Resized(call, Scaled(call, call.Tensor("x")), sampling,
                 Resampling::kLinear);
}

Sampling SamplingNamed(std::string_view name) {
  if (name == "STRICT_ALIGN_CORNERS") return Sampling::kStrictAlignCorners;
  if (name == "ALIGN_CORNERS") return Sampling::kAlignCorners;
  if (name == "DEFAULT") return Sampling::kDefault;
  if (name == "OFFSET_CORNERS") return Sampling::kOffsetCorners;
  if (name == "UNALIGN_CORNERS") return Sampling::kUnalignCorners;
  Fail(ErrorKind::kInput, "sampling_mode '{}' is not known", name);
}

MilResult ResizeBilinear(const MilCall& call) {
  return Resized(call, Target(call),
                 SamplingNamed(call.Text("sampling_mode", "DEFAULT")),
                 Resampling::kLinear);
}

MilResult Crop(const MilCall& call) {
  TensorRef x = call.Tensor("x");
  SizeOf(x);
  int axis = x->rank() - 2;
  for (std::string_view name : {"crop_height", "crop_width"}) {
    const std::vector<int64_t> cut = call.Ints(name);
    const int64_t length = x->shape().dim(axis);
    if (cut.size() != 2 || cut[0] < 0 || cut[1] < 0 ||
        cut[0] > length || cut[1] > length - cut[0]) {
      Fail(ErrorKind::kInput, "[{}] is cropped from axis {} of shape {}",
           fmt::join(cut, ", "), axis, x->shape().ToString());
    }
    x = Slice(call.lo(), x, axis++, cut[0], length - cut[0] - cut[1]);
  }
  return x;
}

constexpr MilOp kOps[] = {
    {"crop", Crop},
    {"resize_bilinear", ResizeBilinear},
    {"resize_nearest_neighbor", ResizeNearestNeighbor},
    {"upsample_bilinear", UpsampleBilinear},
    {"upsample_nearest_neighbor", UpsampleNearestNeighbor},
};

}  // namespace

std::span<const MilOp> ResizeOps() { return kOps; }

}  // namespace tl::coreml
