// Reading images at points that lie anywhere: between pixels, or beside the
// image. Where all points of a column share a place, resize.h is faster.
#pragma once

#include "ops/interpolate.h"

namespace tl::coreml {

// What lies beside an image a b c.
enum class Beyond {
  kConstant,    // 0 0 | a b c | 0 0, or another number
  kBorder,      // a a | a b c | c c
  kReflection,  // c b | a b c | b a
  kSymmetric,   // b a | a b c | c b
};

// Counted in pixels from the middle of the first one.
struct SamplePoints {
  TensorRef image;  // I32 [n, 1, 1]: of which image; must be one of them
  TensorRef y, x;   // F32, broadcast to [n, height, width]
};

// Of x [images, channels, h, w]: [n, channels, height, width], in x's type.
TensorRef SampleImages(Lowering& lo, const TensorRef& x,
                       const SamplePoints& points, Resampling how,
                       Beyond beyond, double fill);

}  // namespace tl::coreml
