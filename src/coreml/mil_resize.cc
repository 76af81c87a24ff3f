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

MilResult ResizeBilinear(const MilCall& call) {
  return Resized(call, Target(call),
                 SamplingNamed(call.Text("sampling_mode", "DEFAULT")),
                 Resampling::kLinear);
}

// The sizes of the last axes of x that `shape` says for them; 0 keeps one.
std::vector<int64_t> ResizedSizes(const MilCall& call, const TensorRef& x) {
  const std::vector<int64_t> shape = call.Ints("shape");
  const int64_t axes = call.Int("resized_dims");
  const int64_t sizes = static_cast<int64_t>(shape.size());
  if (axes < 0 || axes > sizes || sizes > x->rank()) {
    Fail(ErrorKind::kInput, "{} resized axes and {} sizes for shape {}", axes,
         sizes, x->shape().ToString());
  }
  if (axes > 3) {
    Fail(ErrorKind::kInput, "{} axes are resized; at most 3 are here", axes);
  }
  std::vector<int64_t> resized(shape.end() - axes, shape.end());
  for (int64_t i = 0; i < axes; ++i) {
    if (resized[i] == 0) {
      resized[i] = x->shape().dim(x->rank() - static_cast<int>(axes - i));
    }
    if (resized[i] < 1) {
      Fail(ErrorKind::kInput, "an axis is resized to {}", resized[i]);
    }
  }
  return resized;
}

// Nearest neighbours are those at or before the point by default, as for
// resize_nearest_neighbor, and the closest ones with the other samplings.
MilResult ResizeAxes(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const std::vector<int64_t> sizes = ResizedSizes(call, x);
  if (sizes.empty()) return x;
  const std::string_view mode = call.Text("interpolation_mode", "LINEAR");
  if (mode != "LINEAR" && mode != "NEAREST_NEIGHBOR") {
    Fail(ErrorKind::kInput, "interpolation_mode '{}' is not known", mode);
  }
  const bool nearest = mode == "NEAREST_NEIGHBOR";
  const Sampling sampling =
      SamplingNamed(call.Text("sampling_mode", "DEFAULT"));
  const int first = x->rank() - static_cast<int>(sizes.size());
  Dim others = 1;
  for (int axis = 0; axis < first; ++axis) others = others * x->shape()[axis];
  Shape flat{others, 1}, result = x->shape();
  std::vector<ResampledAxis> axes;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int axis = first + static_cast<int>(i);
    flat.Append(x->shape()[axis]);
    result[axis] = sizes[i];
    axes.push_back(SampledAxis(x->shape().dim(axis), sizes[i], sampling));
    if (nearest && sampling != Sampling::kDefault) axes.back().shift_in += 0.5;
  }
  // Ints, too, are interpolated as floats.
  const DType dtype = x->dtype() == DType::I32 ? DType::F32 : x->dtype();
  const TensorRef resized =
      Interpolate(lo, Reshape(lo, Cast(lo, x, dtype), flat), axes,
                  nearest ? Resampling::kNearest : Resampling::kLinear);
  return Cast(lo, Reshape(lo, resized, result), x->dtype());
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
    {"resize", ResizeAxes},
    {"resize_bilinear", ResizeBilinear},
    {"resize_nearest_neighbor", ResizeNearestNeighbor},
    {"upsample_bilinear", UpsampleBilinear},
    {"upsample_nearest_neighbor", UpsampleNearestNeighbor},
};

}  // namespace

std::span<const MilOp> ResizeOps() { return kOps; }

}  // namespace tl::coreml
