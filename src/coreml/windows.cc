#include "coreml/windows.h"

#include <algorithm>

#include "base/error.h"
#include "coreml/compose.h"

namespace tl::coreml {
namespace {

int64_t Span(const Window& window, int axis) {
  return (window.kernel[axis] - 1) * window.dilation[axis] + 1;
}

// Shares a sum of padding between the two ends.
void Share(Window& window, int axis, int64_t total, PadType type) {
  const int64_t less = total / 2, more = total - less;
  const bool lower = type == PadType::kSameLower;
  window.pad_before[axis] = lower ? more : less;
  window.pad_after[axis] = lower ? less : more;
}

int64_t SizeAt(const Window& window, const Shape& x, int axis) {
  if (x.rank() < window.axes()) {
    Fail(ErrorKind::kInput, "a window of {} axes over shape {}", window.axes(),
         x.ToString());
  }
  return x.dim(x.rank() - window.axes() + axis);
}

}  // namespace

void PadLike(Window& window, PadType type, const Shape& x) {
  if (type == PadType::kGiven) return;
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t size = SizeAt(window, x, axis);
    const int64_t stride = window.stride[axis];
    const int64_t places = (size + stride - 1) / stride;
    const int64_t reach = (places - 1) * stride + Span(window, axis);
    Share(window, axis, std::max<int64_t>(reach - size, 0), type);
  }
}

void CropLike(Window& window, PadType type) {
  if (type == PadType::kGiven) return;
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t excess = Span(window, axis) - window.stride[axis];
    Share(window, axis, std::max<int64_t>(excess, 0), type);
  }
}

void CountUp(Window& window, const Shape& x) {
  window.overhang.assign(static_cast<size_t>(window.axes()), 0);
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t size = SizeAt(window, x, axis);
    const int64_t before = window.pad_before[axis];
    const int64_t stride = window.stride[axis];
    const int64_t padded = before + size + window.pad_after[axis];
    const int64_t rest = padded - Span(window, axis);
    if (rest < 0 || rest % stride == 0) continue;
    const int64_t start = (rest / stride + 1) * stride;
    if (start < before + size) {
      window.overhang[axis] = start + Span(window, axis) - padded;
    }
  }
}

TensorRef L2PoolOf(Lowering& lo, const TensorRef& x, const Window& window) {
  double elements = 1;
  for (int64_t size : window.kernel) elements *= static_cast<double>(size);
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef mean =
        AveragePool(lo, Unary(lo, OpId::Square, y), window, Counted::kAll);
    return Unary(lo, OpId::Sqrt, With(lo, OpId::Mul, mean, elements));
  });
}

}  // namespace tl::coreml
