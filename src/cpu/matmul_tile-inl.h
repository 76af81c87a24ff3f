// The inner loop of a matrix product: a tile of results that stays in vector
// registers while two packed panels pass by. Everything around it only feeds
// it; see matmul_blocked-inl.h.
#if defined(TL_CPU_MATMUL_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_TILE_INL_H_
#undef TL_CPU_MATMUL_TILE_INL_H_
#else
#define TL_CPU_MATMUL_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
// A tile is kTileRows x kTileVectors vectors. With 32 registers, 12 rows of two
// vectors leave room for the right panel and broadcasts; 14 loads feed 24
// multiply-adds, and a left panel of 12 x 512 floats (24 KB) stays in the
// first-level cache while right panels stream past it. 16 registers hold 4 x 3.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
inline constexpr int kTileRows = 12;
inline constexpr int kTileVectors = 2;
#else
inline constexpr int kTileRows = 4;
inline constexpr int kTileVectors = 3;
#endif
inline constexpr int kTileLanes = hn::MaxLanes(F32());
inline constexpr int kTileCols = kTileVectors * kTileLanes;

inline int64_t CeilDiv(int64_t n, int64_t step) {
  return (n + step - 1) / step;
}
inline int64_t RoundUp(int64_t n, int64_t step) {
  return CeilDiv(n, step) * step;
}

// What a tile does with the floats already at its place.
enum class Store { kReplace, kAdd };

// c[R, kTileCols] = or += left panel * right panel over `depth`. Every element
// is one chain of multiply-adds in the order of depth. The left panel's floats
// of one depth are `left_step` from those of the next: kTileRows if packed.
template <int R>
HWY_NOINLINE void MultiplyTile(const float* HWY_RESTRICT left,
                               int64_t left_step,
                               const float* HWY_RESTRICT right, int64_t depth,
                               float* HWY_RESTRICT c, int64_t c_stride,
                               Store store) {
  const F32 d;
  VF sum[R][kTileVectors];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kTileVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int64_t k = 0; k < depth; ++k) {
    VF b[kTileVectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kTileVectors; ++v) {
      b[v] = hn::Load(d, right + v * kTileLanes);
    }
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const VF a = hn::Set(d, left[r]);
      HWY_UNROLL(16)
      for (int v = 0; v < kTileVectors; ++v) {
        sum[r][v] = hn::MulAdd(a, b[v], sum[r][v]);
      }
    }
    left += left_step;
    right += kTileCols;
  }
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kTileVectors; ++v) {
      float* to = c + r * c_stride + v * kTileLanes;
      if (store == Store::kAdd)
        sum[r][v] = hn::Add(hn::LoadU(d, to), sum[r][v]);
      hn::StoreU(sum[r][v], d, to);
    }
  }
}

// The same for at most kTileRows rows, whatever their number.
inline void MultiplyRows(int64_t rows, const float* left, int64_t left_step,
                         const float* right, int64_t depth, float* c,
                         int64_t c_stride, Store store) {
  if (rows == kTileRows) {
    return MultiplyTile<kTileRows>(left, left_step, right, depth, c, c_stride,
                                   store);
  }
  for (; rows >= 4; rows -= 4) {
    MultiplyTile<4>(left, left_step, right, depth, c, c_stride, store);
    left += 4;
    c += 4 * c_stride;
  }
  if (rows >= 2) {
    MultiplyTile<2>(left, left_step, right, depth, c, c_stride, store);
    left += 2;
    c += 2 * c_stride;
    rows -= 2;
  }
  if (rows == 1) {
    MultiplyTile<1>(left, left_step, right, depth, c, c_stride, store);
  }
}

// c[rows, cols] = or += the product of packed panels; c has whole tiles of
// columns. Right panels pass in groups that stay in the second-level cache
// while every left panel meets them.
inline void MultiplyPanels(const float* left, int64_t rows, const float* right,
                           int64_t cols, int64_t depth, float* c,
                           int64_t c_stride, Store store) {
  constexpr int64_t kGroup = 8 * kTileCols;  // 512 KB at depth 512
  for (int64_t group = 0; group < cols; group += kGroup) {
    const int64_t stop = std::min(cols, group + kGroup);
    for (int64_t row = 0; row < rows; row += kTileRows) {
      const int64_t count = std::min<int64_t>(kTileRows, rows - row);
      for (int64_t col = group; col < stop; col += kTileCols) {
        MultiplyRows(count, left + row * depth, kTileRows, right + col * depth,
                     depth, c + row * c_stride + col, c_stride, store);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_TILE_INL_H_
