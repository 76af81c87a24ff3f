// Packing: strided F16 or F32 matrices into f32 panels that the product's inner
// loop reads in order. Decoding happens here and nowhere else on this path.
//
// A panel of width W holds W rows of its source side by side, element (row,
// depth) at panel[depth * W + row]; rows the source lacks are zeros. The left
// matrix is packed as it is, the right one transposed.
#if defined(TL_CPU_MATMUL_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_PACK_INL_H_
#undef TL_CPU_MATMUL_PACK_INL_H_
#else
#define TL_CPU_MATMUL_PACK_INL_H_
#endif

#include <algorithm>

#include "cpu/float_rows-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
// Runs of a strided matrix are too short for the processor to see them coming.
// The address may lie past the matrix: fetching is no access.
template <class T>
HWY_INLINE void FetchRun(const T* from, int64_t count) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < count; i += kLine) hwy::Prefetch(from + i);
}

// Any strides, one element at a time; also the edges of the faster ones.
template <int W, class T>
void PackAny(const Matrix& from, int64_t rows, int64_t begin, int64_t end,
             float* panel) {
  const T* data = from.as<T>();
  for (int64_t depth = begin; depth < end; ++depth) {
    const T* p = data + depth * from.col_stride;
    float* to = panel + depth * W;
    for (int64_t row = 0; row < rows; ++row) {
      to[row] = OneFloat(p[row * from.row_stride]);
    }
    std::fill(to + rows, to + W, 0.0f);
  }
}

#if HWY_TARGET != HWY_SCALAR
// Writes the 128-bit blocks of v to `to`, `to + stride` and so on.
template <class D>
HWY_INLINE void StoreBlocks(D d, hn::Vec<D> v, float* to, int64_t stride) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D> half;
    constexpr int64_t kBlocks = hn::MaxLanes(half) / 4;
    StoreBlocks(half, hn::LowerHalf(half, v), to, stride);
    StoreBlocks(half, hn::UpperHalf(half, v), to + kBlocks * stride, stride);
  }
}

// Four rows of one vector each become, per 128-bit block, four columns of
// `to`, whose rows are `width` apart: a 4x4 transpose that no lane crosses.
template <class D>
HWY_INLINE void StoreTransposed4(D d, hn::Vec<D> r0, hn::Vec<D> r1,
                                 hn::Vec<D> r2, hn::Vec<D> r3, float* to,
                                 int64_t width) {
  const hn::Repartition<double, D> pair;
  const auto lo02 = hn::BitCast(pair, hn::InterleaveLower(d, r0, r1));
  const auto lo13 = hn::BitCast(pair, hn::InterleaveLower(d, r2, r3));
  const auto hi02 = hn::BitCast(pair, hn::InterleaveUpper(d, r0, r1));
  const auto hi13 = hn::BitCast(pair, hn::InterleaveUpper(d, r2, r3));
  const auto k0 = hn::BitCast(d, hn::InterleaveLower(pair, lo02, lo13));
  const auto k1 = hn::BitCast(d, hn::InterleaveUpper(pair, lo02, lo13));
  const auto k2 = hn::BitCast(d, hn::InterleaveLower(pair, hi02, hi13));
  const auto k3 = hn::BitCast(d, hn::InterleaveUpper(pair, hi02, hi13));
  StoreBlocks(d, k0, to, 4 * width);
  StoreBlocks(d, k1, to + width, 4 * width);
  StoreBlocks(d, k2, to + 2 * width, 4 * width);
  StoreBlocks(d, k3, to + 3 * width, 4 * width);
}

// Rows contiguous along the depth: four rows at a time through registers, and
// a cache line or two of each before the next four, so that few lines compete
// for the cache sets that a power-of-two row distance leaves.
template <int W, class T>
void PackAlongDepth(const Matrix& from, int64_t rows, int64_t depth,
                    float* panel) {
  const F32 d;
  constexpr int64_t kLanes = hn::MaxLanes(d);
  constexpr int64_t kStretch = 64;
  constexpr int64_t kAhead = 2 * kStretch;
  static_assert(W % 4 == 0 && kStretch % kLanes == 0);
  const T* data = from.as<T>();
  const int64_t whole = rows < W ? 0 : depth / kLanes * kLanes;
  for (int64_t start = 0; start < whole; start += kStretch) {
    const int64_t stop = std::min(whole, start + kStretch);
    for (int64_t row = 0; row < W; ++row) {
      FetchRun(data + row * from.row_stride + start + kAhead, kStretch);
    }
    for (int64_t row = 0; row < W; row += 4) {
      const T* p = data + row * from.row_stride;
      for (int64_t k = start; k < stop; k += kLanes) {
        StoreTransposed4(
            d, LoadFloat(p + k), LoadFloat(p + from.row_stride + k),
            LoadFloat(p + 2 * from.row_stride + k),
            LoadFloat(p + 3 * from.row_stride + k), panel + k * W + row, W);
      }
    }
  }
  PackAny<W, T>(from, rows, whole, depth, panel);
}
#else
template <int W, class T>
void PackAlongDepth(const Matrix& from, int64_t rows, int64_t depth,
                    float* panel) {
  PackAny<W, T>(from, rows, 0, depth, panel);
}
#endif

// Rows side by side in memory: every depth is one run of `rows` elements, cut
// into panels of W. All panels advance together, so the run is read in order.
template <int W, class T>
void PackAcross(const Matrix& from, int64_t rows, int64_t depth,
                float* panels) {
  const F32 d;
  constexpr int kLanes = hn::MaxLanes(F32());
  constexpr int kRest = W % kLanes;
  constexpr int64_t kAhead = 8;
  const int64_t whole = rows / W * W;
  for (int64_t k = 0; k < depth; ++k) {
    const T* p = from.as<T>() + k * from.col_stride;
    float* to = panels + k * W;
    FetchRun(p + kAhead * from.col_stride, rows);
    for (int64_t row = 0; row < whole; row += W) {
      for (int lane = 0; lane + kLanes <= W; lane += kLanes) {
        hn::StoreU(LoadFloat(p + row + lane), d, to + lane);
      }
      if constexpr (kRest != 0) {
        const T* rest = p + row + W - kRest;
        const VF v = row + W - kRest + kLanes <= rows ? LoadFloat(rest)
                                                      : LoadFirst(rest, kRest);
        hn::BlendedStore(v, hn::FirstN(d, kRest), d, to + W - kRest);
      }
      to += depth * W;
    }
  }
  if (whole < rows) {
    PackAny<W, T>(from.From(whole, 0), rows - whole, 0, depth,
                  panels + whole * depth);
  }
}

template <int W, class T>
void PackTyped(const Matrix& from, int64_t rows, int64_t depth, float* panels) {
  if (from.row_stride == 1) return PackAcross<W, T>(from, rows, depth, panels);
  for (int64_t row = 0; row < rows; row += W) {
    const Matrix part = from.From(row, 0);
    const int64_t count = std::min<int64_t>(W, rows - row);
    float* panel = panels + row * depth;
    if (from.col_stride == 1) {
      PackAlongDepth<W, T>(part, count, depth, panel);
    } else {
      PackAny<W, T>(part, count, 0, depth, panel);
    }
  }
}

// Packs `rows` rows of `depth` elements into ceil(rows / W) panels, one after
// the other.
template <int W>
void Pack(const Matrix& from, int64_t rows, int64_t depth, float* panels) {
  if (from.dtype == DType::F16) {
    PackTyped<W, uint16_t>(from, rows, depth, panels);
  } else {
    PackTyped<W, float>(from, rows, depth, panels);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_PACK_INL_H_
