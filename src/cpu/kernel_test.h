// What the tests of kernels share: small arrays with any strides, a call of a
// kernel on every instruction set of the machine, and the comparison with a
// reference in double. Only *_test.cc files include it.
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
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/simd_targets.h"
#include "tensor/tensor.h"

namespace tl::cpu {

using Dims = std::vector<int64_t>;

inline int64_t ElementCount(const Dims& dims) {
  int64_t n = 1;
  for (int64_t dim : dims) n *= dim;
  return n;
}

// Strided elements of F16, F32 or I32 in a block of their own. Copies share the
// block.
struct TestArray {
  DType dtype = DType::F16;
  Dims dims;
  Dims strides;
  std::shared_ptr<std::byte> block;
  int64_t offset = 0;  // of the first element, in elements
  int64_t block_bytes = 0;

  View AsView() const {
    View view = {};
    view.data = block.get() + offset * ElementBytes(dtype);
    view.dtype = dtype;
    view.rank = static_cast<int>(dims.size());
    std::copy(dims.begin(), dims.end(), view.dims);
    std::copy(strides.begin(), strides.end(), view.strides);
    return view;
  }

  // In elements from the start of the block; `i` counts in row-major order.
  int64_t PlaceOf(int64_t i) const {
    int64_t place = offset;
    for (size_t axis = dims.size(); axis-- > 0;) {
      place += i % dims[axis] * strides[axis];
      i /= dims[axis];
    }
    return place;
  }

  double Get(int64_t i) const {
    const std::byte* at = block.get() + PlaceOf(i) * ElementBytes(dtype);
    if (dtype == DType::F16) {
      return HalfToFloat(*reinterpret_cast<const uint16_t*>(at));
    }
    if (dtype == DType::F32) return *reinterpret_cast<const float*>(at);
    return *reinterpret_cast<const int32_t*>(at);
  }

  void Set(int64_t i, double value) const {
    std::byte* at = block.get() + PlaceOf(i) * ElementBytes(dtype);
    if (dtype == DType::F16) {
      *reinterpret_cast<uint16_t*>(at) = DoubleToHalf(value);
    } else if (dtype == DType::F32) {
      *reinterpret_cast<float*>(at) = static_cast<float>(value);
    } else {
      *reinterpret_cast<int32_t*>(at) = static_cast<int32_t>(value);
    }
  }

  // All elements in row-major order.
  std::vector<double> Values() const {
    std::vector<double> values(ElementCount(dims));
    for (size_t i = 0; i < values.size(); ++i) values[i] = Get(i);
    return values;
  }
};

inline constexpr int kGuardBytes = 64;  // AllocateHost's slack
inline constexpr std::byte kGuard{0xa5};

// Row-major, every byte 0xff: NaN in the float types, -1 in int32. The bytes
// behind the last element are a guard that ExpectClose looks at.
inline TestArray Poisoned(DType dtype, const Dims& dims) {
  TestArray array = {dtype, dims, dims, nullptr, 0, 0};
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0; stride *= dims[axis]) {
    array.strides[axis] = stride;
  }
  array.block_bytes = ElementCount(dims) * ElementBytes(dtype);
  array.block = AllocateHost(array.block_bytes);
  std::memset(array.block.get(), 0xff, array.block_bytes);
  std::memset(array.block.get() + array.block_bytes, int(kGuard), kGuardBytes);
  return array;
}

// Row-major, values rounded to the type.
inline TestArray ArrayOf(DType dtype, const Dims& dims,
                         const std::vector<double>& values) {
  const TestArray array = Poisoned(dtype, dims);
  for (size_t i = 0; i < values.size(); ++i) array.Set(i, values[i]);
  return array;
}

// Row-major, uniform in [low, high], rounded to the type.
inline TestArray RandomArray(DType dtype, const Dims& dims, uint32_t seed,
                             double low = -2, double high = 2) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  const TestArray array = Poisoned(dtype, dims);
  const int64_t n = ElementCount(dims);
  for (int64_t i = 0; i < n; ++i) array.Set(i, uniform(random));
  return array;
}

// The same elements seen otherwise.
inline TestArray Permuted(TestArray array, const std::vector<int>& axes) {
  const TestArray from = array;
  for (size_t i = 0; i < axes.size(); ++i) {
    array.dims[i] = from.dims[axes[i]];
    array.strides[i] = from.strides[axes[i]];
  }
  return array;
}
inline TestArray Sliced(TestArray array, int axis, int64_t start, int64_t count,
                        int64_t step) {
  array.offset += start * array.strides[axis];
  array.dims[axis] = count;
  array.strides[axis] *= step;
  return array;
}
inline TestArray BroadcastTo(const TestArray& from, const Dims& dims) {
  TestArray array = from;
  array.dims = dims;
  array.strides.assign(dims.size(), 0);
  const size_t added = dims.size() - from.dims.size();
  for (size_t i = 0; i < from.dims.size(); ++i) {
    if (from.dims[i] != 1) array.strides[added + i] = from.strides[i];
  }
  return array;
}

inline void Call(void (*kernel)(const KernelArgs&),
                 const std::vector<TestArray>& inputs,
                 const std::vector<TestArray>& outputs,
                 const std::vector<int64_t>& ints = {},
                 const std::vector<double>& numbers = {}) {
  std::vector<View> in, out;
  for (const TestArray& array : inputs) in.push_back(array.AsView());
  for (const TestArray& array : outputs) out.push_back(array.AsView());
  KernelArgs args;
  args.inputs = in;
  args.outputs = out;
  args.ints = ints;
  args.numbers = numbers;
  args.dtype = outputs.at(0).dtype;
  kernel(args);
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

// Runs f() on 1, 2 and 5 threads and expects the same bits in `array` each
// time.
template <class F>
void ExpectSameBitsOnAnyThreads(const TestArray& array, F f) {
  std::vector<std::byte> first;
  for (int threads : {1, 2, 5}) {
    SetThreads(threads);
    f();
    const std::vector<std::byte> bits(array.block.get(),
                                      array.block.get() + array.block_bytes);
    if (first.empty()) first = bits;
    EXPECT_EQ(bits, first) << threads << " threads";
  }
  SetThreads(DefaultThreads());
}

}  // namespace tl::cpu
