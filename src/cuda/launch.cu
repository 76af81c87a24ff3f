#include "cuda/launch.h"

#ifndef TL_CUDA_EMULATED

#include "cuda/check.h"

namespace tl::cuda {
void LaunchKernel(const void* kernel, const LaunchShape& shape,
                  void** arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  constexpr int kSharedWithoutAsking = 48 << 10;
  if (shape.shared_bytes > kSharedWithoutAsking) {
    Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               shape.shared_bytes),
          "shared memory for a kernel");
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = static_cast<cudaStream_t>(StreamHandle());
  cudaLaunchAttribute together = {};
  together.id = cudaLaunchAttributeCooperative;
  together.val.cooperative = 1;
  config.attrs = &together;
  config.numAttrs = shape.together ? 1 : 0;
  Check(cudaLaunchKernelExC(&config, kernel, arguments), "starting a kernel");
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
