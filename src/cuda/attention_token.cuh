// Attention of one query, a token after all before it, as a block of
// run_steps.cu runs its part: a head of keys and a split of them. Queries, and
// the key and the value that come with the token, are handed over as a row
// (handed_row.cuh) while keys and values from before are on their way. Blocks
// that have splits of one head hand them to each other the same way, and each
// joins a part of the result: none waits for all.
#pragma once

#include "cuda/attention_decode_keys.cuh"
#include "cuda/handed_row.cuh"
#include "cuda/run_steps.cuh"

namespace tl::cuda {

// What a block works on: keys [begin, end) of a head.
struct TokenItem {
  int head, split;
  int begin, end;

  TL_DEVICE TokenItem(const TokenAttentionStep& step, int item)
      : head(QuotientOf(item, step.splits)), split(item - head * step.splits) {
    const int keys = step.keys - step.first_key;
    const int all = (keys + kDecodeKeys - 1) / kDecodeKeys;
    const int each = QuotientOf(all, step.splits),
              more = all - each * step.splits;
    const int first = each * split + min(split, more);
    begin = step.first_key + first * kDecodeKeys;
    end = min(begin + (each + (split < more)) * kDecodeKeys, step.keys);
  }
};

// In the scratch memory of a block.
template <int kDims>
struct TokenShared {
  static constexpr int kPitch = kDims + 32;  // as DecodeShared's

  uint16_t queries[kTokenRows][kPitch];
  uint16_t key[kDims], value[kDims];  // of the token
  float max[kConsumerWarps][kTokenRows];
  float sum[kConsumerWarps][kTokenRows];
  // Of as many warps as there is room for, [warps, group, kDims].
  float values[(kScratchBytes - kTokenSharedBytes(kDims)) / 4];

  TL_DEVICE static TokenShared& Of() {
    return *reinterpret_cast<TokenShared*>(Shared().scratch);
  }
};

static_assert(sizeof(TokenShared<64>) <= kScratchBytes &&
              sizeof(TokenShared<128>) <= kScratchBytes);

// The keys and values that a warp has at once, as its tensor cores want them
// (attention_decode_keys.cuh).
template <int kDims>
struct TokenKeys {
  uint4 k[kDims / 32][2];
  uint4 v[4];  // of 64 dims

  TL_DEVICE static int KeyOfScore(int key, int i) {
    return key + Lane() / 4 + 8 * i;
  }
  TL_DEVICE static int KeyOfValue(int key, int i) {
    return key + Lane() % 4 * 2 + i % 2 + i / 2 * 8;
  }
  TL_DEVICE static int PlaceInKey(int c) { return c * 32 + Lane() % 4 * 8; }
  TL_DEVICE static int PlaceInValue(int c) { return c * 64 + Lane() / 4 * 8; }

  // What is behind `end` is the last one again.
  TL_DEVICE void LoadKeys(const uint16_t* keys, int64_t stride, int key,
                          int end) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint16_t* from = keys + min(KeyOfScore(key, i), end - 1) * stride;
#pragma unroll
      for (int c = 0; c < kDims / 32; ++c)
        k[c][i] = LoadEight(from + PlaceInKey(c));
    }
  }
  TL_DEVICE void LoadValues(const uint16_t* values, int64_t stride, int key,
                            int end, int c) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      v[i] = LoadEight(values + min(KeyOfValue(key, i), end - 1) * stride +
                       PlaceInValue(c));
    }
  }
  // The token's own, which are not in memory yet.
  TL_DEVICE void TakeKey(const uint16_t* fresh, int key, int last) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (KeyOfScore(key, i) < last) continue;
#pragma unroll
      for (int c = 0; c < kDims / 32; ++c)
        k[c][i] = LoadEight(fresh + PlaceInKey(c));
    }
  }
  TL_DEVICE void TakeValue(const uint16_t* fresh, int key, int last, int c) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (KeyOfValue(key, i) >= last) v[i] = LoadEight(fresh + PlaceInValue(c));
    }
  }
};

template <int kDims>
class TokenAttention {
  using Shape = DecodeShape<kDims, kTokenRows, kConsumers>;
  using Memory = TokenShared<kDims>;
  static constexpr int kFours = kDims / 4;
  // With registers for both, values are asked for together with keys.
  static constexpr bool kAhead = kDims <= 64;

