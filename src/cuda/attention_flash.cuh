// The device code of attention_flash.h. A warp has 16 or 32 rows and all keys
// of a tile: its scores are weights, and operands of the next product, where
// they are computed. Copies of v run while scores are computed, those of the
// next tile's k while values are summed.
#pragma once

#include "cuda/async_copy.cuh"
#include "cuda/attention_flash.h"
#include "cuda/attention_problem.cuh"
#include "cuda/mma.cuh"

namespace tl::cuda {

// A tile of rows and the keys [begin, end) that some of them see.
struct FlashTile {
  HeadRows head;
  int first_row, rows;
  int begin, end;
};

template <int kDimsOf, int kRowTilesOf, int kKeysOf>
struct FlashShape {
  static constexpr int kDims = kDimsOf;          // at least dim and value_dim
  static constexpr int kRowTiles = kRowTilesOf;  // 16 rows each, of a warp
  static constexpr int kKeys = kKeysOf;          // of a tile
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kRows = kWarps * kRowTiles * 16;
  // An odd number of 16 bytes: the rows of an 8x8 matrix are in other banks.
  static constexpr int kPitch = kDims + 8;
  struct Seen {
    int begin, end;
  };
  static constexpr int kSharedBytes =
      (kRows + 2 * kKeys) * kPitch * int{sizeof(uint16_t)} +
      kRows * int{sizeof(Seen)} + int{sizeof(FlashTile)};
};

template <class Shape>
struct FlashShared {
  using Seen = typename Shape::Seen;

  TL_DEVICE explicit FlashShared(std::byte* memory)
      : q(reinterpret_cast<uint16_t*>(memory)),
        k(q + Shape::kRows * Shape::kPitch),
        v(k + Shape::kKeys * Shape::kPitch),
        seen(reinterpret_cast<Seen*>(v + Shape::kKeys * Shape::kPitch)),
        tile(reinterpret_cast<FlashTile*>(seen + Shape::kRows)) {}

