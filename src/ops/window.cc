#include "ops/window.h"

#include <algorithm>

#include "base/error.h"

namespace tl {
namespace {

constexpr size_t kIntsPerAxis = 6;

// Beyond any image, and products of two stay far from 2^63.
constexpr int64_t kLargest = int64_t{1} << 30;

void RequireInRange(std::string_view operation, std::string_view what,
                    int64_t value, int64_t least) {
  if (value >= least && value <= kLargest) return;
  Fail(ErrorKind::kProgram, "{}: a {} of {}; expected {} to {}", operation,
       what, value, least, kLargest);
}

}  // namespace

Window PlainWindow(std::span<const int64_t> kernel) {
  const std::vector<int64_t> ones(kernel.size(), 1), zeros(kernel.size(), 0);
  return {{kernel.begin(), kernel.end()}, ones, ones, zeros, zeros};
}

std::vector<int64_t> WindowInts(std::string_view operation, int64_t first,
                                const Window& window) {
  std::vector<int64_t> ints = {first};
  for (int axis = 0; axis < window.axes(); ++axis) {
    const int64_t kernel = window.kernel.at(axis);
    const int64_t overhang =
        window.overhang.empty() ? 0 : window.overhang.at(axis);
    if (Dim(kernel).known()) {
      RequireInRange(operation, "kernel size", kernel, 1);
    }
    RequireInRange(operation, "stride", window.stride[axis], 1);
    RequireInRange(operation, "dilation", window.dilation.at(axis), 1);
    RequireInRange(operation, "padding", window.pad_before.at(axis), 0);
    RequireInRange(operation, "padding", window.pad_after.at(axis), 0);
    RequireInRange(operation, "padding", overhang, 0);
    ints.insert(ints.end(),
                {kernel, window.stride[axis], window.dilation[axis],
                 window.pad_before[axis], window.pad_after[axis], overhang});
  }
  return ints;
}

WindowAxis WindowAxisOf(std::span<const int64_t> ints, int axis) {
  const auto at = ints.subspan(1 + axis * kIntsPerAxis, kIntsPerAxis);
  return {at[0], at[1], at[2], at[3], at[4], at[5]};
}

int64_t OverhangOf(const WindowAxis& window, int64_t size) {
  const int64_t room =
      size + window.pad_before + window.pad_after - window.span();
  if (room < 0) return 0;
  int64_t last = (room + window.stride - 1) / window.stride;
  if (last * window.stride >= size + window.pad_before) --last;
  return std::max<int64_t>(last * window.stride - room, 0);
}

Dim Places(std::string_view operation, const WindowAxis& window,
           const Shape& x, int axis) {
  const Dim kernel(window.kernel), size = x[axis];
  const Dim padded =
      size + Dim(window.pad_before + window.pad_after + window.overhang);
  if (kernel.known() && padded.known() && padded.value() < window.span()) {
    Fail(ErrorKind::kProgram,
         "{}: a kernel of {} with dilation {} spans {}; axis {} of {} has {} "
         "with its padding",
         operation, window.kernel, window.dilation, window.span(), axis,
         x.ToString(), padded.value());
  }
  if (kernel.unknown() || padded.unknown()) return Dim::Unknown();
  const Dim span = kernel.known()
                       ? Dim(window.span() - 1)
                       : (kernel - Dim(1)) * Dim(window.dilation);
  const Dim room = padded - span - Dim(1);
  if (room.known()) return Dim(room.value() / window.stride + 1);
  return DivideExact(room, Dim(window.stride)) + Dim(1);
}

}  // namespace tl