 public:
  TL_DEVICE TokenAttention(const TokenAttentionStep& step,
                           const TokenItem& item)
      : step_(step),
        item_(item),
        stride_(step.warps * kDecodeKeys),
        key_(WarpOf() < step.warps ? item.begin + WarpOf() * kDecodeKeys
                                   : item.end),
        keys_(reinterpret_cast<const uint16_t*>(step.k) +
              item.head * step.k_head),
        values_(reinterpret_cast<const uint16_t*>(step.v) +
                item.head * step.v_head) {}

  TL_DEVICE void Run() {
    Load();
    // Some may still use the shared memory for a step beside this one.
    if (step_.header.wait == StepWait::kNone) SyncConsumers();
    TakeRows();
    SyncConsumers();
    rows_.Start();
    while (key_ < item_.end) {
      AddKeys();
      key_ += stride_;
      if (key_ < item_.end) Load();
    }
    LeaveSums();
    SyncConsumers();
    const int place = static_cast<int>(threadIdx.x);
    if (place < step_.group * kFours) JoinWarps(place);
    if (step_.splits > 1) JoinSplits();
  }

 private:
  TL_DEVICE void Load() {
    now_.LoadKeys(keys_, step_.k_row, key_, item_.end);
    if (kAhead) LoadValues(0);
  }
  TL_DEVICE void LoadValues(int c) {
    now_.LoadValues(values_, step_.v_row, key_, item_.end, c);
  }
  TL_DEVICE bool HasFresh() const {
    return step_.handed != nullptr && item_.end == step_.keys;
  }

  // Each thread 8 elements of the queries, of the token's key or of its value.
  TL_DEVICE void TakeRows() {
    constexpr int kEights = kDims / 8;
    Memory& shared = Memory::Of();
    const int place = static_cast<int>(threadIdx.x);
    const int row = place / kEights, at = place % kEights;
    if (row >= kTokenRows + (HasFresh() ? 2 : 0)) return;
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

  // 16 keys and their values.
  TL_DEVICE void AddKeys() {
    Memory& shared = Memory::Of();
    const int last = step_.keys - 1, key = key_;
    const bool fresh = HasFresh() && key + kDecodeKeys > last;
    if (fresh) now_.TakeKey(shared.key, key, last);
    float scores[1][4] = {};
#pragma unroll
    for (int c = 0; c < kDims / 32; ++c) {
      const uint4(&k)[2] = now_.k[c];
      const uint4 q =
          LoadEight(&shared.queries[Lane() / 4][now_.PlaceInKey(c)]);
      Mma(scores[0], {k[0].x, k[1].x, k[0].y, k[1].y}, {q.x, q.y});
      Mma(scores[0], {k[0].z, k[1].z, k[0].w, k[1].w}, {q.z, q.w});
    }
    if (!kAhead) LoadValues(0);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      scores[0][i] = now_.KeyOfScore(key, i / 2) < item_.end
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
      if (c > 0) LoadValues(c);
      if (fresh) now_.TakeValue(shared.value, key, last, c);
      AddDecodeValues<1>(now_.v, high, low, rows_.values[c]);
    }
  }

  // What the warp found, for all.
  TL_DEVICE void LeaveSums() {
    Memory& shared = Memory::Of();
    if (WarpOf() >= WarpsWithKeys()) return;
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
        shared.max[WarpOf()][row] = rows_.max[0][j];
        shared.sum[WarpOf()][row] = sum;
      }
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
  TL_DEVICE int WarpsWithKeys() const {
    const int turns = (item_.end - item_.begin + kDecodeKeys - 1) / kDecodeKeys;
    return min(turns, step_.warps);
  }

  // Four neighbouring elements of a row, and what they are weighted by.
  struct Four {
    float max = Hidden(), sum = 0;
    float4 values = make_float4(0, 0, 0, 0);

    TL_DEVICE void Add(float other_max, float other_sum, const float4& other) {
      const float both = fmaxf(max, other_max), shift = ShiftFor(both);
      const float own = Exp2(max - shift), its = Exp2(other_max - shift);
      max = both;
      sum = sum * own + other_sum * its;
      values = make_float4(
          values.x * own + other.x * its, values.y * own + other.y * its,
          values.z * own + other.z * its, values.w * own + other.w * its);
    }
  };

