// The keys of a token's attention (attention_token.cuh) that a block has, and how they
// lie in a tile: they are fetched like weights, long before the queries are there.
#pragma once

#include "cuda/attention_problem.cuh"
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

TL_DEVICE bool HasTokenItem(const TokenAttentionStep& step) {
  return static_cast<int>(blockIdx.x) < step.kv_heads * step.splits;
}

// First keys and then values, in whole turns of a warp. Lanes read 16 bytes at a time,
// of eight of which the banks are to be different: (key i, part j of it), i < 2 and j <
// 4, and of values 2j and part i.
template <int kDims>
struct KeyTile {
  static constexpr int kKeyPitch = kDims * 2 + 64;
  static constexpr int kValuePitch = kDims * 2 + 16;
  static constexpr int kKeys =
      kTileSpace / (kKeyPitch + kValuePitch) / kDecodeKeys * kDecodeKeys;

  TL_DEVICE static int PlaceOfKey(int i) { return i * kKeyPitch; }
  TL_DEVICE static int PlaceOfValue(int i) {
    return kKeys * kKeyPitch + i * kValuePitch;
  }
};

}  // namespace tl::cuda
