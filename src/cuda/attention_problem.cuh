// What the kernels of an attention share: which keys a query sees, where heads
// lie, and the pieces of a softmax that is computed a stretch of keys at a
// time.
#pragma once

#include "cuda/attention_problem.h"
#include "cuda/device.cuh"
#include "cuda/elements.cuh"

namespace tl::cuda {

// Keys [begin, end).
struct KeyRange {
  int64_t begin;
  int64_t end;
};

TL_DEVICE float Hidden() { return -INFINITY; }

TL_DEVICE int64_t Clamped(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

// Without the mask. Grows at both ends from each query to the next. Written so
// that a window of any size cannot overflow.
TL_DEVICE KeyRange Visible(const AttentionProblem& problem, int64_t query) {
  const int64_t keys = problem.keys, window = problem.window;
  const int64_t at = keys - problem.queries + query;
  KeyRange range = {0, keys};
  if (problem.causal) range.end = Clamped(at + 1, 0, keys);
  if (window > 0 && window < keys + problem.queries) {
    range.begin = Clamped(at - window + 1, 0, keys);
    const int64_t end = Clamped(at + window, 0, keys);
    range.end = range.end < end ? range.end : end;
  }
  range.begin = range.begin < range.end ? range.begin : range.end;
  return range;
}

// In elements, of what head `head` of batch `b` begins with.
TL_DEVICE int64_t HeadOffset(const AttentionOperand& operand, int64_t b,
                             int64_t head) {
  return b * operand.batch_stride + head * operand.head_stride;
}

TL_DEVICE float LoadAsFloat(const AttentionOperand& operand, int64_t at) {
  if (operand.dtype == DType::F16) {
    return ToFloat(reinterpret_cast<const uint16_t*>(operand.data)[at]);
  }
  if (operand.dtype == DType::F32) {
    return reinterpret_cast<const float*>(operand.data)[at];
  }
  return ToFloat(reinterpret_cast<const int32_t*>(operand.data)[at]);
}

// a / b of what is not negative. Divisions take long beside a short attention,
// and most of these have nothing to divide.
TL_DEVICE int QuotientOf(int a, int b) {
  if (b == 1) return a;
  if (a < b) return 0;
  return static_cast<int>(static_cast<unsigned>(a) / static_cast<unsigned>(b));
}

// Rows of a head of k and v, numbered as in attention_problem.h: in 32 bits,
// since a division in 64 is a hundred instructions.
struct HeadRows {
  const uint16_t* q;  // of the first head of the group, where they are f16
  const uint16_t* k;
  const uint16_t* v;
  int64_t mask;  // offset of the first head of the group
  int64_t out;   // place of the first row
  int group;

  TL_DEVICE int QueryOf(int row) const { return QuotientOf(row, group); }
  TL_DEVICE int64_t PlaceOf(const AttentionOperand& operand, int row) const {
    const int query = QueryOf(row);
    return query * operand.row_stride +
           (row - query * group) * operand.head_stride;
  }
  // Of the first element of a row of the result.
  TL_DEVICE int64_t ResultPlace(const AttentionProblem& problem,
                                int row) const {
    const int query = QueryOf(row);
    return out +
           (query * problem.heads + row - query * group) * problem.value_dim;
  }
  // What the row's mask begins with; its elements are element_stride apart.
  TL_DEVICE int64_t MaskPlace(const AttentionProblem& problem, int row) const {
    return mask + PlaceOf(problem.mask, row);
  }
};

TL_DEVICE HeadRows HeadRowsOf(const AttentionProblem& problem, int b,
                              int kv_head) {
  const auto halves = [&](const AttentionOperand& operand, int64_t head) {
    return reinterpret_cast<const uint16_t*>(operand.data) +
           HeadOffset(operand, b, head);
  };
  HeadRows rows = {};
  const int64_t head = kv_head * problem.group;
  rows.q = halves(problem.q, head);
  rows.k = halves(problem.k, kv_head);
  rows.v = halves(problem.v, kv_head);
  rows.mask = HeadOffset(problem.mask, b, head);
  rows.out = (b * problem.queries * problem.heads + head) * problem.value_dim;
  rows.group = static_cast<int>(problem.group);
  return rows;
}

// 2^x within two steps of f32; 0 for what would be subnormal.
TL_DEVICE float Exp2(float x) {
#ifdef TL_CUDA_EMULATED
  return std::exp2(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#endif
}

// What to subtract before Exp2: the maximum, or 0 where nothing was seen yet
// (-inf less -inf would be NaN).
TL_DEVICE float ShiftFor(float max) { return max == Hidden() ? 0.0f : max; }

// cap * tanh(x) = cap - 2 cap / (e^2x + 1)
TL_DEVICE float CappedScore(const AttentionProblem& problem, float dot) {
  return problem.cap -
         __fdividef(2 * problem.cap, Exp2(dot * problem.scale) + 1);
}

// Tensor cores take weights as f16, but rounding them once would be the largest
// error of all. A weight is the sum of two, and the products are added.
struct HalfPair {
  uint32_t high, low;
};
TL_DEVICE HalfPair SplitHalves(float first, float second) {
  const uint32_t high = PackHalves(first, second);
  return {high,
          PackHalves(first - FromHalf(static_cast<uint16_t>(high)),
                     second - FromHalf(static_cast<uint16_t>(high >> 16)))};
}

// Weights are up to 2^this, so that those of unlikely keys are no subnormals.
inline constexpr float kWeightPower = 12;

}  // namespace tl::cuda
