// Where the largest or smallest element is: the first of equals, and the first
// NaN before everything else.
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/reduce_cut.h"

namespace tl::cpu {
namespace {

enum class Extreme { kLargest, kSmallest };

// Doubles hold every f16, f32 and int32 exactly.
struct Found {
  double value;
  int64_t row;
};

template <Extreme extreme>
bool Beats(double value, double best) {
  if (std::isnan(best)) return false;
  if (std::isnan(value)) return true;
  return extreme == Extreme::kLargest ? value > best : value < best;
}

// One row of floats: the extreme is found in vectors, then its place.
template <Extreme extreme>
Found FindInStretch(const Stretch& stretch) {
  const ReduceLoops& loops = GetReduceLoops();
  const float value = extreme == Extreme::kLargest ? loops.largest(stretch)
                                                   : loops.smallest(stretch);
  return {value, loops.find(stretch, value)};
}

double Exact(uint16_t half) { return HalfToFloat(half); }
double Exact(float value) { return value; }
double Exact(int32_t value) { return value; }

// Columns side by side, one row after the other.
template <Extreme extreme, class T>
void FindInColumns(const T* data, const ReduceCut& cut,
                   const ReduceCut::Unit& unit, Found* found) {
  for (int64_t c = 0; c < unit.columns; ++c) {
    found[c] = {Exact(data[unit.first + c]), unit.row};
  }
  for (int64_t row = 1; row < unit.rows; ++row) {
    const T* from = data + unit.first + row * cut.inner;
    for (int64_t c = 0; c < unit.columns; ++c) {
      const double value = Exact(from[c]);
      if (Beats<extreme>(value, found[c].value)) {
        found[c] = {value, unit.row + row};
      }
    }
  }
}

template <Extreme extreme>
void FindInUnit(const View& x, const ReduceCut& cut,
                const ReduceCut::Unit& unit, Found* found) {
  // int32 does not fit float lanes.
  if (cut.inner == 1 && x.dtype != DType::I32) {
    *found = FindInStretch<extreme>(
        {x.dtype, x.data + unit.first * ElementBytes(x.dtype), unit.rows});
    found->row += unit.row;
  } else if (x.dtype == DType::F16) {
    FindInColumns<extreme>(x.as<uint16_t>(), cut, unit, found);
  } else if (x.dtype == DType::F32) {
    FindInColumns<extreme>(x.as<float>(), cut, unit, found);
  } else {
    FindInColumns<extreme>(x.as<int32_t>(), cut, unit, found);
  }
}

template <Extreme extreme>
void FindTask(const View& x, const ReduceCut& cut, int64_t task,
              int32_t* results) {
  Found best[kMaxColumns], found[kMaxColumns];
  for (int64_t segment = 0; segment < cut.segments; ++segment) {
    const ReduceCut::Unit unit = cut.UnitAt(task, segment);
    FindInUnit<extreme>(x, cut, unit, found);
    for (int64_t c = 0; c < unit.columns; ++c) {
      if (segment == 0 || Beats<extreme>(found[c].value, best[c].value)) {
        best[c] = found[c];
      }
      results[cut.ResultAt(task) + c] = static_cast<int32_t>(best[c].row);
    }
  }
}

// A row so long that it is worth several threads, when there is only one.
template <Extreme extreme>
void FindInOneRow(const View& x, const ReduceCut& cut, int32_t* result) {
  std::vector<Found> found(cut.segments);
  ParallelFor(cut.segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      FindInUnit<extreme>(x, cut, cut.UnitAt(0, i), &found[i]);
    }
  });
  Found best = found[0];
  for (const Found& other : found) {
    if (Beats<extreme>(other.value, best.value)) best = other;
  }
  *result = static_cast<int32_t>(best.row);
}

template <Extreme extreme>
void FindAll(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const ReduceCut cut = ReduceCut::Of(x, args.ints[0], args.ints[1]);
  TL_CHECK(cut.reduced > 0);
  int32_t* results = args.outputs[0].as<int32_t>();
  if (cut.tasks == 1 && cut.inner == 1) {
    return FindInOneRow<extreme>(x, cut, results);
  }
  const int64_t grain = std::max<int64_t>(1, cut.Grain() / cut.segments);
  ParallelFor(cut.tasks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      FindTask<extreme>(x, cut, task, results);
    }
  });
}

}  // namespace

void Argmax(const KernelArgs& args) { FindAll<Extreme::kLargest>(args); }
void Argmin(const KernelArgs& args) { FindAll<Extreme::kSmallest>(args); }

}  // namespace tl::cpu
