// Where the points of a resized image lie, in CoreML's terms; for MIL operations
// and NeuralNetwork layers.
#pragma once

#include <string_view>

#include "ops/interpolate.h"

namespace tl::coreml {

// resize_bilinear's sampling modes, as MIL names them.
enum class Sampling {
  kStrictAlignCorners,  // corners on corners; one element is the first one
  kAlignCorners,        // the same; one element is the middle
  kDefault,             // i * (from - 1) / to: the last is not reached
  kOffsetCorners,       // areas, from the middle of the first
  kUnalignCorners,      // areas: half-pixel centres
};

// "STRICT_ALIGN_CORNERS", …; fails on a name that is not known.
Sampling SamplingNamed(std::string_view name);

ResampledAxis SampledAxis(int64_t from, int64_t to, Sampling sampling);

// The last two axes of x, whatever is in front of them.
TensorRef ResizeImage(Lowering& lo, const TensorRef& x,
                      const ResampledAxis& height, const ResampledAxis& width,
                      Resampling how);

}  // namespace tl::coreml