  uint16_t* q;      // [kRows, kPitch]
  uint16_t* k;      // [kKeys, kPitch]
  uint16_t* v;      // [kKeys, kPitch]
  Seen* seen;       // of each row
  FlashTile* tile;  // here, since registers are scarce
};

// Later rows see more keys, where there is a difference: they come first, so
// that short tiles fill the gaps at the end.
template <class Shape>
TL_DEVICE FlashTile FlashTileOf(const FlashAttention& flash, int index) {
  const AttentionProblem& problem = flash.problem;
  const int kv_heads = static_cast<int>(problem.kv_heads);
  const int heads = static_cast<int>(problem.batch) * kv_heads;
  const int head = index % heads;
  FlashTile tile = {};
  tile.head = HeadRowsOf(problem, head / kv_heads, head % kv_heads);
  tile.first_row = (flash.row_tiles - 1 - index / heads) * Shape::kRows;
  const int left =
      static_cast<int>(problem.queries * problem.group) - tile.first_row;
  tile.rows = left < Shape::kRows ? left : Shape::kRows;
  const int last = tile.first_row + tile.rows - 1;
  tile.begin = static_cast<int>(
      Visible(problem, tile.head.QueryOf(tile.first_row)).begin);
  tile.end = static_cast<int>(Visible(problem, tile.head.QueryOf(last)).end);
  return tile;
}

// What is behind the rows and their elements becomes 0.
template <class Shape>
TL_DEVICE void CopyFlashQueries(const AttentionProblem& problem,
                                const FlashShared<Shape>& shared) {
  constexpr int kEights = Shape::kDims / 8;
  const FlashTile& tile = *shared.tile;
  for (int i = static_cast<int>(threadIdx.x); i < Shape::kRows * kEights;
       i += Shape::kThreads) {
    const int row = i / kEights, at = i % kEights * 8;
    const bool inside = row < tile.rows && at < problem.dim;
    const int64_t place =
        tile.head.PlaceOf(problem.q, tile.first_row + row) + at;
    CopyAsync16(shared.q + row * Shape::kPitch + at,
                tile.head.q + (inside ? place : 0), inside ? 16 : 0);
  }
  for (int row = static_cast<int>(threadIdx.x); row < Shape::kRows;
       row += Shape::kThreads) {
    const int r = tile.first_row + (row < tile.rows ? row : tile.rows - 1);
    const KeyRange seen = Visible(problem, tile.head.QueryOf(r));
    shared.seen[row] = {static_cast<int>(seen.begin),
                        static_cast<int>(seen.end)};
  }
}

// Keys [key, key + kKeys) of k or v; what is behind the last and behind their
// elements becomes 0.
template <class Shape>
TL_DEVICE void CopyFlashKeys(const uint16_t* from, int64_t stride, int dim,
                             int key, int end, uint16_t* to) {
  constexpr int kEights = Shape::kDims / 8;
  static_assert(Shape::kKeys * kEights % Shape::kThreads == 0);
#pragma unroll 1
  for (int j = 0; j < Shape::kKeys * kEights / Shape::kThreads; ++j) {
    const int i = static_cast<int>(threadIdx.x) + j * Shape::kThreads;
    const int row = i / kEights, at = i % kEights * 8;
    const bool inside = key + row < end && at < dim;
    CopyAsync16(to + row * Shape::kPitch + at,
                inside ? from + (key + row) * stride + at : from,
                inside ? 16 : 0);
  }
}

// A warp's rows g and g + 8 of each 16: [0] and [1].
template <class Shape>
struct FlashRows {
  float max[Shape::kRowTiles][2];
  float sum[Shape::kRowTiles][2];  // of this lane's keys, until the end
  float values[Shape::kRowTiles][Shape::kDims / 8][4];
};
template <class Shape>
using FlashScores = float[Shape::kRowTiles][Shape::kKeys / 8][4];

template <class Shape>
TL_DEVICE void FlashProducts(const FlashShared<Shape>& shared, int first_row,
                             FlashScores<Shape>& scores) {
  const int i = Lane();
  const uint16_t* q =
      shared.q + (first_row + i % 16) * Shape::kPitch + i / 16 * 8;
  const uint16_t* k =
      shared.k + (i % 8 + i / 16 * 8) * Shape::kPitch + i / 8 % 2 * 8;
#pragma unroll
  for (int m = 0; m < Shape::kRowTiles; ++m) {
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 8 * 4; ++n) scores[m][n / 4][n % 4] = 0;
  }
#pragma unroll 2
  for (int d = 0; d < Shape::kDims; d += 16) {
    uint32_t a[Shape::kRowTiles][4];
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; ++m) {
      LoadMatrices(a[m], q + m * 16 * Shape::kPitch + d);
    }
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 8; n += 2) {
      uint32_t b[4];
      LoadMatrices(b, k + n * 8 * Shape::kPitch + d);
#pragma unroll
      for (int m = 0; m < Shape::kRowTiles; ++m) {
        Mma(scores[m][n], a[m], {b[0], b[1]});
        Mma(scores[m][n + 1], a[m], {b[2], b[3]});
      }
    }
  }
}

// Of keys key + 8 (i / 2) + 2t + i % 2 a bit i for each that the row does not
// see.
template <class Shape>
TL_DEVICE uint32_t HiddenKeys(const AttentionProblem& problem,
                              const FlashTile& tile,
                              const typename Shape::Seen& seen, int row,
                              int key) {
  static_assert(Shape::kKeys / 4 <= 32);
  const AttentionOperand& mask = problem.mask;
  const bool masked = mask.data != nullptr && row < tile.rows;
  const int64_t place =
      masked ? tile.head.MaskPlace(problem, tile.first_row + row) : 0;
  uint32_t bits = 0;
#pragma unroll 1
  for (int i = 0; i < Shape::kKeys / 4; ++i) {
    const int at = key + i / 2 * 8 + Lane() % 4 * 2 + i % 2;
    bool hidden = at < seen.begin || at >= seen.end;
    if (masked && !hidden) {
      hidden = LoadAsFloat(mask, place + at * mask.element_stride) == 0;
    }
    bits |= uint32_t{hidden} << i;
  }
  return bits;
}

// Where some of the warp's rows do not see some of the tile's keys.
template <class Shape>
TL_DEVICE void HideFlashScores(const AttentionProblem& problem,
                               const FlashTile& tile,
                               const FlashShared<Shape>& shared, int first_row,
                               int key, FlashScores<Shape>& scores) {
#pragma unroll
  for (int half = 0; half < Shape::kRowTiles * 2; ++half) {
    const int row = first_row + half * 8 + Lane() / 4;
    const uint32_t bits =
        HiddenKeys<Shape>(problem, tile, shared.seen[row], row, key);
#pragma unroll
    for (int i = 0; i < Shape::kKeys / 4; ++i) {
      float& score = scores[half / 2][i / 2][half % 2 * 2 + i % 2];
      if (bits >> i & 1) score = Hidden();
    }
  }
}

