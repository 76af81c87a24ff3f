// What launches are chosen by: the types of elements, and how many of them may
// be moved at once.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "exec/backend.h"

namespace tl::cuda {

// Calls f with a zero of the type that kernels see elements of `dtype` as.
template <class F>
void WithElements(DType dtype, F f) {
  if (dtype == DType::F16) return f(uint16_t{});
  if (dtype == DType::F32) return f(float{});
  TL_CHECK(dtype == DType::I32);
  f(int32_t{});
}

// The same for results that are never int32.
template <class F>
void WithFloats(DType dtype, F f) {
  if (dtype == DType::F16) return f(uint16_t{});
  TL_CHECK(dtype == DType::F32);
  f(float{});
}

inline bool IsAligned(const void* at, int64_t bytes = 16) {
  return reinterpret_cast<uintptr_t>(at) % bytes == 0;
}

// The smallest power of two that is not below `count`, at least 1.
inline int64_t PowerOfTwoFrom(int64_t count) {
  int64_t power = 1;
  while (power < count) power *= 2;
  return power;
}

inline int64_t CeilDiv(int64_t count, int64_t by) {
  return (count + by - 1) / by;
}

}  // namespace tl::cuda
