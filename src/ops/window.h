// A window that moves over the spatial axes of a tensor: what convolutions and
// pooling share. Owns how a window is written into an operation's attributes,
// and how many places it has. What is done at each place is in structured.def;
// see convolution.h for how the operations are made.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/shape.h"

namespace tl {

// Spatial axes that a window can have: kernels keep fixed arrays.
inline constexpr int kMaxWindowAxes = 3;

// Per spatial axis, in the order of the axes.
struct Window {
  std::vector<int64_t> kernel;  // of a convolution: taken from its weights
  std::vector<int64_t> stride;
  std::vector<int64_t> dilation;
  std::vector<int64_t> pad_before;
  std::vector<int64_t> pad_after;
  // How far the last window may reach beyond that: average pooling never counts
  // it. Empty: nowhere.
  std::vector<int64_t> overhang = {};

  int axes() const { return static_cast<int>(stride.size()); }
};

// A window of stride and dilation 1 without padding.
Window PlainWindow(std::span<const int64_t> kernel);

// One axis of a window, as kernels see it.
struct WindowAxis {
  int64_t kernel;  // a Dim's code where only the checker asks
  int64_t stride;
  int64_t dilation;
  int64_t pad_before;
  int64_t pad_after;
  int64_t overhang;

  // From the first element that the window touches to the last.
  int64_t span() const { return (kernel - 1) * dilation + 1; }
};

// Attributes::ints: `first`, then the axes of the window. Fails, naming
// `operation`, on sizes that make no sense.
std::vector<int64_t> WindowInts(std::string_view operation, int64_t first,
                                const Window& window);
// Axis `axis` of what WindowInts wrote.
WindowAxis WindowAxisOf(std::span<const int64_t> ints, int axis);

// How far the last window reaches beyond the padding if places are counted
// upwards (PyTorch's ceil_mode). It must begin before the padding at the end
// does. `window` is one that WindowInts took.
int64_t OverhangOf(const WindowAxis& window, int64_t size);

// Places of a window along axis `axis` of x. Fails where there is none.
Dim Places(std::string_view operation, const WindowAxis& window,
           const Shape& x, int axis);

}  // namespace tl