// Products become weights; what was summed before shrinks as the maximum grows.
template <class Shape>
TL_DEVICE void UpdateFlashSoftmax(float scale, FlashScores<Shape>& scores,
                                  FlashRows<Shape>& rows) {
  float factor[Shape::kRowTiles][2];
  bool moved = false;
#pragma unroll
  for (int half = 0; half < Shape::kRowTiles * 2; ++half) {
    const int m = half / 2, j = half % 2;
    float max = Hidden();
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 8; ++n) {
      max = fmaxf(max, fmaxf(scores[m][n][2 * j], scores[m][n][2 * j + 1]));
    }
    max = fmaxf(max, __shfl_xor_sync(kFullWarp, max, 1));
    max = fmaxf(max, __shfl_xor_sync(kFullWarp, max, 2));
    max = fmaxf(max * scale, rows.max[m][j]);
    factor[m][j] = Exp2(rows.max[m][j] - ShiftFor(max));
    moved |= max != rows.max[m][j];
    rows.max[m][j] = max;
    const float shift = ShiftFor(max) - kWeightPower;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 8; ++n) {
#pragma unroll
      for (int c = 2 * j; c < 2 * j + 2; ++c) {
        scores[m][n][c] = Exp2(fmaf(scores[m][n][c], scale, -shift));
        sum += scores[m][n][c];
      }
    }
    rows.sum[m][j] = fmaf(rows.sum[m][j], factor[m][j], sum);
  }
  if (!__any_sync(kFullWarp, moved)) return;
#pragma unroll
  for (int m = 0; m < Shape::kRowTiles; ++m) {
#pragma unroll
    for (int i = 0; i < Shape::kDims / 8 * 4; ++i) {
      rows.values[m][i / 4][i % 4] *= factor[m][i % 4 / 2];
    }
  }
}

template <class Shape>
TL_DEVICE void AddFlashValues(const FlashShared<Shape>& shared,
                              const FlashScores<Shape>& weights,
                              FlashRows<Shape>& rows) {
  const int i = Lane();
  const uint16_t* v = shared.v + i % 16 * Shape::kPitch + i / 16 * 8;
#pragma unroll
  for (int n = 0; n < Shape::kKeys / 8; n += 2) {
    uint32_t high[Shape::kRowTiles][4], low[Shape::kRowTiles][4];
#pragma unroll
    for (int j = 0; j < Shape::kRowTiles * 4; ++j) {
      const float* from = &weights[j / 4][n + j % 4 / 2][j % 2 * 2];
      const HalfPair pair = SplitHalves(from[0], from[1]);
      high[j / 4][j % 4] = pair.high;
      low[j / 4][j % 4] = pair.low;
    }
#pragma unroll
    for (int d = 0; d < Shape::kDims / 8; d += 2) {
      uint32_t b[4];
      LoadMatricesTransposed(b, v + n * 8 * Shape::kPitch + d * 8);
#pragma unroll
      for (int m = 0; m < Shape::kRowTiles; ++m) {
        Mma(rows.values[m][d], high[m], {b[0], b[1]});
        Mma(rows.values[m][d + 1], high[m], {b[2], b[3]});
        Mma(rows.values[m][d], low[m], {b[0], b[1]});
        Mma(rows.values[m][d + 1], low[m], {b[2], b[3]});
      }
    }
  }
}

template <class Shape>
TL_DEVICE void StoreFlashRows(const AttentionProblem& problem,
                              const FlashTile& tile, int first_row,
                              const FlashRows<Shape>& rows) {
#pragma unroll
  for (int half = 0; half < Shape::kRowTiles * 2; ++half) {
    const int m = half / 2, j = half % 2;
    float sum = rows.sum[m][j];
    sum += __shfl_xor_sync(kFullWarp, sum, 1);
    sum += __shfl_xor_sync(kFullWarp, sum, 2);
    const float inverse = sum == 0 ? 0.0f : 1 / sum;
    const int row = first_row + half * 8 + Lane() / 4;
    if (row >= tile.rows) continue;
    const int64_t place =
        tile.head.ResultPlace(problem, tile.first_row + row) + Lane() % 4 * 2;
#pragma unroll
    for (int d = 0; d < Shape::kDims / 8; ++d) {
      if (d * 8 >= problem.value_dim) break;
      const float first = rows.values[m][d][2 * j] * inverse;
      const float second = rows.values[m][d][2 * j + 1] * inverse;
      if (problem.dtype == DType::F16) {
        *reinterpret_cast<uint32_t*>(reinterpret_cast<uint16_t*>(problem.out) +
                                     place + d * 8) = PackHalves(first, second);
      } else {
        *reinterpret_cast<float2*>(reinterpret_cast<float*>(problem.out) +
                                   place + d * 8) = make_float2(first, second);
      }
    }
  }
}

