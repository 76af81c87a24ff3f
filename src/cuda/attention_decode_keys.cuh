// A warp of a decode takes 16 keys at a time, from memory to registers in the
// layout that its tensor cores want: scores are K Q^T and values V^T W^T, so
// that the 8 columns of a product are rows of the problem. The order of a
// head's elements in a product is free, so a lane takes 8 neighbours of them
// (16 bytes) for what the layout calls four pairs.
#pragma once

#include "cuda/attention_decode_item.cuh"
#include "cuda/mma.cuh"

namespace tl::cuda {

// A warp's softmax of up to kRows rows: columns 8n + 2t, 8n + 2t + 1 of a
// product.
template <class Shape>
struct DecodeRows {
  static constexpr int kTiles = Shape::kRows / 8;
  static constexpr int kChunks = Shape::kDims / 64;  // of v

  float max[kTiles][2];
  float sum[kTiles][2];  // of this lane's keys, until the end
  // Elements 64c + 8g + 2i and the next, of both rows.
  float values[kChunks][4][kTiles][4];

  TL_DEVICE void Start() {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      max[n][0] = max[n][1] = Hidden();
      sum[n][0] = sum[n][1] = 0;
#pragma unroll
      for (int i = 0; i < kChunks * 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) values[i / 4][i % 4][n][j] = 0;
      }
    }
  }
};

// Keys key + g and key + g + 8 with each row. Keys at `last` and behind it are
// those before it again.
template <class Shape>
TL_DEVICE void DecodeScores(const AttentionProblem& problem,
                            const DecodeItem& item, int key,
                            const DecodeShared<Shape>& shared,
                            float (&scores)[Shape::kRows / 8][4]) {
  const int g = Lane() / 4, t = Lane() % 4, last = item.end - 1;
  const int64_t stride = problem.k.row_stride;
  const uint16_t* low =
      item.tile.head.k + (key + g < last ? key + g : last) * stride;
  const uint16_t* high =
      item.tile.head.k + (key + g + 8 < last ? key + g + 8 : last) * stride;
#pragma unroll
  for (int i = 0; i < Shape::kRows / 8 * 4; ++i) scores[i / 4][i % 4] = 0;
  constexpr int kDimsAtOnce = Shape::kDimsAtOnce;
#pragma unroll
  for (int first = 0; first < Shape::kDims; first += kDimsAtOnce) {
    uint4 k[kDimsAtOnce / 32][2];
#pragma unroll
    for (int c = 0; c < kDimsAtOnce / 32; ++c) {
      const int at = first + c * 32 + t * 8;
      const bool inside = at < problem.dim;
      k[c][0] = inside ? LoadEight(low + at) : make_uint4(0, 0, 0, 0);
      k[c][1] = inside ? LoadEight(high + at) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int i = 0; i < Shape::kRows / 8 * kDimsAtOnce / 32; ++i) {
      const int n = i / (kDimsAtOnce / 32), c = i % (kDimsAtOnce / 32);
      const uint4 q = LoadEight(shared.queries + (n * 8 + g) * shared.kPitch +
                                first + c * 32 + t * 8);
      Mma(scores[n], {k[c][0].x, k[c][1].x, k[c][0].y, k[c][1].y}, {q.x, q.y});
      Mma(scores[n], {k[c][0].z, k[c][1].z, k[c][0].w, k[c][1].w}, {q.z, q.w});
    }
  }
}

template <class Shape>
TL_DEVICE void HideDecodeScores(const AttentionProblem& problem,
                                const DecodeItem& item, int key,
                                const DecodeShared<Shape>& shared,
                                float (&scores)[Shape::kRows / 8][4]) {
  const bool masked = problem.mask.data != nullptr;
  if (key >= item.all_begin && key + kDecodeKeys <= item.all_end &&
      key + kDecodeKeys <= item.end && !masked) {
    return;
  }
  const DecodeTile& tile = item.tile;
  uint32_t hidden = 0;  // a bit for each score
#pragma unroll 1
  for (int i = 0; i < Shape::kRows / 8 * 4; ++i) {
    const int row = i / 4 * 8 + Lane() % 4 * 2 + i % 2;
    const int at = key + Lane() / 4 + i % 4 / 2 * 8;
    const auto seen = shared.seen[row];
    bool hides = at < seen.begin || at >= seen.end || at >= item.end;
    if (masked && !hides && row < tile.rows) {
      hides = LoadAsFloat(problem.mask,
                          tile.head.MaskPlace(problem, tile.first_row + row) +
                              at * problem.mask.element_stride) == 0;
    }
    hidden |= uint32_t{hides} << i;
  }
#pragma unroll
  for (int i = 0; i < Shape::kRows / 8 * 4; ++i) {
    if (hidden >> i & 1) scores[i / 4][i % 4] = Hidden();
  }
}

