// Concat and Assign: results that are parts of their inputs put side by side.
#include "base/check.h"
#include "cuda/kernels.h"
#include "cuda/strided_copy.h"
#include "exec/region.h"

namespace tl::cuda {

void Concat(const KernelArgs& args) {
  const auto axis = static_cast<int>(args.ints[0]);
  View part = args.outputs[0];
  for (const View& x : args.inputs) {
    part.dims[axis] = x.dims[axis];
    CopyStrided(part, x);
    part.data += x.dims[axis] * part.strides[axis] * ElementBytes(part.dtype);
  }
}

void Assign(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  const View region = RegionOf(result, args);
  if (x.data != result.data) CopyStrided(result, x);
  CopyStrided(region, BroadcastTo(args.inputs[1], region));
}

}  // namespace tl::cuda