// By a warp whose rows begin at `first_row` of the tile: the scores of a tile
// of keys as weights. False if no row sees any of them.
template <class Shape>
TL_DEVICE bool FlashWeights(const AttentionProblem& problem,
                            const FlashTile& tile,
                            const FlashShared<Shape>& shared, int first_row,
                            int key, FlashScores<Shape>& scores,
                            FlashRows<Shape>& rows) {
  const auto first = shared.seen[first_row];
  const auto last = shared.seen[first_row + Shape::kRowTiles * 16 - 1];
  if (key >= last.end || key + Shape::kKeys <= first.begin) return false;
  FlashProducts(shared, first_row, scores);
  float scale = problem.scale;
  if (problem.cap != 0) {
    scale = 1;
#pragma unroll
    for (int i = 0; i < Shape::kRowTiles * Shape::kKeys / 2; ++i) {
      float& score =
          scores[i / (Shape::kKeys / 2)][i / 4 % (Shape::kKeys / 8)][i % 4];
      score = CappedScore(problem, score);
    }
  }
  const bool all = key >= last.begin && key + Shape::kKeys <= first.end;
  if (!all || problem.mask.data != nullptr) {
    HideFlashScores(problem, tile, shared, first_row, key, scores);
  }
  UpdateFlashSoftmax<Shape>(scale, scores, rows);
  return true;
}

// Tile `index` of flash.row_tiles for each head of k and v, by a block of
// Shape::kThreads with Shape::kSharedBytes of shared memory, 16-byte aligned.
template <class Shape>
TL_DEVICE void FlashAttentionTile(const FlashAttention& flash, int index,
                                  std::byte* memory) {
  const AttentionProblem& problem = flash.problem;
  const FlashShared<Shape> shared(memory);
  if (threadIdx.x == 0) *shared.tile = FlashTileOf<Shape>(flash, index);
  __syncthreads();
  const FlashTile& tile = *shared.tile;
  const int first_row = WarpOf() * Shape::kRowTiles * 16;
  const int dim = static_cast<int>(problem.dim);
  const int value_dim = static_cast<int>(problem.value_dim);
  CopyFlashQueries(problem, shared);
  CopyFlashKeys<Shape>(tile.head.k, problem.k.row_stride, dim, tile.begin,
                       tile.end, shared.k);
  CommitCopies();
  FlashRows<Shape> rows;
#pragma unroll
  for (int m = 0; m < Shape::kRowTiles; ++m) {
    rows.max[m][0] = rows.max[m][1] = Hidden();
    rows.sum[m][0] = rows.sum[m][1] = 0;
#pragma unroll
    for (int i = 0; i < Shape::kDims / 2; ++i) rows.values[m][i / 4][i % 4] = 0;
  }
  for (int key = tile.begin; key < tile.end; key += Shape::kKeys) {
    WaitForCopies<0>();
    __syncthreads();
    CopyFlashKeys<Shape>(tile.head.v, problem.v.row_stride, value_dim, key,
                         tile.end, shared.v);
    CommitCopies();
    FlashScores<Shape> scores;
    const bool seen =
        FlashWeights(problem, tile, shared, first_row, key, scores, rows);
    WaitForCopies<0>();
    __syncthreads();
    if (key + Shape::kKeys < tile.end) {
      CopyFlashKeys<Shape>(tile.head.k, problem.k.row_stride, dim,
                           key + Shape::kKeys, tile.end, shared.k);
      CommitCopies();
    }
    if (seen) AddFlashValues(shared, scores, rows);
  }
  WaitForCopies<0>();
  StoreFlashRows(problem, tile, first_row, rows);
}

}  // namespace tl::cuda
