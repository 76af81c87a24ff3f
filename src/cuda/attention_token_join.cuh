// The joins of a token's attention (attention_token.cuh): of what the warps of a block
// found, and of what the blocks did that have splits of one head's keys.
#pragma once

#include "cuda/attention_problem.cuh"
#include "cuda/handed_row.cuh"
#include "cuda/token_keys.cuh"

namespace tl::cuda {

// In the scratch memory of a block.
template <int kDims>
struct TokenShared {
  static constexpr int kPitch = kDims + 32;  // as DecodeShared's

  uint16_t queries[kTokenRows][kPitch];
  uint16_t key[kDims], value[kDims];  // of the token
  float max[kTokenRows][kConsumerWarps];
  float sum[kTokenRows][kConsumerWarps];
  // Of as many warps as there is room for, [warps, group, kDims].
  float values[(kScratchBytes - kTokenSharedBytes(kDims)) / 4];

  TL_DEVICE static TokenShared& Of() {
    return *reinterpret_cast<TokenShared*>(Shared().scratch);
  }
};

static_assert(sizeof(TokenShared<64>) <= kScratchBytes &&
              sizeof(TokenShared<128>) <= kScratchBytes);

TL_DEVICE int WarpsWithKeys(const TokenAttentionStep& step, const TokenItem& item) {
  const int turns = (item.end - item.begin + kDecodeKeys - 1) / kDecodeKeys;
  return min(turns, step.warps);
}

// Four neighbouring elements of a row, and what they are weighted by.
struct Four {
  float max, sum;
  float4 values;

  // Of others, `max` is the largest of all.
  TL_DEVICE void Add(float other_max, float other_sum, const float4& other) {
    const float factor = Exp2(other_max - ShiftFor(max));
    sum += other_sum * factor;
    values = make_float4(
        values.x + other.x * factor, values.y + other.y * factor,
        values.z + other.z * factor, values.w + other.w * factor);
  }
};

TL_DEVICE Four NoFour(float max) { return {max, 0, make_float4(0, 0, 0, 0)}; }

template <int kDims>
class TokenJoin {
  using Memory = TokenShared<kDims>;
  static constexpr int kFours = kDims / 4;

 public:
  TL_DEVICE TokenJoin(const TokenAttentionStep& step, const TokenItem& item)
      : step_(step), item_(item) {}

  // A thread a four of the block's, of all warps.
  TL_DEVICE void JoinWarps() const {
    const Memory& shared = Memory::Of();
    const int place = static_cast<int>(threadIdx.x);
    if (place >= step_.group * kFours) return;
    const int row = place / kFours, four = place % kFours,
              warps = WarpsWithKeys(step_, item_);
    float max = Hidden();
#pragma unroll
    for (int w = 0; w < kConsumerWarps; ++w) max = fmaxf(max, shared.max[row][w]);
    Four all = NoFour(max);
#pragma unroll 4
    for (int w = 0; w < warps; ++w) {
      all.Add(shared.max[row][w], shared.sum[row][w],
              reinterpret_cast<const float4*>(
                  shared.values + (w * step_.group + row) * kDims)[four]);
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

  // This block's share of the fours. A thread takes what one split has of one: all
  // are waited for together, and then joined in the order of splits.
  TL_DEVICE void JoinSplits() const {
    const int fours = step_.group * kFours, thread = static_cast<int>(threadIdx.x);
    const int share = QuotientOf(fours + step_.splits - 1, step_.splits);
    const int split = QuotientOf(thread, share), mine = thread - split * share;
    const int place = item_.split * share + mine;
    const int row = place / kFours, four = place % kFours;
    const bool has = split < step_.splits && place < fours;
    Four part = NoFour(0);
    if (has) part = TakePart(split, row, four);
    SyncConsumers();  // what the warps left is read
    auto* parts = reinterpret_cast<Four*>(Memory::Of().values);
    if (has) parts[thread] = part;
    SyncConsumers();
    if (split > 0 || !has) return;
    float max = part.max;
#pragma unroll 4
    for (int s = 1; s < step_.splits; ++s) {
      max = fmaxf(max, parts[s * share + mine].max);
    }
    Four all = NoFour(max);
#pragma unroll 4
    for (int s = 0; s < step_.splits; ++s) {
      const Four& other = parts[s * share + mine];
      all.Add(other.max, other.sum, other.values);
    }
    Finish(row, four, all);
  }

 private:
  // Two floats of a part with its number after each: fours of them, then max
  // and sum.
  TL_DEVICE uint4* PartOf(int split, int row) const {
    const int part = (item_.head * step_.splits + split) * step_.group + row;
    return reinterpret_cast<uint4*>(step_.parts) +
           part * kTokenPartWords(kDims);
  }

  // What a split has of a four, once it is there.
  TL_DEVICE Four TakePart(int split, int row, int four) const {
    const uint4* part = PartOf(split, row);
    const uint32_t n = step_.number_of_parts;
    while (true) {
      const uint4 state = LoadRelaxedPairs(part + 2 * kFours);
      const uint4 low = LoadRelaxedPairs(part + 2 * four);
      const uint4 high = LoadRelaxedPairs(part + 2 * four + 1);
      if (((state.y ^ n) | (state.w ^ n) | (low.y ^ n) | (low.w ^ n) |
           (high.y ^ n) | (high.w ^ n)) == 0) {
        return {__uint_as_float(state.x), __uint_as_float(state.z),
                make_float4(__uint_as_float(low.x), __uint_as_float(low.z),
                            __uint_as_float(high.x), __uint_as_float(high.z))};
      }
      LookAgain();
    }
  }

  TL_DEVICE void Finish(int row, int four, const Four& all) const {
    const float inverse = all.sum == 0 ? 0.0f : 1 / all.sum;
    const uint32_t low =
        PackHalves(all.values.x * inverse, all.values.y * inverse);
    const uint32_t high =
        PackHalves(all.values.z * inverse, all.values.w * inverse);
    const int at = (item_.head * step_.group + row) * kFours + four;
    if (step_.handed_out != nullptr) {
      HandOnFour(step_.handed_out, at, low, high, step_.number_out);
    }
    if (step_.out != nullptr) {
      reinterpret_cast<uint2*>(step_.out)[at] = make_uint2(low, high);
    }
  }

  const TokenAttentionStep& step_;
  const TokenItem& item_;
};

}  // namespace tl::cuda
