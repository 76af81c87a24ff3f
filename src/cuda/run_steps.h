// The kernel that runs a list of steps (run_steps.cu).
#pragma once

#include <span>

#include "cuda/steps.h"

namespace tl::cuda {

int StepSharedBytes();  // what a block needs
// Sets what a RowsStep says of its sizes, for a launch of `blocks`. False where
// the rows are too long for one.
bool CutRows(int64_t n, int64_t k, int64_t row_bytes, int blocks,
             RowsStep& step);

// Makes rows 2i and 2i + 1 be in one group, if that can be.
bool GroupInPairs(RowsStep& step);
// Groups of rows that a block has of a step, and the warp that takes the first of
// the next step when `warp` took the first of one with so many: steps that wait
// for nothing share the warps.
int GroupsPerBlock(const RowsStep& step);
int8_t WarpAfter(int warp, int groups);
// Whether a norm's weights can come with a RowsStep.
bool FitsTile(int64_t bytes);

// A block takes 256 keys at once: fewer would leave warps without any, and more
// come one after the other.
inline constexpr int kFewestKeysOfBlock = 256;
// Whether it can be an AttentionStep.
bool CanAttend(const DecodeAttention& decode);

// Sets what a TokenAttentionStep says of splits, for a launch of `blocks`.
void CutKeys(int blocks, TokenAttentionStep& step);

StepRun RunOf(const StepRecord& step);

struct StepsLaunch {
  std::span<const StepRecord> steps;
  const StepRecord* on_card;  // the same in device memory; null for kFewSteps or fewer
  // Counts the arrivals of blocks, `reached` of which were before this launch; each
  // step that waits for the grid adds as many as there are blocks.
  unsigned* counter;
  unsigned reached;
  // [steps + 1] or null: when one of the blocks begins each step, and when it is done,
  // in nanoseconds.
  uint64_t* times;
  bool together;  // a block may wait for another
  // What is fetched ahead was there before the launch in front began.
  bool weights_are_there;
};
void RunSteps(const StepsLaunch& launch, int blocks);

}  // namespace tl::cuda
