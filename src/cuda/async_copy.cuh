// Copies from the card's memory to shared memory that go on while a thread
// computes. Before Ampere, and emulated, they are done at once.
#pragma once

#include "cuda/device.cuh"

namespace tl::cuda {

#if !defined(TL_CUDA_EMULATED) && \
    (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800)
#define TL_ASYNC_COPY 1
#endif

// 16 bytes, both sides aligned; the last 16 - `bytes` of them become zero.
TL_DEVICE void CopyAsync16(void* shared, const void* global, int bytes = 16) {
#ifdef TL_ASYNC_COPY
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n"
               :
               : "r"(address), "l"(global), "r"(bytes)
               : "memory");
#else
  uint16_t values[8];
  for (int i = 0; i < 8; ++i) {
    values[i] =
        2 * i < bytes ? static_cast<const uint16_t*>(global)[i] : uint16_t{0};
  }
  *static_cast<uint4*>(shared) =
      make_uint4(values[0] | uint32_t{values[1]} << 16,
                 values[2] | uint32_t{values[3]} << 16,
                 values[4] | uint32_t{values[5]} << 16,
                 values[6] | uint32_t{values[7]} << 16);
#endif
}

// Ends a group of copies.
TL_DEVICE void CommitCopies() {
#ifdef TL_ASYNC_COPY
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

// This thread's copies are done, but for its last kPending groups.
template <int kPending>
TL_DEVICE void WaitForCopies() {
#ifdef TL_ASYNC_COPY
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
#endif
}

#undef TL_ASYNC_COPY

}  // namespace tl::cuda
