// How the tests of src/kernel_tests/ run the CPU's kernels.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "cpu/kernels.h"
#include "cpu/simd_targets.h"
#include "kernel_tests/test_array.h"

namespace tl::cpu {

using Kernel = void (*)(const KernelArgs&);

inline void RunKernel(Kernel kernel, const std::vector<TestArray>& inputs,
                      const std::vector<TestArray>& outputs, KernelArgs args) {
  std::vector<View> in, out;
  for (const TestArray& array : inputs) in.push_back(array.AsView());
  for (const TestArray& array : outputs) out.push_back(array.AsView());
  args.inputs = in;
  args.outputs = out;
  kernel(args);
}

// Runs f once per instruction set that was compiled and that the machine has.
template <class F>
void ForEachTarget(F f) {
  for (int64_t target : SimdTargets()) {
    SCOPED_TRACE(SimdTargetName(target));
    UseSimdTarget(target);
    f();
    UseSimdTarget(0);
  }
}

inline constexpr int kThreadCounts[] = {1, 2, 5};

}  // namespace tl::cpu
