// Sums and extremes of short stretches of F16, F32 or I32 elements, in float
// lanes, compiled once per instruction set. How long reductions are cut into
// stretches and put together again is in reduce.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tl::cpu {

// Elements one after the other.
struct Stretch {
  DType dtype;
  const std::byte* data;
  int64_t count;
};

// Rows of neighbouring columns, `stride` elements apart.
struct Columns {
  DType dtype;
  const std::byte* data;
  int64_t rows;
  int64_t stride;
  int64_t count;  // at most kMaxColumns
};
inline constexpr int64_t kMaxColumns = 512;

// Sums of x - shift and of its square.
struct Moments {
  double sum;
  double squares;
};

struct ReduceLoops {
  double (*sum)(const Stretch& x);
  // Of (x - center)^2.
  double (*squares)(const Stretch& x, float center);
  // Both at once. With a shift near the mean they give the variance.
  Moments (*moments)(const Stretch& x, float shift);
  // NaN where one is among them. Not of an empty stretch.
  float (*largest)(const Stretch& x);
  float (*smallest)(const Stretch& x);
  // The first place of `value`, of the first NaN if it is NaN; -1 if nowhere.
  int64_t (*find)(const Stretch& x, float value);

  // Add to or update one float per column.
  void (*add_columns)(const Columns& x, float* sums);
  void (*add_column_squares)(const Columns& x, const float* centers,
                             float* sums);
  void (*raise_columns)(const Columns& x, float* largest);
  void (*lower_columns)(const Columns& x, float* smallest);
};

// For the best instruction set of this machine.
const ReduceLoops& GetReduceLoops();

}  // namespace tl::cpu
