// What one attention is asked to do, its views understood, as its kernels get
// it. Plain numbers and addresses: next attention_problem.cuh.
#pragma once

#include <cstddef>
#include <cstdint>

#include "exec/backend.h"

namespace tl::cuda {

// [.., sequence, heads, elements]; the mask is [.., heads, queries, keys], its
// rows the queries. Strides in elements, 0 along axes of one.
struct AttentionOperand {
  const std::byte* data;  // null: there is none
  DType dtype;
  int64_t row_stride;
  int64_t head_stride;
  int64_t element_stride;
  int64_t batch_stride;
};

// The queries of all heads that share k and v are the rows of one problem: row
// r is query r / group of head kv_head * group + r % group.
struct AttentionProblem {
  int64_t batch, heads, kv_heads, group;  // group: heads that share k and v
  int64_t queries, keys, dim, value_dim;
  int64_t window;  // 0: none
  // A score, in powers of two, is dot * scale; with a cap it is
  // cap * tanh(dot * scale * ln(2) / 2).
  float scale;
  float cap;  // 0: none
  bool causal;
  AttentionOperand q, k, v, mask;
  DType dtype;     // of the result
  std::byte* out;  // [.., queries, heads, value_dim], dense
};

// Leading axes that are not one for all operands are several problems.
int64_t AttentionProblems(const KernelArgs& args);
AttentionProblem AttentionProblemOf(const KernelArgs& args, int64_t index = 0);

}  // namespace tl::cuda
