// What one attention is asked to do, its views understood: which keys a query
// sees, and where the rows of each head lie. Computes nothing: next
// attention.cc.
#pragma once

#include <cstdint>

#include "exec/matmul_problem.h"
#include "exec/backend.h"

namespace tl::cpu {

// Keys [begin, end).
struct KeyRange {
  int64_t begin;
  int64_t end;
};

// The queries of all heads that share k and v are the rows of one problem: row
// r is query r / group of head kv_head * group + r % group.
struct AttentionProblem {
  int64_t batch, heads, kv_heads, group;  // group: heads that share k and v
  int64_t queries, keys, dim, value_dim;
  bool causal;
  int64_t window;  // 0: none
  float scale;
  float softcap;  // 0: none
  View q, k, v;
  const View* mask;  // null: none; else [.., heads, queries, keys]

  // [queries, dim], [keys, dim] and [keys, value_dim] of one head.
  Matrix QueriesOf(int64_t b, int64_t head) const;
  Matrix KeysOf(int64_t b, int64_t kv_head) const;
  Matrix ValuesOf(int64_t b, int64_t kv_head) const;

  // Where row `row` lies among the result's rows of value_dim elements.
  int64_t ResultRow(int64_t b, int64_t kv_head, int64_t row) const {
    return (b * queries + row / group) * heads + kv_head * group + row % group;
  }

  // Without the mask. Grows at both ends from each query to the next.
  KeyRange Visible(int64_t query) const;
  // Sets scores[i * scores_stride] to -inf where the mask hides key begin + i.
  void HideMasked(int64_t b, int64_t head, int64_t query, KeyRange range,
                  float* scores, int64_t scores_stride) const;
};

AttentionProblem AttentionProblemOf(const KernelArgs& args);

}  // namespace tl::cpu
