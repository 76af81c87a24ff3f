// Attention of one query, a token after all before it, as a block of
// run_steps.cu runs its part: a head of keys and a split of them. Keys and values
// from before have been fetched (token_keys.cuh) when the queries, and the key and
// the value that come with the token, are handed over as a row (handed_row.cuh).
// Blocks that have splits of one head hand them to each other the same way, and
// each joins a part of the result: none waits for all.
#pragma once

#include "cuda/attention_decode_keys.cuh"
#include "cuda/attention_token_join.cuh"
#include "cuda/handed_row.cuh"
#include "cuda/token_keys.cuh"

namespace tl::cuda {

template <int kDims>
class TokenAttention {
  using Shape = DecodeShape<kDims, kTokenRows, kConsumers>;
  using Memory = TokenShared<kDims>;
  using Tile = KeyTile<kDims>;

 public:
  TL_DEVICE TokenAttention(const TokenAttentionStep& step,
                           const TokenItem& item)
      : step_(step),
        item_(item),
        fresh_(step.handed != nullptr && item.end == step.keys) {}

  TL_DEVICE void Run() {
    // Some may still use the shared memory for a step beside this one.
    if (step_.header.wait == StepWait::kNone) SyncConsumers();
    TakeRows();
    SyncConsumers();
    rows_.Start();
    AddTiles();
    LeaveSums();
    SyncConsumers();
    const TokenJoin<kDims> join(step_, item_);
    join.JoinWarps();
    if (step_.splits > 1) join.JoinSplits();
  }

 private:
  // Each thread 8 elements of the queries, of the token's key or of its value.
  TL_DEVICE void TakeRows() {
    constexpr int kEights = kDims / 8;
    Memory& shared = Memory::Of();
    const int place = static_cast<int>(threadIdx.x);
    const int row = place / kEights, at = place % kEights;
    if (row >= kTokenRows + (fresh_ ? 2 : 0)) return;
    uint16_t* to = row < kTokenRows    ? &shared.queries[row][at * 8]
                   : row == kTokenRows ? &shared.key[at * 8]
                                       : &shared.value[at * 8];
    uint4 eight[1] = {make_uint4(0, 0, 0, 0)};
    if (row < step_.group || row >= kTokenRows) {
      const int head =
          row < kTokenRows ? item_.head * step_.group + row : item_.head;
      if (step_.handed != nullptr) {
        const int begin = row < kTokenRows    ? step_.handed_q
                          : row == kTokenRows ? step_.handed_k
                                              : step_.handed_v;
        const int first = (begin + head * kDims) / 8 + at;
        TakeHanded(step_.handed, step_.number, first, 1, first + 1, eight);
      } else {
        eight[0] = LoadEight(reinterpret_cast<const uint16_t*>(step_.q) +
                             head * kDims + at * 8);
      }
    }
    *reinterpret_cast<uint4*>(to) = eight[0];
  }

  // All keys of the block. Warps take turns, those for whose values there is room.
  TL_DEVICE void AddTiles() {
    BlockMemory& shared = Shared();
    unsigned tile = shared.next_tile[WarpOf()];
    const int stride = step_.warps * kDecodeKeys;
    int next = WarpOf() < step_.warps ? item_.begin + WarpOf() * kDecodeKeys
                                      : item_.end;
    for (int begin = item_.begin; begin < item_.end;
         begin += Tile::kKeys, ++tile) {
      const unsigned slot = tile % kTiles;
      WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
      for (; next < min(begin + Tile::kKeys, item_.end); next += stride) {
        AddKeys(shared.tiles[slot], begin, next);
      }
      __syncwarp();
      if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
    }
    __syncwarp();  // all lanes have read where they began
    if (Lane() == 0) shared.next_tile[WarpOf()] = tile;
  }

