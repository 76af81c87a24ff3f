// Rows of F16 or F32 elements to f32 and back: what kernels do at their edges,
// before and after the arithmetic.
#if defined(TL_CPU_FLOAT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_FLOAT_ROWS_INL_H_
#undef TL_CPU_FLOAT_ROWS_INL_H_
#else
#define TL_CPU_FLOAT_ROWS_INL_H_
#endif

#include <algorithm>

#include "base/half.h"
#include "exec/matmul_problem.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE float OneFloat(float value) { return value; }
HWY_INLINE float OneFloat(uint16_t half) { return HalfToFloat(half); }

// `count` elements `stride` apart, as f32; zeros up to `padded`.
template <class T>
void DecodeRowOf(const T* from, int64_t stride, int64_t count, int64_t padded,
                 float* to) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes <= count; i += kLanes) {
      StoreFloat(LoadFloat(from + i), to + i);
    }
  }
  for (; i < count; ++i) to[i] = OneFloat(from[i * stride]);
  std::fill(to + count, to + padded, 0.0f);
}

// The first row of a matrix.
inline void DecodeRow(const Matrix& row, int64_t count, int64_t padded,
                      float* to) {
  if (row.dtype == DType::F16) {
    DecodeRowOf(row.as<uint16_t>(), row.col_stride, count, padded, to);
  } else {
    DecodeRowOf(row.as<float>(), row.col_stride, count, padded, to);
  }
}

// Rounds to T; the results lie one after the other.
template <class T>
void StoreRow(const float* values, int64_t count, T* to) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    StoreFloat(LoadFloat(values + i), to + i);
  }
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StoreFirst(LoadFirst(values + i, rest), to + i, rest);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_FLOAT_ROWS_INL_H_
