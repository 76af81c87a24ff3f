// Attention of few queries, a token at a time: a walk over k and v at the speed
// of memory. Each of a number of splits of the keys leaves a softmax of its own
// of the rows of a tile; those are then joined in order. On the card:
// attention_decode.cuh.
#pragma once

#include "cuda/attention_problem.h"

namespace tl::cuda {

// Of a row over some keys.
struct alignas(8) DecodeState {
  float max;  // of the scores
  float sum;  // of 2^(score - max)
};

struct DecodeAttention {
  AttentionProblem problem;
  int dims;       // 64, 128 or 256, at least dim and value_dim
  int tile_rows;  // 8 or 16
  int row_tiles;  // of each head of k and v
  int splits;     // of the keys that a tile sees
  // Per item (a tile's split) and row of a tile; unused where splits is 1.
  DecodeState* state;
  float* values;  // v weighted by 2^(score - max), value_dim of them
  // Per tile the number of its items that are done, 0 before and after; null
  // where DecodeAttentionCombine is called for the joins.
  unsigned* finished;
};

// Elements of v that the warps of a block join at once.
inline constexpr int kDecodeStretch = 64;
// Warps that leave theirs in shared memory at once; more of them take turns.
constexpr int DecodeBuffers(int tile_rows, int warps) {
  constexpr int kRowsAtOnce = 128;
  const int most = kRowsAtOnce / tile_rows;
  return warps < most ? warps : most;
}
// At the start of a block's shared memory.
inline constexpr int kDecodeItemBytes = 128;

// f16 whose rows are read 16 bytes at a time.
bool CanDecodeAttention(const AttentionProblem& problem);

// Split so that about `blocks` blocks have work, but not into splits of less than
// fewest_keys. Without memory for the parts.
DecodeAttention DecodeAttentionOf(const AttentionProblem& problem, int blocks,
                                  int fewest_keys);
int64_t DecodeTiles(const DecodeAttention& decode);

// What parts need, 256-byte aligned; and the decode that has it.
int64_t DecodePartBytes(const DecodeAttention& decode);
void SetDecodeParts(std::byte* memory, DecodeAttention& decode);

// For `finished`: zeros, which every launch leaves as zeros.
unsigned* FinishedCounters(int64_t count);

// Of shared memory, for so many threads of a block, whole warps.
int DecodeSharedBytes(const DecodeAttention& decode, int threads);

void RunDecodeAttention(const AttentionProblem& problem);

}  // namespace tl::cuda
