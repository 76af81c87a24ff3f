// Windows as CoreML describes them, for MIL operations and NeuralNetwork layers:
// padding by name ("same") becomes amounts.
#pragma once

#include <span>
#include <vector>

#include "ops/convolution.h"

namespace tl::coreml {

enum class PadType {
  kGiven,      // the window's own amounts
  kSame,       // as many places as size / stride, the odd element at the end
  kSameLower,  // the odd element at the start
};

// A window of this size and no more. Fails if a side has no elements, which a
// file may say.
Window WindowOfSize(const std::vector<int64_t>& kernel);
// The amounts for windows over the last axes of x; window.kernel is the kernel.
void PadLike(Window& window, PadType type, const Shape& x);
// The amounts that a transposed convolution cuts off its result so that it is
// stride times as large as x.
void CropLike(Window& window, PadType type);
// Lets the last window reach beyond the padding, so that the places are counted
// up and not down.
void CountUp(Window& window, const Shape& x);
// What a transposed convolution over x adds at its end so that its last axes
// have the sizes that `wanted` ends with.
std::vector<int64_t> OutputPadding(const Window& window, const Shape& x,
                                   std::span<const int64_t> wanted);

// The root of the sum of squares in each window.
TensorRef L2PoolOf(Lowering& lo, const TensorRef& x, const Window& window);

}  // namespace tl::coreml
