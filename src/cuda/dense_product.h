// Products of dense matrices of one float type: what they are asked with, and who
// computes them. cublaslt.cc where the machine has that library, else our own
// kernels, matmul_half.cu and matmul_float.cu.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tl::cuda {

// Along one axis the stride is 1, along the other `stride`, which is not less
// than the size of the first.
struct DenseMatrix {
  const std::byte* data;
  int64_t stride;
  int64_t batch_stride;
  bool transposed;  // the stride of rows is 1
};

// y[b, m, n] = x[b, m, k] @ w[b, k, n], none of them 0. y's rows are y_row apart
// and its products y_batch; in: F16 or F32; out: F32, or F16 from F16.
struct DenseProduct {
  DType in, out;
  int64_t batch, m, k, n;
  DenseMatrix x, w;
  std::byte* y;
  int64_t y_row;
  int64_t y_batch;
  // If not null: n elements of type `out`, added before rounding.
  const std::byte* bias;
};

// Whether cuBLASLt takes this product; then it has been started.
bool MultiplyWithCublasLt(const DenseProduct& product);

// By whoever can. There is no bias.
void MultiplyDense(const DenseProduct& product);

// Our own.
void MultiplyHalf(const DenseProduct& product);
void MultiplyFloat(const DenseProduct& product);

}  // namespace tl::cuda
