// What a window over an image is asked to do, once its views are understood:
// planes of three spatial axes, of which the first ones may be 1. Knows dims and
// windows, computes nothing: see convolution and pool of
// each backend.
#pragma once

#include <algorithm>
#include <array>

#include "exec/backend.h"
#include "ops/window.h"

namespace tl {

struct WindowProblem {
  static constexpr int kAxes = kMaxWindowAxes;

  std::array<int64_t, kAxes> from;  // sizes of a plane of x
  std::array<int64_t, kAxes> to;    // of a plane of the result
  std::array<WindowAxis, kAxes> window;

  int64_t from_plane() const { return from[0] * from[1] * from[2]; }
  int64_t to_plane() const { return to[0] * to[1] * to[2]; }
};

// x[n, channels, ..] and its result y, with ints as ops/window.h writes them.
WindowProblem WindowProblemOf(const View& x, const View& y,
                              std::span<const int64_t> ints);

// The elements of a window at place `place` that lie inside an axis of `size`:
// kernel elements first to last - 1. There may be none.
struct Inside {
  int64_t first, last;
  int64_t start;  // of x, where kernel element 0 would be
};
constexpr Inside InsideOf(const WindowAxis& window, int64_t size,
                          int64_t place) {
  const int64_t start = place * window.stride - window.pad_before;
  const auto first_at_or_after = [&](int64_t at) {
    const int64_t distance = at - start;
    if (distance <= 0) return int64_t{0};
    return std::min(window.kernel,
                    (distance + window.dilation - 1) / window.dilation);
  };
  const int64_t first = first_at_or_after(0);
  return {first, std::max(first, first_at_or_after(size)), start};
}

}  // namespace tl
