#include "exec/region.h"

#include <iterator>

#include "base/error.h"
#include "ops/run_checks.h"

namespace tl {

View RegionOf(View view, const KernelArgs& args) {
  TL_CHECK(std::ssize(args.ints) == 2 * view.rank &&
           std::ssize(args.numbers) == view.rank);
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t count = args.ints[2 * axis];
    const int64_t step = args.ints[2 * axis + 1];
    TL_CHECK(count >= 0 && step != 0);
    if (count > 0) {
      const double first = args.numbers[axis];
      CheckIndex(first, axis, view.dims[axis]);
      CheckIndex(first + static_cast<double>((count - 1) * step), axis,
                 view.dims[axis]);
      view.data += static_cast<int64_t>(first) * view.strides[axis] *
                   ElementBytes(view.dtype);
    }
    view.dims[axis] = count;
    view.strides[axis] *= step;
  }
  return view;
}

View BroadcastTo(const View& view, const View& whole) {
  TL_CHECK(view.rank <= whole.rank);
  View wide = whole;
  wide.data = view.data;
  wide.dtype = view.dtype;
  const int added = whole.rank - view.rank;
  for (int axis = 0; axis < whole.rank; ++axis) {
    const int own = axis - added;
    if (own >= 0 && view.dims[own] == whole.dims[axis]) {
      wide.strides[axis] = view.strides[own];
    } else {
      TL_CHECK(own < 0 || view.dims[own] == 1);
      wide.strides[axis] = 0;
    }
  }
  return wide;
}

}  // namespace tl
