// What the blocks of run_steps.cu share: the layout of shared memory, and who of
// a block does what. Warp kConsumers / 32 fetches: records of steps, and the
// weights of the steps that have some, as far ahead as there is room, whatever
// the others wait for. The other warps compute.
#pragma once

#include "cuda/pipeline.cuh"
#include "cuda/steps.h"

namespace tl::cuda {

// As many as leave each 128 registers.
inline constexpr int kConsumers = 480;
inline constexpr int kConsumerWarps = kConsumers / kWarpSize;
inline constexpr int kStepThreads = kConsumers + kWarpSize;

// Weights come in tiles of whole rows. One more 16 bytes: a row may begin
// anywhere in a line of 16.
inline constexpr int kTiles = 6;
inline constexpr int kTileBytes = 28 * 1024;
inline constexpr int kTileSpace = kTileBytes + 64;
// Room for records, and how many are fetched ahead of the one whose weights are:
// the rest is for steps that are still computed.
inline constexpr int kRecords = 16;
inline constexpr int kRecordsAhead = 3;
// The most rows that a warp multiplies together: 1, 2 or 4.
inline constexpr int kMostRowsPerGroup = 4;
// The longest x, of f16 or of int8 with their groups.
inline constexpr int kMostColumns = 14 * 1024;
// For x, or for an attention's own use.
inline constexpr int kScratchBytes = 40 * 1024;

static_assert(kScratchBytes >= kMostColumns * 2);

struct BlockMemory {
  StepRecord records[kRecords];
  alignas(128) std::byte tiles[kTiles][kTileSpace];
  alignas(16) std::byte scratch[kScratchBytes];
  float partial[kConsumerWarps];
  Mbarrier record_full[kRecords], record_empty[kRecords];
  Mbarrier tile_full[kTiles], tile_empty[kTiles];
};

TL_DEVICE BlockMemory& Shared() {
  return *reinterpret_cast<BlockMemory*>(DynamicShared());
}

// The rows of a matrix that a block multiplies.
struct RowRange {
  int begin, end;
};

TL_DEVICE RowRange RowsOf(const RowsStep& step) {
  const auto block = static_cast<int>(blockIdx.x);
  const int more = block < step.more_rows ? block : step.more_rows;
  const int begin = block * step.rows_per_block + more;
  return {begin, begin + step.rows_per_block + (block < step.more_rows ? 1 : 0)};
}

// Waits until all consumers of this block are here.
TL_DEVICE void SyncConsumers() { SyncThreads(1, kConsumers); }

// Sum over the consumers of a block, the same for all, in a fixed order.
TL_DEVICE float SumOfConsumers(float value) {
  float* partial = Shared().partial;
  value = WarpSum(value);
  SyncConsumers();
  if (Lane() == 0) partial[WarpOf()] = value;
  SyncConsumers();
  float sum = 0;
  for (int warp = 0; warp < kConsumerWarps; ++warp) sum += partial[warp];
  return sum;
}

}  // namespace tl::cuda
