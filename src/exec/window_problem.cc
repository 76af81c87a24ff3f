#include "exec/window_problem.h"

#include <algorithm>

#include "base/error.h"

namespace tl {

WindowProblem WindowProblemOf(const View& x, const View& y,
                              std::span<const int64_t> ints) {
  constexpr int kAxes = WindowProblem::kAxes;
  const int axes = x.rank - 2;
  TL_CHECK(axes >= 1 && axes <= kAxes && y.rank == x.rank);
  WindowProblem problem;
  problem.from.fill(1);
  problem.to.fill(1);
  problem.window.fill({1, 1, 1, 0, 0, 0});
  for (int axis = 0; axis < axes; ++axis) {
    const int at = kAxes - axes + axis;
    problem.from[at] = x.dims[axis + 2];
    problem.to[at] = y.dims[axis + 2];
    problem.window[at] = WindowAxisOf(ints, axis);
  }
  return problem;
}

Inside InsideOf(const WindowAxis& window, int64_t size, int64_t place) {
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
