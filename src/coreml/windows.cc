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

Window WindowOfSize(const std::vector<int64_t>& kernel) {
  for (const int64_t side : kernel) {
    if (side < 1) {
      Fail(ErrorKind::kInput, "a window of [{}]", fmt::join(kernel, ", "));
    }
  }
  return PlainWindow(kernel);
}

void PadLike(Window& window, PadType type, const Shape& x) {
  if (type == PadType::kGiven) return;
  WindowInts("a window", 0, window);  // refuses a stride of 0, and the like
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
  WindowInts("a window", 0, window);
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t excess = Span(window, axis) - window.stride[axis];
    Share(window, axis, std::max<int64_t>(excess, 0), type);
  }
}

void CountUp(Window& window, const Shape& x) {
  const std::vector<int64_t> ints = WindowInts("pooling", 0, window);
  window.overhang.clear();
  for (int axis = 0; axis < window.axes(); ++axis) {
    window.overhang.push_back(
        OverhangOf(WindowAxisOf(ints, axis), SizeAt(window, x, axis)));
  }
}

std::vector<int64_t> OutputPadding(const Window& window, const Shape& x,
                                   std::span<const int64_t> wanted) {
  const size_t axes = static_cast<size_t>(window.axes());
  if (wanted.size() < axes) {
    Fail(ErrorKind::kInput, "an output of shape [{}] for {} axes",
         fmt::join(wanted, ", "), axes);
  }
  std::vector<int64_t> more;
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t reach =
        (SizeAt(window, x, axis) - 1) * window.stride[axis] +
        Span(window, axis) - window.pad_before[axis] - window.pad_after[axis];
    more.push_back(wanted[wanted.size() - axes + axis] - reach);
  }
  return more;
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
