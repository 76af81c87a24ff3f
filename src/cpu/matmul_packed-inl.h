// Products with packed weights, [M, K] @ [N, K].T. With float32 arithmetic:
// strips of weights are decoded and multiplied as any others. With int8
// arithmetic (matmul_int8_walk-inl.h, matmul_int8_tile-inl.h) they are not
// decoded at all, and the rows of x are rounded to int8.
#if defined(TL_CPU_MATMUL_PACKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_PACKED_INL_H_
#undef TL_CPU_MATMUL_PACKED_INL_H_
#else
#define TL_CPU_MATMUL_PACKED_INL_H_
#endif

#include <algorithm>

#include "base/parallel.h"
#include "exec/matmul_problem.h"
#include "cpu/scratch.h"
#include "cpu/simd-inl.h"
#include "cpu/unpack.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Rows of packed weights as f32, [rows, k].
inline void DecodeWeights(const PackedReader& reader, const std::byte* from,
                          int64_t rows, int64_t k, float* to) {
  ParallelFor(rows, std::max<int64_t>(1, (64 << 10) / k),
              [&](int64_t begin, int64_t end) {
                reader.Decode(from + reader.BytesOf(begin * k),
                              (end - begin) * k, to + begin * k);
              });
}

// x[m, k] @ w[k, n] in float32. `multiply(w, columns, col)` is the product with
// w[k, columns] of F32, whose first column is column `col` of the whole.
template <class Multiply>
void MultiplyDecoded(const Matrix& w, int64_t k, int64_t n,
                     const Multiply& multiply) {
  constexpr int64_t kStripFloats = int64_t{1} << 20;  // 4 MB
  const int64_t width = std::max<int64_t>(kStripFloats / k, 64);
  const PackedReader reader = PackedReaderOf(w.dtype);
  thread_local Scratch scratch;
  float* strip = scratch.Get(std::min(width, n) * k);
  for (int64_t col = 0; col < n; col += width) {
    const int64_t columns = std::min(width, n - col);
    DecodeWeights(reader, w.From(0, col).data, columns, k, strip);
    multiply(Matrix{reinterpret_cast<const std::byte*>(strip), DType::F32, 1,
                    k},
             columns, col);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_PACKED_INL_H_
