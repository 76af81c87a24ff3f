// Products with more than a handful of rows: pack, then walk tiles. The result
// is cut into blocks by its shape alone; a block is finished while it is still
// in the second-level cache. Few rows: matmul_few_rows-inl.h.
#if defined(TL_CPU_MATMUL_BLOCKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_BLOCKED_INL_H_
#undef TL_CPU_MATMUL_BLOCKED_INL_H_
#else
#define TL_CPU_MATMUL_BLOCKED_INL_H_
#endif

#include <algorithm>

#include "base/parallel.h"
#include "cpu/matmul_pack-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Depth of one pass: a left panel of it fits the first-level cache. Also part
// of the result: passes are summed one after the other, on every target.
inline constexpr int64_t kPassDepth = 512;
// Packing is cut into pieces of about this many rows or columns.
inline constexpr int64_t kPackStep = 96;
static_assert(kPackStep % kTileRows == 0 && kPackStep % kTileCols == 0);

// How a product is cut. Strips bound the packed copies; blocks are the pieces
// that threads take, small enough for the second-level cache.
struct Blocking {
  int64_t strip_rows, strip_cols;
  int64_t block_rows, block_cols;
};

inline Blocking BlockingOf(int64_t m, int64_t k, int64_t n) {
  constexpr int64_t kPackedFloats = int64_t{4} << 20;  // 16 MB a side
  constexpr int64_t kPieces = 32;  // so that 8 threads end at about one time
  Blocking cut;
  cut.block_rows = kPackStep;
  cut.block_cols = 16 * kTileCols;
  const auto too_few = [&] {
    return CeilDiv(m, cut.block_rows) * CeilDiv(n, cut.block_cols) < kPieces;
  };
  while (too_few() && cut.block_cols > 4 * kTileCols) cut.block_cols /= 2;
  while (too_few() && cut.block_rows > 24) cut.block_rows /= 2;
  while (too_few() && cut.block_cols > kTileCols) cut.block_cols /= 2;
  cut.strip_rows =
      std::max(kPackedFloats / k / kPackStep * kPackStep, 4 * kPackStep);
  cut.strip_cols =
      std::max(kPackedFloats / k / kPackStep * kPackStep, 6 * kPackStep);
  return cut;
}

// Rows of one operand, packed: pass after pass, panel after panel.
template <int W>
class PackedOperand {
 public:
  static int64_t Floats(int64_t rows, int64_t depth) {
    return RoundUp(rows, W) * depth;
  }

  PackedOperand(const Matrix& from, int64_t rows, int64_t depth, float* data)
      : from_(from), rows_(rows), depth_(depth), data_(data) {}

  int64_t pieces() const { return CeilDiv(rows_, kPackStep); }

  void PackPiece(int64_t piece) {
    const int64_t row = piece * kPackStep;
    const int64_t count = std::min(kPackStep, rows_ - row);
    for (int64_t k = 0; k < depth_; k += kPassDepth) {
      const int64_t depth = std::min(kPassDepth, depth_ - k);
      Pack<W>(from_.From(row, k), count, depth, At(row, k));
    }
  }

  // The panel that begins with `row` in the pass that begins at depth k.
  float* At(int64_t row, int64_t k) const {
    return data_ + RoundUp(rows_, W) * k +
           row * std::min(kPassDepth, depth_ - k);
  }

 private:
  Matrix from_;
  int64_t rows_;
  int64_t depth_;
  float* data_;
};

using LeftOperand = PackedOperand<kTileRows>;
using RightOperand = PackedOperand<kTileCols>;

// Packs what is new; `left` or `right` may be null: packed before.
inline void PackBoth(LeftOperand* left, RightOperand* right) {
  const int64_t lefts = left == nullptr ? 0 : left->pieces();
  const int64_t rights = right == nullptr ? 0 : right->pieces();
  ParallelFor(lefts + rights, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (i < rights) {
        right->PackPiece(i);
      } else {
        left->PackPiece(i - rights);
      }
    }
  });
}

