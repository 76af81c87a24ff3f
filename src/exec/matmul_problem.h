// What a matrix product is asked to do, once its views are understood: one
// product [M, K] @ [K, N], or a batch of them, with batch axes that share their
// weights folded into M. Knows strides and types, computes nothing: see the
// matmul of each backend.
#pragma once

#include "exec/backend.h"

namespace tl {

// A strided matrix of F16 or F32, or the transpose of a packed one (then
// row_stride is 1 and col_stride the number of rows); strides in elements.
struct Matrix {
  const std::byte* data;
  DType dtype;
  int64_t row_stride;
  int64_t col_stride;

  // The same elements, seen from row `row` and column `col` on.
  Matrix From(int64_t row, int64_t col) const {
    const int64_t offset = row * row_stride + col * col_stride;
    return {data + BlockBytes(dtype, offset), dtype, row_stride, col_stride};
  }
  Matrix Transposed() const { return {data, dtype, col_stride, row_stride}; }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
};

struct MatmulProblem {
  int64_t m, k, n;
  int64_t batch;  // products left after folding
  int batch_rank;
  int64_t batch_dims[kMaxRank];
  int64_t x_batch_strides[kMaxRank];
  int64_t w_batch_strides[kMaxRank];
  Matrix x;  // of the first product
  Matrix w;

  Matrix XOf(int64_t index) const;
  Matrix WOf(int64_t index) const;
};

// Rows of the result are numbered through all products: row r of product b is
// row b * m + r, as in the dense result.
MatmulProblem MatmulProblemOf(const View& x, const View& w);

}  // namespace tl
