// Attention of many queries: blocks of keys pass a block of queries, and the
// scores of the two live only between the two products of a block. Scores lie
// transposed, [keys, rows]: a row of the softmax is a lane, so its maximum and
// sum need no sideways step, and the second product reads them as they lie.
//
// Rows are numbered as in attention_problem.h.
#if defined(TL_CPU_ATTENTION_BLOCKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_ATTENTION_BLOCKED_INL_H_
#undef TL_CPU_ATTENTION_BLOCKED_INL_H_
#else
#define TL_CPU_ATTENTION_BLOCKED_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "base/parallel.h"
#include "cpu/attention_problem.h"
#include "cpu/float_rows-inl.h"
#include "cpu/math-inl.h"
#include "cpu/matmul_pack-inl.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

inline constexpr float kHidden = -std::numeric_limits<float>::infinity();
// Rows and keys of a block: its scores take 46 KB. Whole tiles on any target.
inline constexpr int64_t kRowBlock = 96;
inline constexpr int64_t kKeyBlock = 120;
static_assert(kRowBlock % kTileCols == 0 && kRowBlock % kTileRows == 0);
static_assert(kKeyBlock % kTileRows == 0);
// Row blocks that meet each packed block of keys before the next is packed.
inline constexpr int64_t kBlocksOfTask = 2;

// score -> cap * tanh(score / cap), where there is a cap.
HWY_INLINE VF ScaledScore(VF raw, float scale, float softcap) {
  const F32 d;
  const VF score = hn::Mul(raw, hn::Set(d, scale));
  if (softcap == 0) return score;
  const VF cap = hn::Set(d, softcap);
  return hn::Mul(cap, Tanh(hn::Div(score, cap)));
}

// What to subtract before exp: the maximum, or 0 where nothing was seen yet
// (-inf less -inf would be NaN).
HWY_INLINE VF ShiftFor(VF max) {
  return hn::IfThenZeroElse(hn::Eq(max, hn::Set(F32(), kHidden)), max);
}

// A running softmax of up to kRowBlock rows and their weighted values.
class RowBlock {
 public:
  static int64_t Floats(const AttentionProblem& problem) {
    return kRowBlock * (3 + problem.dim + Width(problem));
  }

  void Start(const AttentionProblem& problem, int64_t b, int64_t kv_head,
             int64_t begin, int64_t end, float* memory, float* decoded) {
    problem_ = &problem;
    b_ = b;
    kv_head_ = kv_head;
    begin_ = begin;
    rows_ = end - begin;
    max_ = memory;
    sum_ = max_ + kRowBlock;
    factor_ = sum_ + kRowBlock;
    queries_ = factor_ + kRowBlock;
    values_ = queries_ + kRowBlock * problem.dim;
    std::fill_n(max_, kRowBlock, kHidden);
    std::fill_n(sum_, kRowBlock, 0.0f);
    std::fill_n(values_, kRowBlock * Width(problem), 0.0f);
    PackQueries(decoded);
  }

  KeyRange visible() const {
    return {problem_->Visible(begin_ / problem_->group).begin,
            problem_->Visible((begin_ + rows_ - 1) / problem_->group).end};
  }

  // Takes in keys [range.begin, range.end), packed as left and right panels.
  void Attend(KeyRange range, const float* keys, const float* values,
              float* scores) {
    const int64_t count = range.end - range.begin;
    MultiplyPanels(keys, count, queries_, PaddedRows(), problem_->dim, scores,
                   kRowBlock, Store::kReplace);
    for (int64_t col = 0; col < PaddedRows(); col += kTileLanes) {
      ScaleScores(count, scores + col);
    }
    HideScores(range, scores);
    bool rescale = false;
    for (int64_t col = 0; col < PaddedRows(); col += kTileLanes) {
      rescale |= UpdateSoftmax(col, count, scores + col);
    }
    if (rescale) RescaleValues();
    const int64_t width = Width(*problem_);
    for (int64_t row = 0; row < rows_; row += kTileRows) {
      for (int64_t col = 0; col < width; col += kTileCols) {
        MultiplyRows(std::min<int64_t>(kTileRows, rows_ - row), scores + row,
                     kRowBlock, values + col * count, count,
                     values_ + row * width + col, width, Store::kAdd);
      }
    }
  }

