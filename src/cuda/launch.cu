#include "cuda/launch.h"

#ifndef TL_CUDA_EMULATED

#include "cuda/check.h"

namespace tl::cuda {
namespace {

constexpr int kLeastToOverlap = 90;  // griddepcontrol

}  // namespace

void LaunchKernel(const void* kernel, const LaunchShape& shape,
                  void** arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  // Of 48 KB, of which a kernel's static arrays have some.
  constexpr int kSharedWithoutAsking = 40 << 10;
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
  cudaLaunchAttribute attributes[2] = {};
  config.attrs = attributes;
  if (shape.together) {
    attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
    attributes[config.numAttrs++].val.cooperative = 1;
  }
  if (shape.overlaps && Card().capability >= kLeastToOverlap) {
    attributes[config.numAttrs].id =
        cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  Check(cudaLaunchKernelExC(&config, kernel, arguments), "starting a kernel");
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
