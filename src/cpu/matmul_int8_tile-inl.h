// Products of many rows with packed weights, in int8. A panel of weights is
// unpacked once, shifted to what the multiply instruction takes, and laid out
// so that a lane of a vector is one column; then every tile of x passes it.
// Within a group of the type sums are integers; each group is added to the
// float32 sums with its two scales. Few rows: matmul_int8_walk-inl.h.
#if defined(TL_CPU_MATMUL_INT8_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_INT8_TILE_INL_H_
#undef TL_CPU_MATMUL_INT8_TILE_INL_H_
#else
#define TL_CPU_MATMUL_INT8_TILE_INL_H_
#endif

#include <algorithm>

#include "base/parallel.h"
#include "cpu/int8_rows-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/unpack.h"

TL_INT8_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Integer and float sums of a tile stay in registers together.
#if HWY_TARGET <= HWY_AVX3
inline constexpr int kInt8Rows = 6;
#else
inline constexpr int kInt8Rows = 3;
#endif
inline constexpr int kInt8Vectors = 2;
inline constexpr int kInt8Cols = kInt8Vectors * kTileLanes;

// kInt8Cols rows of weights, that is columns of the product. Group after group;
// within one, cell after cell: kInt8Cols lanes of kCell integers.
struct Int8Panel {
  const WInt* q;        // [k / kCell, kInt8Cols, kCell]
  const float* scale;   // [groups, kInt8Cols]
  const float* offset;  // the same; null if the type has none
};

template <int R>
using Int8Sums = VF[R][kInt8Vectors];

// The integer products of one group, for R rows of x that are x_stride apart.
template <int R>
HWY_INLINE void MultiplyGroup(const WInt* HWY_RESTRICT w,
                              const XInt* HWY_RESTRICT x, int64_t x_stride,
                              const int32_t* HWY_RESTRICT shift,
                              int64_t shift_stride, int cells,
                              VI (&sum)[R][kInt8Vectors]) {
  const I32Lanes di;
  const hn::Repartition<WInt, I32Lanes> dw;
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    const VI start =
        kWeightShift != 0 ? hn::Set(di, shift[r * shift_stride]) : hn::Zero(di);
    HWY_UNROLL(16)
    for (int v = 0; v < kInt8Vectors; ++v) sum[r][v] = start;
  }
  for (int c = 0; c < cells; ++c) {
    hn::Vec<decltype(dw)> weight[kInt8Vectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kInt8Vectors; ++v) {
      weight[v] = hn::LoadU(dw, w + (c * kInt8Cols + v * kTileLanes) * kCell);
    }
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      int32_t cell;
      std::memcpy(&cell, x + r * x_stride + c * kCell, sizeof(cell));
      const auto value = hn::BitCast(dw, hn::Set(di, cell));
      HWY_UNROLL(16)
      for (int v = 0; v < kInt8Vectors; ++v) {
        sum[r][v] = AddCells(sum[r][v], weight[v], value);
      }
    }
  }
}

// c[R, kInt8Cols] = the rows of x from `row` on times the panel.
template <int R, bool offsets>
HWY_NOINLINE void MultiplyInt8Tile(const Int8Rows& x, int64_t row,
                                   const Int8Panel& panel, float* c,
                                   int64_t c_stride) {
  const F32 d;
  const int cells = x.group / kCell;
  const int64_t groups = x.groups();
  const XInt* q = x.q + row * x.k;
  const int64_t at = row * groups;
  VF total[R][kInt8Vectors];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kInt8Vectors; ++v) total[r][v] = hn::Zero(d);
  }
  for (int64_t g = 0; g < groups; ++g) {
    VI sum[R][kInt8Vectors];
    MultiplyGroup<R>(panel.q + g * cells * kInt8Cols * kCell, q + g * x.group,
                     x.k, x.shift + at + g, groups, cells, sum);
    const float* scale = panel.scale + g * kInt8Cols;
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const VF x_scale = hn::Set(d, x.scale[at + r * groups + g]);
      HWY_UNROLL(16)
      for (int v = 0; v < kInt8Vectors; ++v) {
        const VF factor = hn::Mul(x_scale, hn::LoadU(d, scale + v * kTileLanes));
        total[r][v] =
            hn::MulAdd(hn::ConvertTo(d, sum[r][v]), factor, total[r][v]);
      }
    }
    if constexpr (offsets) {
      const float* offset = panel.offset + g * kInt8Cols;
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        const VF x_sum = hn::Set(d, x.sum[at + r * groups + g]);
        HWY_UNROLL(16)
        for (int v = 0; v < kInt8Vectors; ++v) {
          total[r][v] = hn::MulAdd(
              x_sum, hn::LoadU(d, offset + v * kTileLanes), total[r][v]);
        }
      }
    }
  }
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kInt8Vectors; ++v) {
      hn::StoreU(total[r][v], d, c + r * c_stride + v * kTileLanes);
    }
  }
}

