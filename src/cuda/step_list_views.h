// What the files of StepList ask of views, and what a step may be.
#pragma once

#include <cstdint>
#include <limits>

#include "exec/backend.h"

namespace tl::cuda {

// cp.async.bulk and mbarriers with bytes.
inline constexpr int kLeastCapability = 90;
// Up to here one block is quicker than all of them and a wait for each other.
inline constexpr int64_t kMostForOneBlock = 8 * 1024;

inline bool FitsInt32(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

// Axis `axis` from the end.
inline int64_t DimOf(const View& view, int axis) {
  return view.dims[view.rank - 1 - axis];
}
inline int64_t StrideOf(const View& view, int axis) {
  return view.strides[view.rank - 1 - axis];
}

}  // namespace tl::cuda
