// The device's side of fault.h.
#pragma once

#include "cuda/device.cuh"
#include "cuda/fault.h"

namespace tl::cuda {

// The place of the index'th element on an axis of `size`, negative ones counted
// from the end; 0, and a fault, where there is none.
TL_DEVICE int64_t PlaceOf(int32_t index, int64_t size, int64_t position,
                          Fault* fault) {
  const int64_t place = index < 0 ? index + size : index;
  if (place >= 0 && place < size) return place;
  const auto at = static_cast<unsigned long long>(
      position < 0xffffffff ? position : 0xffffffff);
  atomicMin(&fault->first, at << 32 | static_cast<uint32_t>(index));
  return 0;
}

}  // namespace tl::cuda