template <bool offsets>
void MultiplyInt8Rows(const Int8Rows& x, int64_t row, int64_t rows,
                      const Int8Panel& panel, float* c) {
  for (; rows >= kInt8Rows; rows -= kInt8Rows, row += kInt8Rows) {
    MultiplyInt8Tile<kInt8Rows, offsets>(x, row, panel, c, kInt8Cols);
    c += kInt8Rows * kInt8Cols;
  }
  for (; rows >= 2; rows -= 2, row += 2) {
    MultiplyInt8Tile<2, offsets>(x, row, panel, c, kInt8Cols);
    c += 2 * kInt8Cols;
  }
  if (rows == 1) MultiplyInt8Tile<1, offsets>(x, row, panel, c, kInt8Cols);
}

// Memory for one panel, and how it is filled.
class Int8PanelMaker {
 public:
  Int8PanelMaker(const PackedReader& reader, int64_t k)
      : reader_(reader), k_(k), groups_(k / reader.type.group) {}

  int64_t Floats() const {
    return k_ / kCell * kInt8Cols + 2 * groups_ * kInt8Cols;
  }

  // Packed rows that follow one another; columns they lack are zero.
  Int8Panel Make(const std::byte* from, int64_t rows, float* memory) const {
    WInt* const q = reinterpret_cast<WInt*>(memory);
    float* const scale = memory + k_ / kCell * kInt8Cols;
    float* const offset = scale + groups_ * kInt8Cols;
    if (rows < kInt8Cols) std::fill_n(memory, Floats(), 0.0f);
    UnpackedRun run;
    for (int64_t col = 0; col < rows; ++col) {
      for (int64_t at = 0; at < k_; at += kUnpackRun) {
        const int64_t count = std::min(kUnpackRun, k_ - at);
        reader_.unpack(from + reader_.BytesOf(col * k_ + at),
                       count / reader_.type.block, run);
        StoreColumn(run, at, count, q + col * kCell, scale + col, offset + col);
      }
    }
    return {q, scale, reader_.type.has_offset ? offset : nullptr};
  }

 private:
  void StoreColumn(const UnpackedRun& run, int64_t at, int64_t count, WInt* q,
                   float* scale, float* offset) const {
    WInt* to = q + at * kInt8Cols;
    for (int64_t i = 0; i < count; i += kCell, to += kCell * kInt8Cols) {
      WInt cell[kCell];
      for (int j = 0; j < kCell; ++j) {
        cell[j] = static_cast<WInt>(run.q[i + j] + kWeightShift);
      }
      std::memcpy(to, cell, sizeof(cell));
    }
    const int64_t first = at / reader_.type.group;
    for (int64_t g = 0; g < count / reader_.type.group; ++g) {
      scale[(first + g) * kInt8Cols] = run.scale[g];
      if (reader_.type.has_offset) {
        offset[(first + g) * kInt8Cols] = run.offset[g];
      }
    }
  }

  PackedReader reader_;
  int64_t k_;
  int64_t groups_;
};

// x[m, k] @ w[k, n]; w is the transpose of a packed matrix. See
// MultiplyBlocked for `finish`.
template <class Finish>
void MultiplyInt8(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                  int64_t n, const Finish& finish) {
  const PackedReader reader = PackedReaderOf(w.dtype);
  thread_local Scratch rows_scratch;
  const Int8Rows rows = RoundRows(x, m, k, reader.type.group, rows_scratch);
  const Int8PanelMaker maker(reader, k);
  ParallelFor(CeilDiv(n, kInt8Cols), 1, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* memory = scratch.Get(maker.Floats() + m * kInt8Cols);
    float* products = memory + maker.Floats();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t col = i * kInt8Cols;
      const int64_t cols = std::min<int64_t>(kInt8Cols, n - col);
      const Int8Panel panel = maker.Make(w.From(0, col).data, cols, memory);
      if (panel.offset != nullptr) {
        MultiplyInt8Rows<true>(rows, 0, m, panel, products);
      } else {
        MultiplyInt8Rows<false>(rows, 0, m, panel, products);
      }
      for (int64_t row = 0; row < m; ++row) {
        finish(row, col, cols, products + row * kInt8Cols);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_INT8_TILE_INL_H_