  TL_DEVICE void JoinWarps(int place) const {
    const Memory& shared = Memory::Of();
    const int row = place / kFours, four = place % kFours,
              warps = WarpsWithKeys();
    float max = Hidden();
    for (int w = 0; w < warps; ++w) max = fmaxf(max, shared.max[w][row]);
    const float shift = ShiftFor(max);
    Four all;
    all.max = max;
#pragma unroll 4
    for (int w = 0; w < warps; ++w) {
      const float factor = Exp2(shared.max[w][row] - shift);
      const float4 values = reinterpret_cast<const float4*>(
          shared.values + (w * step_.group + row) * kDims)[four];
      all.sum += shared.sum[w][row] * factor;
      all.values.x += values.x * factor;
      all.values.y += values.y * factor;
      all.values.z += values.z * factor;
      all.values.w += values.w * factor;
    }
    if (step_.splits == 1) return Finish(row, four, all);
    uint4* part = PartOf(item_.split, row);
    const uint32_t n = step_.number_of_parts;
    const auto word = [&](float first, float second) {
      return make_uint4(__float_as_uint(first), n, __float_as_uint(second), n);
    };
    StoreRelaxed(part + 2 * four, word(all.values.x, all.values.y));
    StoreRelaxed(part + 2 * four + 1, word(all.values.z, all.values.w));
    if (four == 0) StoreRelaxed(part + 2 * kFours, word(all.max, all.sum));
  }

  // Two floats of a part with its number after each: fours of them, then max
  // and sum.
  TL_DEVICE uint4* PartOf(int split, int row) const {
    const int part = (item_.head * step_.splits + split) * step_.group + row;
    return reinterpret_cast<uint4*>(step_.parts) +
           part * kTokenPartWords(kDims);
  }

  // This block's share of the elements, of all splits in their order.
  TL_DEVICE void JoinSplits() const {
    const int fours = step_.group * kFours;
    const int share = (fours + step_.splits - 1) / step_.splits;
    const int place = item_.split * share + static_cast<int>(threadIdx.x);
    if (static_cast<int>(threadIdx.x) >= share || place >= fours) return;
    const int row = place / kFours, four = place % kFours;
    Four all;
    constexpr int kAtOnce = kDims <= 64 ? 4 : 2;
    for (int first = 0; first < step_.splits; first += kAtOnce) {
      uint4 state[kAtOnce], low[kAtOnce], high[kAtOnce];
      uint32_t different;
      do {
        different = 0;
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
          const uint4* part = PartOf(min(first + i, step_.splits - 1), row);
          state[i] = LoadRelaxedPairs(part + 2 * kFours);
          low[i] = LoadRelaxedPairs(part + 2 * four);
          high[i] = LoadRelaxedPairs(part + 2 * four + 1);
        }
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
          const uint32_t n = step_.number_of_parts;
          different |= (state[i].y ^ n) | (state[i].w ^ n) | (low[i].y ^ n) |
                       (low[i].w ^ n) | (high[i].y ^ n) | (high[i].w ^ n);
        }
        if (different != 0) LookAgain();
      } while (different != 0);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (first + i >= step_.splits) break;
        all.Add(__uint_as_float(state[i].x), __uint_as_float(state[i].z),
                make_float4(
                    __uint_as_float(low[i].x), __uint_as_float(low[i].z),
                    __uint_as_float(high[i].x), __uint_as_float(high[i].z)));
      }
    }
    Finish(row, four, all);
  }

  TL_DEVICE void Finish(int row, int four, const Four& all) const {
    const float inverse = all.sum == 0 ? 0.0f : 1 / all.sum;
    const uint32_t low =
        PackHalves(all.values.x * inverse, all.values.y * inverse);
    const uint32_t high =
        PackHalves(all.values.z * inverse, all.values.w * inverse);
    const int at = (item_.head * step_.group + row) * kFours + four;
    if (step_.handed_out != nullptr) {
      const uint32_t n = step_.number_out << 16;
      StoreRelaxed(reinterpret_cast<uint4*>(step_.handed_out) + at,
                   make_uint4((low & 0xffff) | n, low >> 16 | n,
                              (high & 0xffff) | n, high >> 16 | n));
    }
    if (step_.out != nullptr) {
      reinterpret_cast<uint2*>(step_.out)[at] = make_uint2(low, high);
    }
  }

  const TokenAttentionStep& step_;
  const TokenItem& item_;
  const int stride_;  // keys that the warps have at once
  int key_;
  const uint16_t *const keys_, *const values_;
  TokenKeys<kDims> now_;
  DecodeRows<Shape> rows_;
};

template <int kDims>
__device__ TL_NOINLINE void AttendToken(unsigned place) {
  const TokenAttentionStep& step = RecordAt(place).token_attention;
  const auto block = static_cast<int>(blockIdx.x);
  if (block >= step.kv_heads * step.splits) return;
  const TokenItem item(step, block);
  TokenAttention<kDims>(step, item).Run();
}

}  // namespace tl::cuda
