// Reading a tensor at other points of its spatial axes: enlarging and shrinking
// images. Every convention of where the points lie is three numbers per axis.
#pragma once

#include "ops/lowering.h"

namespace tl {

// In an operation's attributes, by number.
enum class Resampling : uint8_t {
  kNearest,  // the element at or before the point
  kLinear,   // between two neighbours, along every axis
  kCubic,    // between four, Keys' kernel with a = -0.75 as PyTorch's
};

// Result element i of an axis lies at (i + shift_out) * scale + shift_in of x.
// Points outside x take its edge.
struct ResampledAxis {
  Dim size;  // of the result
  double scale = 1;
  double shift_out = 0;
  double shift_in = 0;
};

// Elements are areas: both images end where the outer areas do.
ResampledAxis HalfPixelAxis(Dim from, Dim to);
// Elements are points, and the outer ones lie on each other.
ResampledAxis AlignedCornersAxis(Dim from, Dim to);
// Elements are points, and the first ones lie on each other.
ResampledAxis AsymmetricAxis(Dim from, Dim to);

// x is [n, channels, spatial..]; one entry per spatial axis, 1 to 3.
TensorRef Interpolate(Lowering& lo, const TensorRef& x,
                      std::span<const ResampledAxis> axes, Resampling how);

}  // namespace tl
