// Products of at most eight rows, see few_rows.cuh: what their kernels are told.
#pragma once

#include "cuda/elementwise_group.h"
#include "exec/matmul_problem.h"

namespace tl::cuda {

inline constexpr int64_t kFewRows = 8;

// Products first, first + 1 .. of a batch.
struct FewRows {
  int64_t m, k, n;
  int64_t first;
  const std::byte* x;  // [m, k]
  int64_t x_row;       // elements
  int64_t x_batch;
  const std::byte* w;  // [n, k]
  int64_t w_row;       // elements, of packed weights bytes
  int64_t w_batch;
  DType dtype;         // of the results
  bool wide;           // whether 8 neighbours of x and of w may be read at once
};

// Products of a batch that lie evenly: `count` of them, from number `first` on.
struct BatchRun {
  int64_t first, count;
  const std::byte* x;
  const std::byte* w;
  int64_t x_stride, w_stride;  // elements
};

// `y` is [batch, m, n], of `dtype`; `epilogue`, if not null, is run in its place.
struct FewRowsResult {
  DType dtype;
  std::byte* y;
  const ElementwiseGroup* epilogue;
};

// x's columns have stride 1, and w's rows.
void MultiplyFewRows(const MatmulProblem& problem, const BatchRun& run,
                     const FewRowsResult& result);
// w is packed, x of any strides. exact: in f32, not in int8.
void MultiplyFewPackedRows(const MatmulProblem& problem, const BatchRun& run,
                           bool exact, const FewRowsResult& result);

}  // namespace tl::cuda