  // A row that saw no key is 0.
  template <class T>
  void Finish(T* out) {
    const int64_t width = Width(*problem_);
    for (int64_t r = 0; r < rows_; ++r) {
      const VF inverse = hn::Set(F32(), sum_[r] == 0 ? 0.0f : 1 / sum_[r]);
      float* values = values_ + r * width;
      for (int64_t i = 0; i < width; i += kTileLanes) {
        StoreFloat(hn::Mul(LoadFloat(values + i), inverse), values + i);
      }
      StoreRow(values, problem_->value_dim,
               out + problem_->ResultRow(b_, kv_head_, begin_ + r) *
                         problem_->value_dim);
    }
  }

 private:
  static int64_t Width(const AttentionProblem& problem) {
    return RoundUp(problem.value_dim, kTileCols);
  }
  int64_t PaddedRows() const { return RoundUp(rows_, kTileCols); }

  void PackQueries(float* decoded) {
    const int64_t dim = problem_->dim, group = problem_->group;
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t row = begin_ + r;
      const Matrix head =
          problem_->QueriesOf(b_, kv_head_ * group + row % group);
      DecodeRow(head.From(row / group, 0), dim, dim, decoded + r * dim);
    }
    const Matrix dense = {reinterpret_cast<const std::byte*>(decoded),
                          DType::F32, dim, 1};
    Pack<kTileCols>(dense, rows_, dim, queries_);
  }

  void ScaleScores(int64_t count, float* scores) const {
    for (int64_t key = 0; key < count; ++key) {
      float* at = scores + key * kRowBlock;
      StoreFloat(ScaledScore(LoadFloat(at), problem_->scale, problem_->softcap),
                 at);
    }
  }

  // Row by row, where some row of the block does not see all of the keys.
  void HideScores(KeyRange range, float* scores) const {
    const int64_t group = problem_->group;
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t row = begin_ + r;
      const KeyRange seen = problem_->Visible(row / group);
      for (int64_t key = range.begin; key < std::min(seen.begin, range.end);
           ++key) {
        scores[(key - range.begin) * kRowBlock + r] = kHidden;
      }
      for (int64_t key = std::max(seen.end, range.begin); key < range.end;
           ++key) {
        scores[(key - range.begin) * kRowBlock + r] = kHidden;
      }
      if (problem_->mask == nullptr) continue;
      problem_->HideMasked(b_, kv_head_ * group + row % group, row / group,
                           range, scores + r, kRowBlock);
    }
  }

  // Scores of one vector of rows become exp(score - maximum). Returns whether
  // the maximum moved, so that what was summed before must shrink.
  bool UpdateSoftmax(int64_t col, int64_t count, float* scores) {
    const F32 d;
    const VF old_max = LoadFloat(max_ + col);
    VF max = old_max;
    for (int64_t key = 0; key < count; ++key) {
      max = hn::Max(LoadFloat(scores + key * kRowBlock), max);
    }
    const VF shift = ShiftFor(max);
    VF sum = hn::Zero(d);
    for (int64_t key = 0; key < count; ++key) {
      float* at = scores + key * kRowBlock;
      const VF weight = Exp(hn::Sub(LoadFloat(at), shift));
      sum = hn::Add(sum, weight);
      StoreFloat(weight, at);
    }
    const VF factor = Exp(hn::Sub(old_max, shift));
    StoreFloat(hn::MulAdd(LoadFloat(sum_ + col), factor, sum), sum_ + col);
    StoreFloat(factor, factor_ + col);
    StoreFloat(max, max_ + col);
    return !hn::AllTrue(d, hn::Eq(max, old_max));
  }

  void RescaleValues() {
    const int64_t width = Width(*problem_);
    for (int64_t r = 0; r < rows_; ++r) {
      if (factor_[r] == 1) continue;
      const VF factor = hn::Set(F32(), factor_[r]);
      float* values = values_ + r * width;
      for (int64_t i = 0; i < width; i += kTileLanes) {
        StoreFloat(hn::Mul(LoadFloat(values + i), factor), values + i);
      }
    }
  }

  const AttentionProblem* problem_;
  int64_t b_, kv_head_;
  int64_t begin_, rows_;
  float* max_;      // of the scores seen, per row
  float* sum_;      // of exp(score - max)
  float* factor_;   // exp(old max - max) of the last block of keys
  float* queries_;  // packed, as right panels
  float* values_;   // weighted sums, [kRowBlock, Width]
};

