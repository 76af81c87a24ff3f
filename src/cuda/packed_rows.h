// Which types of weights a RowsStep can have; packed_rows.cuh multiplies them.
#pragma once

#include "tensor/dtype.h"

namespace tl::cuda {

constexpr bool HasRowProduct(DType dtype) {
  return dtype == DType::F16 || dtype == DType::Q8_0 || dtype == DType::Q4_0 ||
         dtype == DType::Q4_K || dtype == DType::Q6_K;
}

// The number of columns that such weights have is a multiple of this.
constexpr int64_t RowProductColumns(DType dtype) {
  return dtype == DType::F16 ? 8 : 64;
}

}  // namespace tl::cuda