// Scores become weights; what was summed before shrinks as the maximum grows.
template <class Shape>
TL_DEVICE void UpdateDecodeSoftmax(float (&scores)[Shape::kRows / 8][4],
                                   DecodeRows<Shape>& rows) {
  using Rows = DecodeRows<Shape>;
  float factor[Rows::kTiles][2];
  bool moved = false;
#pragma unroll
  for (int i = 0; i < Rows::kTiles * 2; ++i) {
    const int n = i / 2, j = i % 2;
    float &low = scores[n][j], &high = scores[n][2 + j];
    float max = fmaxf(low, high);
#pragma unroll
    for (int mask = 4; mask < kWarpSize; mask *= 2) {
      max = fmaxf(max, __shfl_xor_sync(kFullWarp, max, mask));
    }
    max = fmaxf(max, rows.max[n][j]);
    const float shift = ShiftFor(max) - kWeightPower;
    factor[n][j] = Exp2(rows.max[n][j] - ShiftFor(max));
    low = Exp2(low - shift);
    high = Exp2(high - shift);
    moved |= max != rows.max[n][j];
    rows.max[n][j] = max;
    rows.sum[n][j] = rows.sum[n][j] * factor[n][j] + low + high;
  }
  if (!__any_sync(kFullWarp, moved)) return;
#pragma unroll
  for (int i = 0; i < Rows::kChunks * 4; ++i) {
#pragma unroll
    for (int n = 0; n < Rows::kTiles; ++n) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        rows.values[i / 4][i % 4][n][j] *= factor[n][j % 2];
      }
    }
  }
}

// Elements 64c + 8g and the seven behind it of keys 2t, 2t + 1, 2t + 8, 2t + 9.
TL_DEVICE void LoadDecodeValues(const AttentionProblem& problem,
                                const DecodeItem& item, int key, int chunk,
                                uint4 (&v)[4]) {
  const int at = chunk * 64 + Lane() / 4 * 8, last = item.end - 1;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int place = key + Lane() % 4 * 2 + i % 2 + i / 2 * 8;
    v[i] = at < problem.value_dim
               ? LoadEight(
                     item.tile.head.v +
                     (place < last ? place : last) * problem.v.row_stride + at)
               : make_uint4(0, 0, 0, 0);
  }
}

template <int kTiles>
TL_DEVICE void AddDecodeValues(const uint4 (&v)[4],
                               const uint32_t (&high)[kTiles][2],
                               const uint32_t (&low)[kTiles][2],
                               float (&values)[4][kTiles][4]) {
  const uint32_t words[4][4] = {{v[0].x, v[0].y, v[0].z, v[0].w},
                                {v[1].x, v[1].y, v[1].z, v[1].w},
                                {v[2].x, v[2].y, v[2].z, v[2].w},
                                {v[3].x, v[3].y, v[3].z, v[3].w}};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t a[4] = {__byte_perm(words[0][i], words[1][i], 0x5410),
                           __byte_perm(words[0][i], words[1][i], 0x7632),
                           __byte_perm(words[2][i], words[3][i], 0x5410),
                           __byte_perm(words[2][i], words[3][i], 0x7632)};
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      Mma(values[i][n], a, high[n]);
      Mma(values[i][n], a, low[n]);
    }
  }
}

template <class Shape>
TL_DEVICE void DecodeKeys(const AttentionProblem& problem,
                          const DecodeItem& item, int key,
                          const DecodeShared<Shape>& shared,
                          DecodeRows<Shape>& rows) {
  using Rows = DecodeRows<Shape>;
  uint4 v[Shape::kAhead ? Rows::kChunks : 1][4];
  if constexpr (Shape::kAhead) {
#pragma unroll
    for (int c = 0; c < Rows::kChunks; ++c) {
      LoadDecodeValues(problem, item, key, c, v[c]);
    }
  }
  float scores[Rows::kTiles][4];
  DecodeScores<Shape>(problem, item, key, shared, scores);
#pragma unroll
  for (int i = 0; i < Rows::kTiles * 4; ++i) {
    float& score = scores[i / 4][i % 4];
    score =
        problem.cap == 0 ? score * problem.scale : CappedScore(problem, score);
  }
  HideDecodeScores(problem, item, key, shared, scores);
  UpdateDecodeSoftmax(scores, rows);
  uint32_t high[Rows::kTiles][2], low[Rows::kTiles][2];
#pragma unroll
  for (int i = 0; i < Rows::kTiles * 2; ++i) {
    const HalfPair pair =
        SplitHalves(scores[i / 2][i % 2 * 2], scores[i / 2][i % 2 * 2 + 1]);
    high[i / 2][i % 2] = TransposeMatrix(pair.high);
    low[i / 2][i % 2] = TransposeMatrix(pair.low);
  }
#pragma unroll
  for (int c = 0; c < Rows::kChunks; ++c) {
    uint4(&chunk)[4] = v[Shape::kAhead ? c : 0];
    if constexpr (!Shape::kAhead) {
      LoadDecodeValues(problem, item, key, c, chunk);
    }
    AddDecodeValues<Rows::kTiles>(chunk, high, low, rows.values[c]);
  }
}

}  // namespace tl::cuda
