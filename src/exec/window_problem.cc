#include "exec/window_problem.h"

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

}  // namespace tl
