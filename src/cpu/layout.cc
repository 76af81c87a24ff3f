// Concat and Assign: results that are parts of their inputs put side by side.
#include "base/error.h"
#include "cpu/kernels.h"
#include "cpu/strided_copy.h"
#include "ops/run_checks.h"

namespace tl::cpu {
namespace {

// `view` repeated to the dims of `region` as NumPy broadcasts.
View BroadcastTo(const View& view, const View& region) {
  TL_CHECK(view.rank <= region.rank);
  View wide = region;
  wide.data = view.data;
  wide.dtype = view.dtype;
  const int added = region.rank - view.rank;
  for (int axis = 0; axis < region.rank; ++axis) {
    const int own = axis - added;
    if (own >= 0 && view.dims[own] == region.dims[axis]) {
      wide.strides[axis] = view.strides[own];
    } else {
      TL_CHECK(own < 0 || view.dims[own] == 1);
      wide.strides[axis] = 0;
    }
  }
  return wide;
}

// The part of `view` an Assign writes. Starts are numbers of the program, known
// only now, so they are checked here.
View RegionOf(View view, const KernelArgs& args) {
  const int rank = view.rank;
  TL_CHECK(std::ssize(args.ints) == 2 * rank &&
           std::ssize(args.numbers) == rank);
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t size = view.dims[axis];
    const int64_t count = args.ints[2 * axis];
    const int64_t step = args.ints[2 * axis + 1];
    TL_CHECK(count >= 0 && step != 0);
    if (count == 0) {
      view.dims[axis] = 0;
      continue;
    }
    const double first = args.numbers[axis];
    const double last = first + static_cast<double>((count - 1) * step);
    CheckIndex(first, axis, size);
    CheckIndex(last, axis, size);
    view = SliceOf(view, axis, static_cast<int64_t>(first), count, step);
  }
  return view;
}

}  // namespace

void Concat(const KernelArgs& args) {
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  int64_t start = 0;
  for (const View& part : args.inputs) {
    CopyStrided(SliceOf(result, axis, start, part.dims[axis], 1), part);
    start += part.dims[axis];
  }
  TL_CHECK(start == result.dims[axis]);
}

void Assign(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  const View region = RegionOf(result, args);
  if (x.data != result.data) CopyStrided(result, x);
  CopyStrided(region, BroadcastTo(args.inputs[1], region));
}

}  // namespace tl::cpu
