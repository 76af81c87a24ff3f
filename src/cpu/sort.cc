// TopK: the first k of a sorted last axis, the whole of it where k is its size.
//
// An element and its place become one 64-bit number that sorts like them: the
// element's value above, its index below. Equal values then keep their order,
// all numbers of a row differ, and no comparison branches on types. As in
// PyTorch NaN is greater than all else, and -0 equals 0.
#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tl::cpu {
namespace {

// Elements a task looks at.
constexpr int64_t kGrain = 4 * 1024;
// A k below this part of a row is kept in a heap that most elements, seen to be
// too small at its top, never enter; a larger one is split off first.
constexpr int64_t kFew = 64;

// Floats order like their bits read as sign and magnitude.
uint32_t SortKey(uint16_t half) {
  if (IsHalfNaN(half)) return ~uint32_t{0};
  if (half == 0x8000) half = 0;  // -0
  return half & 0x8000 ? 0xffffu - half : half | 0x8000u;
}
uint32_t SortKey(float value) {
  if (value != value) return ~uint32_t{0};
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);  // -0 to 0
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}
uint32_t SortKey(int32_t value) {
  return static_cast<uint32_t>(value) ^ 0x80000000;
}

enum class Order { kAscending, kDescending };

// The indices of the first k elements are the low halves of the result's first
// k numbers, in order.
template <class T>
void SortRow(const T* row, int64_t k, Order order,
             std::vector<uint64_t>& numbers) {
  const uint32_t flip = order == Order::kDescending ? ~uint32_t{0} : 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = uint64_t{SortKey(row[i]) ^ flip} << 32 | i;
  }
  const auto middle = numbers.begin() + k;
  if (k < std::ssize(numbers) / kFew) {
    std::partial_sort(numbers.begin(), middle, numbers.end());
    return;
  }
  if (middle != numbers.end()) {
    std::nth_element(numbers.begin(), middle, numbers.end());
  }
  std::sort(numbers.begin(), middle);
}

template <class T>
void SortRows(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  const int64_t n = x.dims[x.rank - 1];
  const int64_t k = args.ints[0];
  const Order order = args.ints[1] ? Order::kDescending : Order::kAscending;
  const bool indices = args.ints[2] != 0;
  TL_CHECK(0 <= k && k <= n && n <= std::numeric_limits<int32_t>::max());
  if (result.size() == 0) return;
  const int64_t rows = x.size() / n;
  const int64_t grain = std::max<int64_t>(1, kGrain / n);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<uint64_t> numbers(n);
    for (int64_t row = begin; row < end; ++row) {
      const T* from = x.as<T>() + row * n;
      SortRow(from, k, order, numbers);
      for (int64_t i = 0; i < k; ++i) {
        const auto index = static_cast<int32_t>(numbers[i]);
        if (indices) {
          result.as<int32_t>()[row * k + i] = index;
        } else {
          result.as<T>()[row * k + i] = from[index];
        }
      }
    }
  });
}

}  // namespace

void TopK(const KernelArgs& args) {
  const DType dtype = args.inputs[0].dtype;
  if (dtype == DType::F16) return SortRows<uint16_t>(args);
  if (dtype == DType::F32) return SortRows<float>(args);
  TL_CHECK(dtype == DType::I32);
  SortRows<int32_t>(args);
}

}  // namespace tl::cpu
