// Convolutions and pooling as operations, for the language's functions and for
// imported programs. Everything checks its shapes, and fails with the numbers,
// before anything is computed. x is [n, channels, spatial..] with 1 to 3 spatial
// axes; a window has as many. Other points of a tensor: interpolate.h; padding
// that is not zero: padding.h.
#pragma once

#include "ops/lowering.h"
#include "ops/window.h"

namespace tl {

// w[out, channels / groups, kernel..] as PyTorch has it (window.kernel is not
// read); bias[out] or null. Float32 inside, rounded once, bias included.
TensorRef Convolution(Lowering& lo, const TensorRef& x, const TensorRef& w,
                      const TensorRef& bias, const Window& window,
                      int64_t groups);

// w[channels, out / groups, kernel..]; every element of x adds a kernel to the
// result, `stride` apart. The padding is cut off the result; output_padding, one
// number per axis, empty for none, is added at its end.
TensorRef ConvolutionTransposed(Lowering& lo, const TensorRef& x,
                                const TensorRef& w, const TensorRef& bias,
                                const Window& window, int64_t groups,
                                std::span<const int64_t> output_padding);

TensorRef MaxPool(Lowering& lo, const TensorRef& x, const Window& window);

// What the sum of a window is divided by: all elements, or those inside x.
enum class Counted { kAll, kInside };
TensorRef AveragePool(Lowering& lo, const TensorRef& x, const Window& window,
                      Counted counted);

// Means over `sizes[i]` nearly equal, perhaps overlapping parts of each of the
// last axes: part i of n goes from floor(i * size / n) to ceil((i + 1) * size / n).
TensorRef AdaptiveAveragePool(Lowering& lo, const TensorRef& x,
                              std::span<const int64_t> sizes);

}  // namespace tl
