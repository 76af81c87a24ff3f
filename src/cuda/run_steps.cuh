// What the blocks of run_steps.cu share: the layout of shared memory, and who of
// a block does what. The last warps fetch: records of steps, and the weights of
// the steps that have some, as far ahead as there is room, whatever the others
// wait for. Those before them compute.
#pragma once

#include "cuda/attention_decode_item.cuh"
#include "cuda/packed_rows.cuh"
#include "cuda/pipeline.cuh"
#include "cuda/steps.h"

namespace tl::cuda {

// 16 warps: hidden sizes are powers of two, and 132 multiprocessors then have
// about 16 or 32 rows each.
inline constexpr int kConsumers = 512;
inline constexpr int kConsumerWarps = kConsumers / kWarpSize;
// Packed rows are fetched each by itself, which takes a warp as long as it takes
// their bytes: four share them. Registers are handed over by groups of four warps,
// too: the group that fetches leaves most of its own to those that compute. A block
// has what its threads are launched with and no more; who asks for more waits for
// ever.
inline constexpr int kFetchWarps = 4;
inline constexpr int kFetchers = kFetchWarps * kWarpSize;
inline constexpr int kStepThreads = kConsumers + kFetchers;
inline constexpr int kLaunchRegisters = 65536 / kStepThreads / 8 * 8;
inline constexpr int kFetchRegisters = 32;
inline constexpr int kConsumerRegisters = 112;
static_assert(kConsumers * kConsumerRegisters + kFetchers * kFetchRegisters <=
              kStepThreads * kLaunchRegisters);

// Weights come in tiles of whole rows: of Q4_0 and Q4_K as many of 4096 columns as give
// all lanes of a warp work. A line of 16 more than the bytes of a tile, and what makes
// it a multiple of 128: a row may begin anywhere in a line.
inline constexpr int kTiles = 5;
inline constexpr int kTileSpace = 16 * (18 * 128 + 16);
inline constexpr int kTileBytes = kTileSpace - 128;
// More would not come faster: they would only stand in the way of the words that
// blocks hand to each other.
inline constexpr unsigned kTilesUnderWay = 2;
// Room for records, and how many are fetched ahead of the one whose weights are:
// the rest is for steps that are still computed.
inline constexpr int kRecords = 8;
inline constexpr int kRecordsAhead = 3;
// The most rows that a warp multiplies together.
inline constexpr int kMostRowsPerGroup = 4;
// For x, of f16 or of int8 with their groups, or for an attention's own use.
inline constexpr int kScratchBytes = 40 * 1024 - 512;

static_assert(kScratchBytes >= RowsStep::kMostColumns * 2);

// Packed rows lie in a tile each at a place of its own: 16 bytes more than a multiple
// of 128 let lanes read from eight rows, and more words of each, without conflicts.
constexpr int PackedPitch(int row_bytes) {
  return ((row_bytes + 127) & ~127) + 16;
}
// Of x as int8, which is followed by what the warps have of the rows' sums.
inline constexpr int kInt8Bytes =
    RowsStep::kMostColumns / Int8Row::kPair * Int8Row::kPairBytes;
// The rows whose sums are joined at once.
inline constexpr int kRoundRows = 128;
static_assert(kInt8Bytes + 2 * kConsumerWarps * kRoundRows * int{sizeof(float)} <=
              kScratchBytes);

struct BlockMemory {
  StepRecord records[kRecords];
  alignas(128) std::byte tiles[kTiles][kTileSpace];
  alignas(16) std::byte scratch[kScratchBytes];
  alignas(16) float partial[kConsumerWarps];
  DecodeItem item;  // of an attention that the block is coming to
  // Kept here and not in registers, which each step wants for itself: the step
  // that each warp is at and its next tile, and what the grid's counter was at
  // the last wait.
  unsigned step[kConsumerWarps], next_tile[kConsumerWarps];
  unsigned reached;
  Mbarrier record_full[kRecords], record_empty[kRecords];
  Mbarrier tile_full[kTiles], tile_empty[kTiles];
};

TL_DEVICE BlockMemory& Shared() {
  return *reinterpret_cast<BlockMemory*>(DynamicShared());
}

// What runs steps is not inlined, and is told the place of its record: of a pointer
// handed over the compiler would not know that it is to shared memory.
TL_DEVICE const StepRecord& RecordAt(unsigned place) {
  return Shared().records[place];
}

TL_DEVICE StepHeader HeaderAt(unsigned place) {
  static_assert(sizeof(StepHeader) == sizeof(uint64_t));
  const auto word = *reinterpret_cast<const uint64_t*>(&RecordAt(place));
  return {static_cast<StepWait>(word), static_cast<StepRun>(word >> 8),
          static_cast<int16_t>(word >> 16), static_cast<StepKind>(word >> 32),
          static_cast<int16_t>(word >> 48)};
}

// The place of this block among those of a step: one of header.blocks, if it has it.
TL_DEVICE unsigned BlockOf(const StepHeader& header) {
  return blockIdx.x - static_cast<unsigned>(header.first_block);
}
TL_DEVICE bool HasStep(const StepHeader& header) {
  return BlockOf(header) < static_cast<unsigned>(header.blocks);
}

// The rows of a matrix that a block multiplies; it has the step.
struct RowRange {
  int begin, end;
};

TL_DEVICE RowRange RowsOf(const RowsStep& step) {
  const auto block = static_cast<int>(BlockOf(step.header));
  const int more = step.rows_more;
  const int before = block < step.more_rows ? block : step.more_rows;
  const int begin = block * step.rows_per_block + before * more;
  return {begin,
          begin + step.rows_per_block + (block < step.more_rows ? more : 0)};
}

// A row of a step: which of its parts it is of, and which row of that.
struct PartOfRow {
  int part, row;
};

TL_DEVICE PartOfRow PartOf(const RowsStep& step, int row) {
  if (step.end == RowsEnd::kGated) return {row % 2, row / 2};
  int part = 0;
  while (part + 1 < step.parts && row >= step.part[part].end) ++part;
  return {part, part == 0 ? row : row - step.part[part - 1].end};
}

// Waits until all consumers of this block are here.
TL_DEVICE void SyncConsumers() { SyncThreads(1, kConsumers); }

// Sum over the consumers of a block, the same for all, in a fixed order. They
// wait for each other once more before they call it again.
TL_DEVICE float SumOfConsumers(float value) {
  float* partial = Shared().partial;
  value = WarpSum(value);
  if (Lane() == 0) partial[WarpOf()] = value;
  SyncConsumers();
  float sums[kConsumerWarps / 4];
#pragma unroll
  for (int i = 0; i < kConsumerWarps / 4; ++i) {
    const float4 four = reinterpret_cast<const float4*>(partial)[i];
    sums[i] = (four.x + four.y) + (four.z + four.w);
  }
  static_assert(kConsumerWarps == 16);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace tl::cuda
