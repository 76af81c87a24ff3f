// Concat and Assign: results that are parts of their inputs put side by side.
#include "base/error.h"
#include "cpu/kernels.h"
#include "cpu/strided_copy.h"
#include "exec/region.h"

namespace tl::cpu {

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
