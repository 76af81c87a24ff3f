// Attention of few queries, a token at a time: a walk over k and v at the speed
// of memory. Each stretch of keys is taken by the heads that share it and
// leaves a partial softmax; the partial ones of a head are then joined in
// order. Rows are numbered as in attention_problem.h.
#if defined(TL_CPU_ATTENTION_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_ATTENTION_FEW_ROWS_INL_H_
#undef TL_CPU_ATTENTION_FEW_ROWS_INL_H_
#else
#define TL_CPU_ATTENTION_FEW_ROWS_INL_H_
#endif

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/parallel.h"
#include "cpu/attention_blocked-inl.h"
#include "cpu/attention_problem.h"
#include "cpu/matmul_few_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Keys of one task: 64 KB of k for heads of 64 in f16.
inline constexpr int64_t kKeyStretch = 512;

// What one task knows: per row the maximum, the sum of exp(score - maximum),
// and the values weighted by them.
struct PartialSoftmax {
  static int64_t Floats(int64_t rows, int64_t width) {
    return rows * (2 + width);
  }
  PartialSoftmax(float* memory, int64_t rows, int64_t value_width)
      : max(memory),
        sum(memory + rows),
        values(memory + 2 * rows),
        width(value_width) {}

  float* max;
  float* sum;
  float* values;  // [rows, width]
  int64_t width;
};

// Scores of one row become exp(score - maximum); returns maximum and sum.
inline std::pair<float, float> SoftmaxRow(float* scores, int64_t count) {
  const F32 d;
  const int64_t padded = RoundUp(count, kTileLanes);
  std::fill(scores + count, scores + padded, kHidden);
  VF max = hn::Set(d, kHidden);
  for (int64_t i = 0; i < padded; i += kTileLanes) {
    max = hn::Max(LoadFloat(scores + i), max);
  }
  max = hn::MaxOfLanes(d, max);
  const VF shift = ShiftFor(max);
  VF sum = hn::Zero(d);
  for (int64_t i = 0; i < padded; i += kTileLanes) {
    const VF weight = Exp(hn::Sub(LoadFloat(scores + i), shift));
    sum = hn::Add(sum, weight);
    StoreFloat(weight, scores + i);
  }
  return {hn::GetLane(max), hn::GetLane(hn::SumOfLanes(d, sum))};
}

inline void ScaleAndHide(const AttentionProblem& problem, int64_t b,
                         int64_t head, int64_t query, KeyRange range,
                         float* scores) {
  const int64_t count = range.end - range.begin;
  for (int64_t i = 0; i < count; i += kTileLanes) {
    StoreFloat(
        ScaledScore(LoadFloat(scores + i), problem.scale, problem.softcap),
        scores + i);
  }
  const KeyRange seen = problem.Visible(query);
  for (int64_t key = range.begin; key < std::min(seen.begin, range.end);
       ++key) {
    scores[key - range.begin] = kHidden;
  }
  for (int64_t key = std::max(seen.end, range.begin); key < range.end; ++key) {
    scores[key - range.begin] = kHidden;
  }
  if (problem.mask != nullptr) {
    problem.HideMasked(b, head, query, range, scores, 1);
  }
}

// All rows of one head over one stretch of keys.
template <int M>
void AttendStretch(const AttentionProblem& problem, int64_t b, int64_t kv_head,
                   KeyRange range, const PartialSoftmax& partial) {
  const int64_t rows = problem.queries * problem.group;
  const int64_t dim = problem.dim, width = RoundUp(dim, kDepthStep);
  const int64_t count = range.end - range.begin;
  thread_local Scratch scratch;
  float* queries = scratch.Get(M * (width + kKeyStretch));
  float* scores = queries + M * width;
  std::fill_n(queries, M * width, 0.0f);
  std::fill_n(scores, M * kKeyStretch, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t head = kv_head * problem.group + row % problem.group;
    DecodeRow(problem.QueriesOf(b, head).From(row / problem.group, 0), dim,
              width, queries + row * width);
  }
  const Matrix keys = problem.KeysOf(b, kv_head).From(range.begin, 0);
  if (keys.dtype == DType::F16) {
    DotMany<M>(queries, width, keys.as<uint16_t>(), keys.row_stride, dim, count,
               scores, kKeyStretch);
  } else {
    DotMany<M>(queries, width, keys.as<float>(), keys.row_stride, dim, count,
               scores, kKeyStretch);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t head = kv_head * problem.group + row % problem.group;
    float* at = scores + row * kKeyStretch;
    ScaleAndHide(problem, b, head, row / problem.group, range, at);
    std::tie(partial.max[row], partial.sum[row]) = SoftmaxRow(at, count);
  }
  const Matrix values = problem.ValuesOf(b, kv_head).From(range.begin, 0);
  if (values.dtype == DType::F16) {
    AddMany<M>(scores, kKeyStretch, values.as<uint16_t>(), values.row_stride,
               count, problem.value_dim, partial.values, partial.width);
  } else {
    AddMany<M>(scores, kKeyStretch, values.as<float>(), values.row_stride,
               count, problem.value_dim, partial.values, partial.width);
  }
}

