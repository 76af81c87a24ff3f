// Starting a kernel: Launch(Kernel<float>, {grid, block, shared_bytes}, args...).
// It returns at once; launches, copies and fills happen in the order they are
// asked for. A launch that the card refuses is an Error with both numbers.
#pragma once

#include <tuple>
#include <utility>

#include "cuda/device.cuh"
#include "cuda/runtime.h"

namespace tl::cuda {

struct LaunchShape {
  dim3 grid, block;
  int shared_bytes = 0;   // dynamic, DynamicShared()
  bool together = false;  // all blocks at once, so that they may wait
  bool overlaps = false;  // begins before the launch in front ends: WaitForLaunchBefore
};

// Blocks of `threads` for a grid that walks over `count` elements, one a
// thread, with a stride once the card is full.
inline LaunchShape ShapeFor(int64_t count, int threads = 256) {
  constexpr int64_t kMostBlocks = 64 * 1024;
  const int64_t blocks = (count + threads - 1) / threads;
  return {{static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks)},
          {static_cast<unsigned>(threads)}};
}

#ifdef TL_CUDA_EMULATED

template <class... P, class... A>
void Launch(void (*kernel)(P...), const LaunchShape& shape, A&&... arguments) {
  emulator::Run(shape.grid, shape.block, shape.shared_bytes, shape.together,
                [&] { kernel(arguments...); });
}

#else

void LaunchKernel(const void* kernel, const LaunchShape& shape, void** arguments);

template <class... P, class... A>
void Launch(void (*kernel)(P...), const LaunchShape& shape, A&&... arguments) {
  std::tuple<std::remove_const_t<P>...> values(std::forward<A>(arguments)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {&value..., nullptr};
        LaunchKernel(reinterpret_cast<const void*>(kernel), shape, pointers);
      },
      values);
}

#endif

}  // namespace tl::cuda
