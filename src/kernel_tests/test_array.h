// Small arrays with any strides that tests hand to kernels. Only *_test.cc
// files and what they share include it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/half.h"
#include "exec/backend.h"
#include "tensor/tensor.h"

namespace tl::TL_KERNELS {

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
  int shift = 0;  // bytes that the first element is out of line by

  // Seen in a block that lies at `memory`.
  View AsViewOf(std::byte* memory) const {
    View view = {};
    view.data = memory + shift + offset * ElementBytes(dtype);
    view.dtype = dtype;
    view.rank = static_cast<int>(dims.size());
    std::copy(dims.begin(), dims.end(), view.dims);
    std::copy(strides.begin(), strides.end(), view.strides);
    return view;
  }
  View AsView() const { return AsViewOf(block.get()); }

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

}  // namespace tl::TL_KERNELS