  // Elements `at` and the seven behind it of a key or value, `place` of which tells
  // where it is in a tile that begins with key `begin`. What is behind the last one is
  // that again; the token's own is not in the tile.
  template <class F>
  TL_DEVICE uint4 EightOf(const uint16_t* own, const std::byte* tile, int begin,
                          int key, int at, F place) const {
    const int there = min(key, item_.end - 1);
    const auto* from =
        fresh_ && there == item_.end - 1
            ? own
            : reinterpret_cast<const uint16_t*>(tile + place(there - begin));
    return LoadEight(from + at);
  }
  TL_DEVICE uint4 EightOfKey(const std::byte* tile, int begin, int key,
                             int at) const {
    return EightOf(Memory::Of().key, tile, begin, key, at,
                   [](int i) { return Tile::PlaceOfKey(i); });
  }
  TL_DEVICE uint4 EightOfValue(const std::byte* tile, int begin, int key,
                               int at) const {
    return EightOf(Memory::Of().value, tile, begin, key, at,
                   [](int i) { return Tile::PlaceOfValue(i); });
  }

  // 16 keys and their values, in the layout of attention_decode_keys.cuh.
  TL_DEVICE void AddKeys(const std::byte* tile, int begin, int key) {
    const int g = Lane() / 4, t = Lane() % 4;
    float scores[1][4] = {};
#pragma unroll
    for (int c = 0; c < kDims / 32; ++c) {
      const int at = c * 32 + t * 8;
      const uint4 a = EightOfKey(tile, begin, key + g, at);
      const uint4 b = EightOfKey(tile, begin, key + g + 8, at);
      const uint4 q = LoadEight(&Memory::Of().queries[g][at]);
      Mma(scores[0], {a.x, b.x, a.y, b.y}, {q.x, q.y});
      Mma(scores[0], {a.z, b.z, a.w, b.w}, {q.z, q.w});
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      scores[0][i] = key + g + i / 2 * 8 < item_.end
                         ? scores[0][i] * step_.scale
                         : Hidden();
    }
    UpdateDecodeSoftmax<Shape>(scores, rows_);
    uint32_t high[1][2], low[1][2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const HalfPair pair = SplitHalves(scores[0][2 * i], scores[0][2 * i + 1]);
      high[0][i] = TransposeMatrix(pair.high);
      low[0][i] = TransposeMatrix(pair.low);
    }
#pragma unroll
    for (int c = 0; c < kDims / 64; ++c) {
      uint4 v[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        v[i] = EightOfValue(tile, begin, key + t * 2 + i % 2 + i / 2 * 8,
                            c * 64 + g * 8);
      }
      AddDecodeValues<1>(v, high, low, rows_.values[c]);
    }
  }

  // What the warp found, for all.
  TL_DEVICE void LeaveSums() {
    Memory& shared = Memory::Of();
    const int g = Lane() / 4, t = Lane() % 4;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float sum = rows_.sum[0][j];
#pragma unroll
      for (int mask = 4; mask < kWarpSize; mask *= 2) {
        sum += __shfl_xor_sync(kFullWarp, sum, mask);
      }
      const int row = 2 * t + j;
      if (row >= step_.group) continue;
      if (g == 0) {
        shared.max[row][WarpOf()] = rows_.max[0][j];
        shared.sum[row][WarpOf()] = sum;
      }
      if (WarpOf() >= WarpsWithKeys(step_, item_)) continue;
      float* to =
          shared.values + (WarpOf() * step_.group + row) * kDims + g * 8;
#pragma unroll
      for (int c = 0; c < kDims / 64; ++c) {
        const float(&from)[4][1][4] = rows_.values[c];
        auto* fours = reinterpret_cast<float4*>(to + c * 64);
        fours[0] = make_float4(from[0][0][j], from[0][0][2 + j], from[1][0][j],
                               from[1][0][2 + j]);
        fours[1] = make_float4(from[2][0][j], from[2][0][2 + j], from[3][0][j],
                               from[3][0][2 + j]);
      }
    }
  }

  const TokenAttentionStep& step_;
  const TokenItem& item_;
  const bool fresh_;  // the last key is the token's, and handed over
  DecodeRows<Shape> rows_;
};

template <int kDims>
__device__ TL_NOINLINE void AttendToken(unsigned place) {
  const TokenAttentionStep& step = RecordAt(place).token_attention;
  if (!HasTokenItem(step)) {
    if (step.header.wait == StepWait::kNone) SyncConsumers();
    return;
  }
  const TokenItem item(step, static_cast<int>(blockIdx.x));
  TokenAttention<kDims>(step, item).Run();
}

}  // namespace tl::cuda
