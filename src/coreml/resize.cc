#include "coreml/resize.h"

#include <algorithm>

#include "base/error.h"
#include "ops/build.h"

namespace tl::coreml {

Sampling SamplingNamed(std::string_view name) {
  if (name == "STRICT_ALIGN_CORNERS") return Sampling::kStrictAlignCorners;
  if (name == "ALIGN_CORNERS") return Sampling::kAlignCorners;
  if (name == "DEFAULT") return Sampling::kDefault;
  if (name == "OFFSET_CORNERS") return Sampling::kOffsetCorners;
  if (name == "UNALIGN_CORNERS") return Sampling::kUnalignCorners;
  Fail(ErrorKind::kInput, "sampling_mode '{}' is not known", name);
}

ResampledAxis SampledAxis(int64_t from, int64_t to, Sampling sampling) {
  const double size = static_cast<double>(from);
  switch (sampling) {
    case Sampling::kStrictAlignCorners:
      return AlignedCornersAxis(from, to);
    case Sampling::kAlignCorners:
      if (to == 1) return {to, 0, 0, (size - 1) / 2};
      return AlignedCornersAxis(from, to);
    case Sampling::kDefault:
      return AsymmetricAxis(from, to);
    case Sampling::kOffsetCorners:
      return {to, std::max(1.0, size - 1) / static_cast<double>(to), 0.5, 0};
    case Sampling::kUnalignCorners:
      return HalfPixelAxis(from, to);
  }
  return HalfPixelAxis(from, to);
}

TensorRef ResizeImage(Lowering& lo, const TensorRef& x,
                      const ResampledAxis& height, const ResampledAxis& width,
                      Resampling how) {
  const int rank = x->rank();
  if (rank < 3) {
    Fail(ErrorKind::kInput, "shape {} is not [.., channels, height, width]",
         x->shape().ToString());
  }
  Dim images = 1;
  for (int axis = 0; axis < rank - 3; ++axis) images = images * x->shape()[axis];
  const Shape& s = x->shape();
  const TensorRef flat =
      Reshape(lo, x, Shape{images, s[rank - 3], s[rank - 2], s[rank - 1]});
  const ResampledAxis axes[] = {height, width};
  const TensorRef resized = Interpolate(lo, flat, axes, how);
  Shape shape = s;
  shape[rank - 2] = height.size;
  shape[rank - 1] = width.size;
  return Reshape(lo, resized, shape);
}

}  // namespace tl::coreml