// Rows [begin, end) of the heads of kv_head.
template <class T>
void AttendRows(const AttentionProblem& problem, int64_t b, int64_t kv_head,
                int64_t begin, int64_t end, T* out) {
  const int64_t dim = problem.dim, value_dim = problem.value_dim;
  // Panels begin at whole vectors.
  const int64_t key_floats = RoundUp(kKeyBlock * dim, kTileLanes);
  const int64_t value_floats = kKeyBlock * RoundUp(value_dim, kTileCols);
  thread_local Scratch scratch;
  float* scores =
      scratch.Get(kKeyBlock * kRowBlock + key_floats + value_floats +
                  kRowBlock * dim + kBlocksOfTask * RowBlock::Floats(problem));
  float* keys = scores + kKeyBlock * kRowBlock;
  float* values = keys + key_floats;
  float* decoded = values + value_floats;
  float* memory = decoded + kRowBlock * dim;

  RowBlock blocks[kBlocksOfTask];
  int64_t count = 0;
  KeyRange all = {problem.keys, 0};
  for (int64_t row = begin; row < end; row += kRowBlock) {
    blocks[count].Start(problem, b, kv_head, row,
                        std::min(end, row + kRowBlock),
                        memory + count * RowBlock::Floats(problem), decoded);
    const KeyRange seen = blocks[count++].visible();
    all = {std::min(all.begin, seen.begin), std::max(all.end, seen.end)};
  }
  const Matrix all_keys = problem.KeysOf(b, kv_head);
  const Matrix all_values = problem.ValuesOf(b, kv_head);
  for (int64_t key = all.begin; key < all.end; key += kKeyBlock) {
    const KeyRange range = {key, std::min(all.end, key + kKeyBlock)};
    const int64_t n = range.end - range.begin;
    Pack<kTileRows>(all_keys.From(key, 0), n, dim, keys);
    Pack<kTileCols>(all_values.From(key, 0).Transposed(), value_dim, n, values);
    for (int64_t i = 0; i < count; ++i) {
      const KeyRange seen = blocks[i].visible();
      if (seen.begin >= range.end || seen.end <= range.begin) continue;
      blocks[i].Attend(range, keys, values, scores);
    }
  }
  for (int64_t i = 0; i < count; ++i) blocks[i].Finish(out);
}

template <class T>
void AttendBlocked(const AttentionProblem& problem, T* out) {
  constexpr int64_t kTaskRows = kBlocksOfTask * kRowBlock;
  const int64_t rows = problem.queries * problem.group;
  const int64_t tasks_of_head = CeilDiv(rows, kTaskRows);
  const int64_t heads = problem.batch * problem.kv_heads;
  ParallelFor(heads * tasks_of_head, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task / tasks_of_head;
      const int64_t row = task % tasks_of_head * kTaskRows;
      AttendRows(problem, head / problem.kv_heads, head % problem.kv_heads, row,
                 std::min(rows, row + kTaskRows), out);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_ATTENTION_BLOCKED_INL_H_
