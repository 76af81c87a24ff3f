// What the tests of the op tables' kernels share: a call of a kernel of the
// backend that they are compiled for, and the comparison with a reference in
// double. TL_KERNELS is that backend's namespace (cpu) and TL_KERNEL_TARGET its
// header (cpu/kernel_test_target.h) that supplies
//   RunKernel(kernel, inputs, outputs, args)  on arrays, args being the rest
//   ForEachTarget(f)  f once per instruction set or device
//   kThreadCounts     on how many threads bits may not differ
//
//   ForEachTarget([] {
//     const TestArray x = RandomArray(DType::F16, {3, 17}, 1);
//     const TestArray y = Poisoned(DType::F16, {3});
//     Call(Sum, {x}, {y}, {1, 1});
//     ExpectClose(y, SumsOf(x.Values()), 1);  // within 1 step of f16
//   });
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "kernel_tests/test_array.h"
#include TL_KERNEL_TARGET

namespace tl::TL_KERNELS {

inline void Call(Kernel kernel, const std::vector<TestArray>& inputs,
                 const std::vector<TestArray>& outputs,
                 const std::vector<int64_t>& ints = {},
                 const std::vector<double>& numbers = {},
                 const ElementwiseProgram* program = nullptr) {
  KernelArgs args;
  args.ints = ints;
  args.numbers = numbers;
  args.dtype = outputs.at(0).dtype;
  args.program = program;
  RunKernel(kernel, inputs, outputs, args);
}

// The distance between neighbours of the type around `value`.
inline double StepAt(DType dtype, double value) {
  const bool half = dtype == DType::F16;
  const int smallest = half ? -24 : -149;
  if (value == 0 || !std::isfinite(value)) return std::ldexp(1.0, smallest);
  return std::ldexp(1.0,
                    std::max(smallest, std::ilogb(value) - (half ? 10 : 23)));
}

inline double RoundedTo(DType dtype, double value) {
  if (dtype == DType::F16) return HalfToFloat(DoubleToHalf(value));
  if (dtype == DType::F32) return static_cast<float>(value);
  return value;
}

// Within `steps` of the type from `want`; NaN for NaN, int32 exactly. Also that
// nothing was written behind a row-major array.
inline void ExpectClose(const TestArray& got, const std::vector<double>& want,
                        double steps) {
  ASSERT_EQ(ElementCount(got.dims), static_cast<int64_t>(want.size()));
  for (int i = 0; i < kGuardBytes; ++i) {
    ASSERT_EQ(got.block.get()[got.block_bytes + i], kGuard)
        << "written " << i << " bytes behind the array";
  }
  for (size_t i = 0; i < want.size(); ++i) {
    const double value = got.Get(i);
    const double rounded = RoundedTo(got.dtype, want[i]);
    if (std::isnan(rounded) || got.dtype == DType::I32) {
      ASSERT_TRUE(value == rounded ||
                  (std::isnan(value) && std::isnan(rounded)))
          << "element " << i << " is " << value << ", expected " << rounded;
      continue;
    }
    if (value == rounded) continue;
    // One step below infinity is the largest number.
    const double largest =
        got.dtype == DType::F16 ? kHalfMax : std::numeric_limits<float>::max();
    const double a = std::clamp(value, -2 * largest, 2 * largest);
    const double b = std::clamp(want[i], -2 * largest, 2 * largest);
    ASSERT_LE(std::abs(a - b), steps * StepAt(got.dtype, b))
        << "element " << i << " is " << value << ", expected " << want[i];
  }
}

// Runs f() on each of kThreadCounts and expects the same bits in `array` each
// time.
template <class F>
void ExpectSameBitsOnAnyThreads(const TestArray& array, F f) {
  std::vector<std::byte> first;
  for (int threads : kThreadCounts) {
    SetThreads(threads);
    f();
    const std::vector<std::byte> bits(array.block.get(),
                                      array.block.get() + array.block_bytes);
    if (first.empty()) first = bits;
    EXPECT_EQ(bits, first) << threads << " threads";
  }
  SetThreads(DefaultThreads());
}

}  // namespace tl::TL_KERNELS