// The product of two packed strips, block by block. Positions handed to
// `finish` count from row0 and col0.
template <class Finish>
void MultiplyStrips(const LeftOperand& left, const RightOperand& right,
                    int64_t row0, int64_t rows, int64_t col0, int64_t cols,
                    int64_t depth, const Blocking& cut, const Finish& finish) {
  const int64_t down = CeilDiv(rows, cut.block_rows);
  const int64_t across = CeilDiv(cols, cut.block_cols);
  ParallelFor(down * across, 1, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* block = scratch.Get(cut.block_rows * cut.block_cols);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i % down * cut.block_rows;
      const int64_t col = i / down * cut.block_cols;
      const int64_t m = std::min(cut.block_rows, rows - row);
      const int64_t n = std::min(cut.block_cols, cols - col);
      for (int64_t k = 0; k < depth; k += kPassDepth) {
        MultiplyPanels(left.At(row, k), m, right.At(col, k), n,
                       std::min(kPassDepth, depth - k), block, cut.block_cols,
                       k == 0 ? Store::kReplace : Store::kAdd);
      }
      for (int64_t r = 0; r < m; ++r) {
        finish(row0 + row + r, col0 + col, n, block + r * cut.block_cols);
      }
    }
  });
}

// Few enough rows for one block: every piece of w is needed by one task only,
// which packs it into its own cache, one pass at a time.
template <class Finish>
void MultiplyFlat(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                  int64_t n, const Blocking& cut, const Finish& finish) {
  thread_local Scratch left_scratch;
  LeftOperand left(x, m, k, left_scratch.Get(LeftOperand::Floats(m, k)));
  PackBoth(&left, nullptr);
  ParallelFor(CeilDiv(n, cut.block_cols), 1, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    const int64_t width = cut.block_cols;
    float* block = scratch.Get(width * (m + kPassDepth));
    float* panels = block + width * m;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t col = i * width;
      const int64_t cols = std::min(width, n - col);
      for (int64_t depth0 = 0; depth0 < k; depth0 += kPassDepth) {
        const int64_t depth = std::min(kPassDepth, k - depth0);
        Pack<kTileCols>(w.From(depth0, col).Transposed(), cols, depth, panels);
        MultiplyPanels(left.At(0, depth0), m, panels, cols, depth, block, width,
                       depth0 == 0 ? Store::kReplace : Store::kAdd);
      }
      for (int64_t r = 0; r < m; ++r) finish(r, col, cols, block + r * width);
    }
  });
}

// x[m, k] @ w[k, n], none of them 0. `finish(row, col, count, values)` takes
// `count` products of a row, beginning at column col, on any thread.
template <class Finish>
void MultiplyBlocked(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                     int64_t n, const Finish& finish) {
  const Blocking cut = BlockingOf(m, k, n);
  if (m <= kPackStep) return MultiplyFlat(x, w, m, k, n, cut, finish);
  thread_local Scratch left_scratch, right_scratch;
  for (int64_t col = 0; col < n; col += cut.strip_cols) {
    const int64_t cols = std::min(cut.strip_cols, n - col);
    RightOperand right(w.From(0, col).Transposed(), cols, k,
                       right_scratch.Get(RightOperand::Floats(cols, k)));
    for (int64_t row = 0; row < m; row += cut.strip_rows) {
      const int64_t rows = std::min(cut.strip_rows, m - row);
      LeftOperand left(x.From(row, 0), rows, k,
                       left_scratch.Get(LeftOperand::Floats(rows, k)));
      const bool left_is_packed = col > 0 && m <= cut.strip_rows;
      PackBoth(left_is_packed ? nullptr : &left, row == 0 ? &right : nullptr);
      MultiplyStrips(left, right, row, rows, col, cols, k, cut, finish);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_BLOCKED_INL_H_
