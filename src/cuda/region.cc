#include "cuda/region.h"

#include "base/error.h"
#include "ops/run_checks.h"

namespace tl::cuda {

View RegionOf(View view, const KernelArgs& args) {
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

}  // namespace tl::cuda
