// Functions that look at windows of images and signals: convolutions, pooling,
// interpolation.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "ops/build.h"
#include "ops/convolution.h"
#include "ops/functions.h"
#include "ops/interpolate.h"

namespace tl::functions {
namespace {

using Kind = Argument::Kind;

constexpr std::array<std::string_view, kMaxWindowAxes> kLayouts = {
    "[batch, channels, length]", "[batch, channels, height, width]",
    "[batch, channels, depth, height, width]"};

// x with a batch axis, and whether it had one: the batch may be left out.
struct Batched {
  TensorRef x;
  bool single;

  Batched(const Call& call, int axes) : x(call.Tensor(0)), single(false) {
    if (x->rank() == axes + 1) {
      single = true;
      x = Unsqueeze(call.lowering(), x, 0);
    } else if (x->rank() != axes + 2) {
      Fail(ErrorKind::kProgram, "{}: x of shape {} is not {}", call.function(),
           x->shape().ToString(), kLayouts[axes - 1]);
    }
  }

  TensorRef Undo(const Call& call, const TensorRef& y) const {
    if (!single) return y;
    Shape shape = y->shape();
    shape.Erase(0);
    return Reshape(call.lowering(), y, shape);
  }
};

// A number for every axis, or a list of one per axis.
std::vector<int64_t> PerAxis(const Call& call, size_t i, int axes) {
  const Argument& argument = call[i];
  if (argument.is(Kind::kUnknown)) throw NotKnown{};
  if (!argument.is(Kind::kList)) {
    return std::vector<int64_t>(axes, call.Int(i));
  }
  std::vector<int64_t> numbers;
  for (const Argument& a : argument.list) {
    numbers.push_back(call.IntOf(a, call.function()));
  }
  if (numbers.size() == 1) numbers.assign(axes, numbers[0]);
  if (static_cast<int>(numbers.size()) != axes) {
    Fail(ErrorKind::kProgram, "{}: a list of {} numbers; expected {}, one per "
         "axis of {}", call.function(), numbers.size(), axes,
         kLayouts[axes - 1]);
  }
  return numbers;
}

// Padding that keeps the size: one more at the end where it is odd.
void PadToSame(const Call& call, const TensorRef& w, Window& window) {
  for (int axis = 0; axis < window.axes(); ++axis) {
    if (window.stride[axis] != 1) {
      Fail(ErrorKind::kProgram,
           "{}: padding \"same\" with a stride of {}; expected a stride of 1",
           call.function(), window.stride[axis]);
    }
    const Dim kernel = axis + 2 < w->rank() ? w->shape()[axis + 2] : Dim(1);
    if (!kernel.known()) throw NotKnown{};
    const int64_t total =
        std::max<int64_t>(kernel.value() - 1, 0) * window.dilation[axis];
    window.pad_before[axis] = total / 2;
    window.pad_after[axis] = total - total / 2;
  }
}

// (x, w, b, stride, padding, dilation, groups).
FunctionResult Convolve(const Call& call, int axes) {
  const Batched x(call, axes);
  const TensorRef w = call.Tensor(1);
  const TensorRef bias = call.has(2) ? call.Tensor(2) : nullptr;
  Window window;
  window.stride = PerAxis(call, 3, axes);
  window.dilation = PerAxis(call, 5, axes);
  window.pad_before.assign(axes, 0);
  if (!call[4].is(Kind::kString)) {
    window.pad_before = PerAxis(call, 4, axes);
  } else if (call.Text(4) != "same" && call.Text(4) != "valid") {
    Fail(ErrorKind::kProgram, "{}: 'padding' is \"{}\"; expected an int, a "
         "list of ints, \"same\" or \"valid\"", call.function(), call.Text(4));
  }
  window.pad_after = window.pad_before;
  if (call[4].is(Kind::kString) && call.Text(4) == "same") {
    PadToSame(call, w, window);
  }
  return x.Undo(call, Convolution(call.lowering(), x.x, w, bias, window,
                                  call.Int(6)));
}

// (x, w, b, stride, padding, output_padding, groups, dilation).
FunctionResult ConvolveTransposed(const Call& call, int axes) {
  const Batched x(call, axes);
  const TensorRef w = call.Tensor(1);
  const TensorRef bias = call.has(2) ? call.Tensor(2) : nullptr;
  Window window;
  window.stride = PerAxis(call, 3, axes);
  window.dilation = PerAxis(call, 7, axes);
  window.pad_before = window.pad_after = PerAxis(call, 4, axes);
  const std::vector<int64_t> more = PerAxis(call, 5, axes);
  for (int axis = 0; axis < axes; ++axis) {
    if (more[axis] >= std::max(window.stride[axis], window.dilation[axis])) {
      Fail(ErrorKind::kProgram,
           "{}: 'output_padding' is {}; expected less than the stride {} or "
           "the dilation {}",
           call.function(), more[axis], window.stride[axis],
           window.dilation[axis]);
    }
  }
  return x.Undo(call, ConvolutionTransposed(call.lowering(), x.x, w, bias,
                                            window, call.Int(6), more));
}

struct PoolParameters {
  size_t dilation;  // the argument; 0 where there is none
  size_t ceil_mode;
};

// (x, kernel_size, stride, padding, ...).
Window PoolWindow(const Call& call, int axes, const TensorRef& x,
                  PoolParameters parameters) {
  Window window;
  window.kernel = PerAxis(call, 1, axes);
  window.stride = call.has(2) ? PerAxis(call, 2, axes) : window.kernel;
  window.pad_before = window.pad_after = PerAxis(call, 3, axes);
  window.dilation = parameters.dilation == 0
                        ? std::vector<int64_t>(axes, 1)
                        : PerAxis(call, parameters.dilation, axes);
  window.overhang.assign(axes, 0);
  const bool upwards = call.Flag(parameters.ceil_mode);
  for (int axis = 0; axis < axes; ++axis) {
    if (2 * window.pad_before[axis] > window.kernel[axis]) {
      Fail(ErrorKind::kProgram, "{}: 'padding' is {}; expected at most half of "
           "the kernel, {}", call.function(), window.pad_before[axis],
           window.kernel[axis] / 2);
    }
    if (!upwards) continue;
    const Dim size = x->shape()[axis + 2];
    if (!size.known()) throw NotKnown{};
    window.overhang[axis] = OverhangOf(
        WindowAxisOf(WindowInts(call.function(), 0, window), axis),
        size.value());
  }
  return window;
}

// (x, kernel_size, stride, padding, dilation, ceil_mode).
FunctionResult PoolMax(const Call& call, int axes) {
  const Batched x(call, axes);
  const Window window = PoolWindow(call, axes, x.x, {4, 5});
  return x.Undo(call, MaxPool(call.lowering(), x.x, window));
}

// (x, kernel_size, stride, padding, ceil_mode, count_include_pad).
FunctionResult PoolAverage(const Call& call, int axes) {
  const Batched x(call, axes);
  const Window window = PoolWindow(call, axes, x.x, {0, 4});
  return x.Undo(call,
                AveragePool(call.lowering(), x.x, window,
                            call.Flag(5) ? Counted::kAll : Counted::kInside));
}

struct Mode {
  std::string_view name;
  Resampling how;
  int axes;  // that x must have; 0: any number
};

constexpr Mode kModes[] = {
    {"nearest", Resampling::kNearest, 0},
    {"nearest-exact", Resampling::kNearest, 0},
    {"linear", Resampling::kLinear, 1},
    {"bilinear", Resampling::kLinear, 2},
    {"trilinear", Resampling::kLinear, 3},
    {"bicubic", Resampling::kCubic, 2},
};

const Mode& ModeOf(const Call& call, const TensorRef& x) {
  for (const Mode& mode : kModes) {
    if (mode.name != call.Text(3)) continue;
    if (mode.axes != 0 && x->rank() != mode.axes + 2) {
      Fail(ErrorKind::kProgram, "interpolate: x of shape {} is not {}, which "
           "mode \"{}\" takes", x->shape().ToString(), kLayouts[mode.axes - 1],
           mode.name);
    }
    return mode;
  }
  Fail(ErrorKind::kProgram, "interpolate: 'mode' is \"{}\"; expected "
       "\"nearest\", \"nearest-exact\", \"linear\", \"bilinear\", "
       "\"trilinear\" or \"bicubic\"", call.Text(3));
}

double ScaleFactor(const Call& call, int axes, int axis) {
  const Argument& argument = call[2];
  double factor = 0;
  if (argument.is(Kind::kUnknown)) throw NotKnown{};
  if (!argument.is(Kind::kList)) {
    factor = call.Number(2);
  } else if (static_cast<int>(argument.list.size()) != axes) {
    Fail(ErrorKind::kProgram, "interpolate: 'scale_factor' has {} numbers; "
         "expected {}", argument.list.size(), axes);
  } else {
    const Argument& item = argument.list[axis];
    if (item.is(Kind::kUnknown)) throw NotKnown{};
    factor = item.is(Kind::kFloat) ? item.real
                                   : double(call.IntOf(item, "'scale_factor'"));
  }
  if (!(factor > 0) || !std::isfinite(factor)) {
    Fail(ErrorKind::kProgram, "interpolate: 'scale_factor' is {}; expected "
         "more than 0", factor);
  }
  return factor;
}

// The result's size along an axis, and 1 / scale_factor where that was given.
struct Target {
  Dim size;
  double scale;
};

std::vector<Target> Targets(const Call& call, const TensorRef& x) {
  const int axes = x->rank() - 2;
  if (call.has(1) == call.has(2)) {
    Fail(ErrorKind::kProgram, "interpolate: {} given; expected one of 'size' "
         "and 'scale_factor'", call.has(1) ? "both are" : "neither is");
  }
  std::vector<Target> targets;
  if (call.has(1)) {
    for (int64_t size : PerAxis(call, 1, axes)) targets.push_back({size, 0});
    return targets;
  }
  for (int axis = 0; axis < axes; ++axis) {
    const Dim size = x->shape()[axis + 2];
    const double factor = ScaleFactor(call, axes, axis);
    if (!size.known()) throw NotKnown{};
    const double scaled = std::floor(double(size.value()) * factor);
    if (scaled > 0x1p53) {
      Fail(ErrorKind::kProgram, "interpolate: {} times {} is too large",
           size.value(), factor);
    }
    targets.push_back({Dim(int64_t(scaled)), 1 / factor});
  }
  return targets;
}

}  // namespace

FunctionResult Conv1d(const Call& call) { return Convolve(call, 1); }
FunctionResult Conv2d(const Call& call) { return Convolve(call, 2); }
FunctionResult Conv3d(const Call& call) { return Convolve(call, 3); }

FunctionResult ConvTranspose1d(const Call& call) {
  return ConvolveTransposed(call, 1);
}
FunctionResult ConvTranspose2d(const Call& call) {
  return ConvolveTransposed(call, 2);
}

FunctionResult MaxPool1d(const Call& call) { return PoolMax(call, 1); }
FunctionResult MaxPool2d(const Call& call) { return PoolMax(call, 2); }
FunctionResult AvgPool1d(const Call& call) { return PoolAverage(call, 1); }
FunctionResult AvgPool2d(const Call& call) { return PoolAverage(call, 2); }

FunctionResult AdaptiveAvgPool2d(const Call& call) {
  constexpr int kAxes = 2;
  const Batched x(call, kAxes);
  const std::vector<int64_t> sizes = PerAxis(call, 1, kAxes);
  for (int64_t size : sizes) {
    if (size < 1) {
      Fail(ErrorKind::kProgram, "{}: an output size of {}; expected 1 or more",
           call.function(), size);
    }
  }
  return x.Undo(call, AdaptiveAveragePool(call.lowering(), x.x, sizes));
}

FunctionResult Interpolate(const Call& call) {
  const TensorRef x = call.Tensor(0);
  if (x->rank() < 3 || x->rank() > 2 + kMaxWindowAxes) {
    Fail(ErrorKind::kProgram, "interpolate: x of shape {} is not [batch, "
         "channels, ..] with 1 to {} more axes", x->shape().ToString(),
         kMaxWindowAxes);
  }
  const Mode& mode = ModeOf(call, x);
  const bool aligned = call.Flag(4);
  if (aligned && mode.how == Resampling::kNearest) {
    Fail(ErrorKind::kProgram, "interpolate: 'align_corners' is true; mode "
         "\"{}\" has no corners to align", mode.name);
  }
  const std::vector<Target> targets = Targets(call, x);
  std::vector<ResampledAxis> axes;
  for (size_t i = 0; i < targets.size(); ++i) {
    const Dim from = x->shape()[static_cast<int>(i) + 2], to = targets[i].size;
    ResampledAxis axis = aligned                  ? AlignedCornersAxis(from, to)
                         : mode.name == "nearest" ? AsymmetricAxis(from, to)
                                                  : HalfPixelAxis(from, to);
    if (mode.how == Resampling::kNearest) axis.shift_in = 0;
    if (targets[i].scale > 0 && !aligned) axis.scale = targets[i].scale;
    axes.push_back(axis);
  }
  return tl::Interpolate(call.lowering(), x, axes, mode.how);
}

}  // namespace tl::functions
