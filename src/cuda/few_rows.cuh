// Products of at most eight rows of x with weights whose rows lie one after the
// other: a warp for each output, since reading the weights is what takes time.
#pragma once

#include "cuda/block_reduce.cuh"
#include "cuda/elements.cuh"
#include "cuda/epilogue_run.cuh"
#include "cuda/few_rows.h"

namespace tl::cuda {

inline constexpr int kFewRowsThreads = 128;

// Where results go without an epilogue.
struct StoreResult {
  std::byte* data;
};

TL_DEVICE void Deliver(const StoreResult& to, DType dtype, int64_t i,
                       float value) {
  if (dtype == DType::F16) {
    reinterpret_cast<uint16_t*>(to.data)[i] = ToHalf(value);
  } else {
    reinterpret_cast<float*>(to.data)[i] = value;
  }
}

TL_DEVICE void Deliver(const ElementwiseGroup& to, DType dtype, int64_t i,
                       float value) {
  RunEpilogue(to, i, __float_as_uint(RoundToType(value, dtype)));
}

// The column of this warp, or one that there is not.
TL_DEVICE int64_t ColumnOfWarp() {
  return int64_t{blockIdx.x} * (kFewRowsThreads / kWarpSize) + WarpOf();
}

// sums[r] are each lane's shares of the results of row r.
template <int kRows, class Finisher>
TL_DEVICE void FinishColumn(const FewRows& p, int64_t column,
                            float (&sums)[kRows], const Finisher& finish) {
  float mine = 0;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float sum = WarpSum(sums[r]);
    if (Lane() == r) mine = sum;
  }
  if (Lane() >= p.m) return;
  const int64_t row = (p.first + blockIdx.y) * p.m + Lane();
  Deliver(finish, p.dtype, row * p.n + column, mine);
}

// f(finish) with where the results go.
template <class F>
void WithFinisher(const FewRowsResult& result, F f) {
  if (result.epilogue != nullptr) return f(*result.epilogue);
  f(StoreResult{result.y});
}

}  // namespace tl::cuda
