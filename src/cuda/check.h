// The status of a call of CUDA: an Error that says what was being done, where it
// is one. In a file of its own since nvcc does not take fmt's headers.
#pragma once

#include <cuda_runtime.h>

namespace tl::cuda {

void Check(cudaError_t status, const char* what);

}  // namespace tl::cuda
