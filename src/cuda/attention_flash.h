// Attention of many queries on tensor cores: tiles of keys pass through shared
// memory, by a block's tile of rows that stays in it. On the card:
// attention_flash.cuh.
#pragma once

#include "cuda/attention_problem.h"

namespace tl::cuda {

struct FlashAttention {
  AttentionProblem problem;
  int row_tiles;  // of each head of k and v
};

// For what CanDecodeAttention is true of, with a scale above 0.
bool CanFlashAttention(const AttentionProblem& problem);

// Whether there are rows enough to be worth it.
bool FlashFillsCard(const AttentionProblem& problem);

void RunFlashAttention(const AttentionProblem& problem);

}  // namespace tl::cuda
