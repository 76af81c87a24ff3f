// What the warps of a decode found becomes what its block found; what the
// blocks found, which had other keys of the same rows, becomes the result.
#pragma once

#include "cuda/attention_decode_keys.cuh"

namespace tl::cuda {

// Of what the warps left in shared.max. Those without keys have left Hidden(): all are
// read, for none to wait for the one before.
template <class Shape>
TL_DEVICE float MaxOfWarps(const DecodeShared<Shape>& shared, int row) {
  float max = Hidden();
#pragma unroll
  for (int w = 0; w < Shape::kWarps; ++w) {
    max = fmaxf(max, shared.max[w * Shape::kRows + row]);
  }
  return max;
}

// Leaves the maxima and sums of the block in shared.block, for those who wait
// once more, and makes values fractions of the block's.
template <class Shape>
TL_DEVICE void JoinDecodeSums(const DecodeShared<Shape>& shared,
                              DecodeRows<Shape>& rows) {
  using Rows = DecodeRows<Shape>;
  const int g = Lane() / 4, t = Lane() % 4;
#pragma unroll
  for (int i = 0; i < Rows::kTiles * 2; ++i) {
    float& sum = rows.sum[i / 2][i % 2];
#pragma unroll
    for (int mask = 4; mask < kWarpSize; mask *= 2) {
      sum += __shfl_xor_sync(kFullWarp, sum, mask);
    }
    const int at = WarpOf() * Shape::kRows + i / 2 * 8 + t * 2 + i % 2;
    if (g == 0) {
      shared.max[at] = rows.max[i / 2][i % 2];
      shared.sum[at] = sum;
    }
  }
  Shape::Sync();
  float factor[Rows::kTiles][2];
#pragma unroll
  for (int i = 0; i < Rows::kTiles * 2; ++i) {
    const float max = MaxOfWarps(shared, i / 2 * 8 + t * 2 + i % 2);
    factor[i / 2][i % 2] = Exp2(rows.max[i / 2][i % 2] - ShiftFor(max));
  }
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
  const int row = static_cast<int>(threadIdx.x);
  if (row >= Shape::kRows) return;
  const float max = MaxOfWarps(shared, row);
  float sum = 0;
#pragma unroll
  for (int w = 0; w < Shape::kWarps; ++w) {
    sum += Exp2(shared.max[w * Shape::kRows + row] - ShiftFor(max)) *
           shared.sum[w * Shape::kRows + row];
  }
  shared.block[row] = {max, sum};
}

TL_DEVICE void StoreFour(float4 x, DType dtype, std::byte* out, int64_t at) {
  if (dtype == DType::F16) {
    *reinterpret_cast<uint2*>(reinterpret_cast<uint16_t*>(out) + at) =
        make_uint2(PackHalves(x.x, x.y), PackHalves(x.z, x.w));
  } else {
    *reinterpret_cast<float4*>(reinterpret_cast<float*>(out) + at) = x;
  }
}

TL_DEVICE float4 Scaled(float4 x, float factor) {
  return make_float4(x.x * factor, x.y * factor, x.z * factor, x.w * factor);
}
TL_DEVICE float4 Added(float4 sum, float4 x, float factor) {
  return make_float4(sum.x + x.x * factor, sum.y + x.y * factor,
                     sum.z + x.z * factor, sum.w + x.w * factor);
}
TL_DEVICE float InverseOf(float sum) { return sum == 0 ? 0.0f : 1 / sum; }

// Elements `at` and the three behind it of a row of an item.
TL_DEVICE void StoreDecoded(const DecodeAttention& decode,
                            const DecodeItem& item, int row, int at,
                            float4 values, float sum) {
  const AttentionProblem& problem = decode.problem;
  if (decode.splits == 1) {
    StoreFour(
        Scaled(values, InverseOf(sum)), problem.dtype, problem.out,
        item.tile.head.ResultPlace(problem, item.tile.first_row + row) + at);
    return;
  }
  const int64_t place = int64_t{item.index} * decode.tile_rows + row;
  *reinterpret_cast<float4*>(decode.values + place * problem.value_dim + at) =
      values;
}

// Where a lane's 8 neighbours of column j of a product are in a warp's buffer.
template <int kRows>
TL_DEVICE float4* DecodeBuffer(float* values, int buffer, int n, int j) {
  const int row = buffer * kRows + n * 8 + Lane() % 4 * 2 + j;
  return reinterpret_cast<float4*>(values + row * kDecodeStretch +
                                   Lane() / 4 * 8);
}

template <int kTiles>
TL_DEVICE void StoreDecodeChunk(const float (&from)[4][kTiles][4], int buffer,
                                float* values) {
#pragma unroll
  for (int i = 0; i < kTiles * 2; ++i) {
    const int n = i / 2, j = i % 2;
    float4* to = DecodeBuffer<kTiles * 8>(values, buffer, n, j);
    to[0] = make_float4(from[0][n][j], from[0][n][2 + j], from[1][n][j],
                        from[1][n][2 + j]);
    to[1] = make_float4(from[2][n][j], from[2][n][2 + j], from[3][n][j],
                        from[3][n][2 + j]);
  }
}

template <int kTiles>
TL_DEVICE void AddDecodeChunk(float* values, int buffer,
                              float (&to)[4][kTiles][4]) {
#pragma unroll
  for (int i = 0; i < kTiles * 2; ++i) {
    const int n = i / 2, j = i % 2;
    const float4* from = DecodeBuffer<kTiles * 8>(values, buffer, n, j);
    const float eight[8] = {from[0].x, from[0].y, from[0].z, from[0].w,
                            from[1].x, from[1].y, from[1].z, from[1].w};
#pragma unroll
    for (int at = 0; at < 8; ++at) to[at / 2][n][at % 2 * 2 + j] += eight[at];
  }
}

template <class Shape>
TL_DEVICE void JoinDecodeValues(const DecodeAttention& decode,
                                const DecodeItem& item,
                                const DecodeShared<Shape>& shared, int warps,
                                DecodeRows<Shape>& rows) {
  constexpr int kFours = kDecodeStretch / 4, kBuffers = Shape::kBuffers;
  const int value_dim = static_cast<int>(decode.problem.value_dim);
  const int warp = WarpOf(), filled = warps < kBuffers ? warps : kBuffers;
#pragma unroll
  for (int c = 0; c < DecodeRows<Shape>::kChunks; ++c) {
    if (c * kDecodeStretch >= value_dim) break;
    if (c > 0) Shape::Sync();  // what was joined before is read
    // The last warps, as many as there are buffers or what is left, hand theirs
    // to those before them.
    for (int first = (warps - 1) / kBuffers * kBuffers; first > 0;
         first -= kBuffers) {
      if (warp >= first && warp < first + kBuffers) {
        StoreDecodeChunk(rows.values[c], warp - first, shared.values);
      }
      Shape::Sync();
      const int from = warp - (first - kBuffers);
      if (warp < first && from >= 0 && first + from < warps) {
        AddDecodeChunk(shared.values, from, rows.values[c]);
      }
      Shape::Sync();
    }
    if (warp < filled) StoreDecodeChunk(rows.values[c], warp, shared.values);
    Shape::Sync();
    for (int i = static_cast<int>(threadIdx.x); i < item.tile.rows * kFours;
         i += Shape::kThreads) {
      const int row = i / kFours, at = c * kDecodeStretch + i % kFours * 4;
      if (at >= value_dim) continue;
      float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 8
      for (int w = 0; w < filled; ++w) {
        sum = Added(
            sum,
            reinterpret_cast<const float4*>(
                shared.values)[(w * Shape::kRows + row) * kFours + i % kFours],
            1);
      }
      StoreDecoded(decode, item, row, at, sum, shared.block[row].sum);
    }
  }
}

// What another multiprocessor wrote: past the first-level cache of this one.
template <class T>
TL_DEVICE T LoadFresh(const T* from) {
#ifdef TL_CUDA_EMULATED
  return *from;
#else
  return __ldcg(from);
#endif
}

// By a warp: the join of the splits of a tile's row.
TL_DEVICE void CombineDecodeRow(const DecodeAttention& decode,
                                const DecodeTile& tile, int row) {
  const AttentionProblem& problem = decode.problem;
  const int64_t first =
      int64_t{tile.index} * decode.splits * decode.tile_rows + row;
  const DecodeState* state = decode.state + first;
  float max = Hidden();
  for (int s = Lane(); s < decode.splits; s += kWarpSize) {
    max = fmaxf(max, LoadFresh(&state[s * decode.tile_rows].max));
  }
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    max = fmaxf(max, __shfl_xor_sync(kFullWarp, max, mask));
  }
  const float shift = ShiftFor(max);
  float sum = 0;
  for (int s = Lane(); s < decode.splits; s += kWarpSize) {
    const DecodeState& part = state[s * decode.tile_rows];
    sum += Exp2(LoadFresh(&part.max) - shift) * LoadFresh(&part.sum);
  }
  const float inverse = InverseOf(WarpSum(sum));
  const int64_t place = tile.head.ResultPlace(problem, tile.first_row + row);
  for (int at = Lane() * 4; at < problem.value_dim; at += kWarpSize * 4) {
    float4 total = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int s = 0; s < decode.splits; ++s) {
      const int64_t from = (first + s * decode.tile_rows) * problem.value_dim;
      const float4 part =
          LoadFresh(reinterpret_cast<const float4*>(decode.values + from + at));
      const float factor =
          Exp2(LoadFresh(&state[s * decode.tile_rows].max) - shift);
      total = Added(total, part, factor);
    }
    StoreFour(Scaled(total, inverse), problem.dtype, problem.out, place + at);
  }
}

}  // namespace tl::cuda
