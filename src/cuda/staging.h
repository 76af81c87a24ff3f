// Large copies to the card: several threads read the bytes (from their file,
// where they are mapped from one) into pinned memory while the card fetches what
// they read before. From pageable memory CUDA would copy with one thread.
#pragma once

#include <cuda_runtime.h>

#include <span>

#include "exec/backend.h"

namespace tl::cuda {

// The host's bytes may be changed once it has returned.
void StageToDevice(std::span<const HostBytes> all, cudaStream_t stream);

}  // namespace tl::cuda
