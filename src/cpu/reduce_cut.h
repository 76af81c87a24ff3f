// How a reduction over neighbouring axes is cut into units of work: by its
// shape alone, so that the order of additions, and with it every bit of the
// result, is the same on any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "cpu/reduce_loops.h"
#include "exec/backend.h"

namespace tl::cpu {

// The input is [outer, reduced, inner], the result [outer, inner]. A task is a
// run of neighbouring results of one outer place; each has `segments` units,
// one behind the other along the reduced axis.
struct ReduceCut {
  int64_t outer = 1, reduced = 1, inner = 1;
  int64_t columns = 1;  // results of a task, fewer in the last of a row
  int64_t tasks_per_row = 1;
  int64_t tasks = 1;
  int64_t rows = 1;  // reduced elements of a unit, fewer in the last
  int64_t segments = 1;

  // Work worth handing to a thread.
  static constexpr int64_t kUnitElements = 32 << 10;

  // Axes first..last of x go.
  static ReduceCut Of(const View& x, int64_t first, int64_t last) {
    ReduceCut cut;
    for (int axis = 0; axis < x.rank; ++axis) {
      int64_t& part = axis < first   ? cut.outer
                      : axis <= last ? cut.reduced
                                     : cut.inner;
      part *= x.dims[axis];
    }
    cut.columns = std::clamp<int64_t>(cut.inner, 1, kMaxColumns);
    cut.tasks_per_row = (cut.inner + cut.columns - 1) / cut.columns;
    cut.tasks = cut.outer * cut.tasks_per_row;
    cut.rows = kUnitElements / cut.columns;
    cut.segments =
        std::max<int64_t>(1, (cut.reduced + cut.rows - 1) / cut.rows);
    return cut;
  }

  // Units that make a chunk for ParallelFor.
  int64_t Grain() const {
    const int64_t unit = std::min(reduced, rows) * columns;
    return std::max<int64_t>(1, kUnitElements / std::max<int64_t>(1, unit));
  }

  struct Unit {
    int64_t first;    // element of the input
    int64_t rows;     // along the reduced axis, `inner` apart
    int64_t columns;  // neighbours
    int64_t row;      // of `first` along the reduced axis
  };
  Unit UnitAt(int64_t task, int64_t segment) const {
    const int64_t column = task % tasks_per_row * columns;
    const int64_t row = segment * rows;
    return {(task / tasks_per_row * reduced + row) * inner + column,
            std::min(rows, reduced - row), std::min(columns, inner - column),
            row};
  }

  // The first result of a task.
  int64_t ResultAt(int64_t task) const {
    return task / tasks_per_row * inner + task % tasks_per_row * columns;
  }
};

}  // namespace tl::cpu