// out = the join of the partial results of one row, in order; 0 if none of
// them saw a key.
inline void JoinRow(const float* memory, int64_t parts, int64_t part_floats,
                    int64_t padded_rows, int64_t row, int64_t width,
                    float* out) {
  const F32 d;
  float max = kHidden;
  for (int64_t i = 0; i < parts; ++i) {
    max = std::max(max, memory[i * part_floats + row]);
  }
  std::fill_n(out, width, 0.0f);
  float sum = 0;
  for (int64_t i = 0; i < parts; ++i) {
    const PartialSoftmax part(const_cast<float*>(memory) + i * part_floats,
                              padded_rows, width);
    const VF factor =
        Exp(hn::Sub(hn::Set(d, part.max[row]), ShiftFor(hn::Set(d, max))));
    sum += hn::GetLane(factor) * part.sum[row];
    for (int64_t c = 0; c < width; c += kTileLanes) {
      const VF value = LoadFloat(part.values + row * width + c);
      StoreFloat(hn::MulAdd(factor, value, LoadFloat(out + c)), out + c);
    }
  }
  const VF inverse = hn::Set(d, sum == 0 ? 0.0f : 1 / sum);
  for (int64_t c = 0; c < width; c += kTileLanes) {
    StoreFloat(hn::Mul(LoadFloat(out + c), inverse), out + c);
  }
}

inline bool CanAttendFewRows(const AttentionProblem& problem) {
  return problem.queries * problem.group <= kFewRows &&
         problem.k.strides[problem.k.rank - 1] == 1 &&
         problem.v.strides[problem.v.rank - 1] == 1;
}

template <class T>
void AttendFewRows(const AttentionProblem& problem, T* out) {
  const int64_t rows = problem.queries * problem.group;
  const int64_t padded = PaddedRows(rows);
  const int64_t width = RoundUp(problem.value_dim, kDepthStep);
  const KeyRange all = {problem.Visible(0).begin,
                        problem.Visible(problem.queries - 1).end};
  const int64_t parts =
      CeilDiv(std::max<int64_t>(all.end - all.begin, 0), kKeyStretch);
  const int64_t heads = problem.batch * problem.kv_heads;
  const int64_t part_floats = PartialSoftmax::Floats(padded, width);
  thread_local Scratch partial_scratch;
  float* memory = partial_scratch.Get(heads * parts * part_floats);
  ParallelFor(heads * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task / parts;
      const int64_t key = all.begin + task % parts * kKeyStretch;
      const PartialSoftmax partial(memory + task * part_floats, padded, width);
      WithRows(rows, [&](auto count) {
        AttendStretch<count()>(
            problem, head / problem.kv_heads, head % problem.kv_heads,
            {key, std::min(all.end, key + kKeyStretch)}, partial);
      });
    }
  });
  ParallelFor(heads, 4, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* values = scratch.Get(width);
    for (int64_t i = begin * rows; i < end * rows; ++i) {
      const int64_t head = i / rows, row = i % rows;
      JoinRow(memory + head * parts * part_floats, parts, part_floats, padded,
              row, width, values);
      StoreRow(values, problem.value_dim,
               out + problem.ResultRow(head / problem.kv_heads,
                                       head % problem.kv_heads, row) *
                         problem.value_dim);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_ATTENTION_FEW_ROWS_INL_H_
