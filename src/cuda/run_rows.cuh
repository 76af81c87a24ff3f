// A RowsStep as the consumers of a block run it (run_steps.cu). Of rows of halves each
// warp takes groups and multiplies them from the tiles that were fetched; packed rows
// are run_slices.cuh's.
#pragma once

#include "cuda/prepare_x.cuh"
#include "cuda/run_row_end.cuh"
#include "cuda/run_slices.cuh"

namespace tl::cuda {

// A warp's products, one in each lane until all lanes have one: what follows the
// products waits for memory, once for all of them. Lane i has the i-th of the
// warp's rows. The warp takes one group of kRows rows of every kConsumerWarps of the
// block's.
template <int kRows>
class WarpRows {
 public:
  TL_DEVICE WarpRows(const RowsStep& step, const RowRange& rows)
      : lane_(step), end_(rows.end), next_(rows.begin + PlaceOf(step) * kRows) {
    Begin();
  }

  TL_DEVICE int next() const { return next_; }  // the first row of the next group

  TL_DEVICE void Put(const float (&products)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (Lane() == held_ + r) product_ = products[r];
    }
    held_ += kRows;
    next_ += kStride;
    if (held_ == kMost) {
      Flush();
      Begin();
    }
  }

  TL_DEVICE void Flush() { lane_.End(product_, has_row_ && Lane() < held_); }

 private:
  static constexpr int kStride = kConsumerWarps * kRows;
  static constexpr int kMost = kWarpSize / kRows * kRows;

  TL_DEVICE static int PlaceOf(const RowsStep& step) {
    const int place = WarpOf() - step.first_warp;
    return place < 0 ? place + kConsumerWarps : place;
  }
  TL_DEVICE void Begin() {
    const auto lane = static_cast<unsigned>(Lane());
    held_ = 0;
    const int row = next_ + static_cast<int>(lane / kRows * kStride + lane % kRows);
    has_row_ = row < end_ && Lane() < kMost;
    lane_.Begin(row, has_row_);
  }

  LaneRow lane_;
  const int end_;
  int next_;
  int held_ = 0;  // lanes that have a product
  bool has_row_ = false;
  float product_ = 0;
};

// The rows of a group, which begin at `at`; some at the end may not be there.
template <int kRows>
TL_DEVICE void RunGroup(const RowsStep& step, const std::byte* at,
                        const uint4* x, WarpRows<kRows>& mine) {
  float sums[kRows] = {};
  HalfDots(at, step.row_bytes, x, step.k, sums);
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      sums[r] += __shfl_xor_sync(kFullWarp, sums[r], mask);
    }
  }
  mine.Put(sums);
}

// Each warp needs no other.
template <int kRows>
__device__ TL_NOINLINE void RunGroups(unsigned place) {
  const RowsStep& step = RecordAt(place).rows;
  BlockMemory& shared = Shared();
  const RowRange rows = RowsOf(step);
  const auto* x = reinterpret_cast<const uint4*>(shared.scratch);
  const int row_bytes = step.row_bytes, rows_per_tile = step.rows_per_tile;
  WarpRows<kRows> mine(step, rows);
  if (step.fresh_x) PrepareXOf(place);
  unsigned tile = shared.next_tile[WarpOf()];  // behind a norm's weights
  // Where in a line of 16 bytes a tile begins.
  auto start = static_cast<unsigned>(reinterpret_cast<uintptr_t>(step.part[0].w)) +
               static_cast<unsigned>(rows.begin) *
                   static_cast<unsigned>(row_bytes);
  for (int row = rows.begin; row < rows.end; row += rows_per_tile, ++tile) {
    const unsigned slot = tile % kTiles;
    const int end = min(row + rows_per_tile, rows.end);
    const std::byte* first = shared.tiles[slot] + (start & 15);
    start += static_cast<unsigned>(rows_per_tile * row_bytes);
    WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
    while (mine.next() < end) {
      RunGroup(step, first + (mine.next() - row) * row_bytes, x, mine);
    }
    __syncwarp();
    if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
  }
  __syncwarp();  // all lanes have read where they began
  if (Lane() == 0) shared.next_tile[WarpOf()] = tile;
  mine.Flush();
}

}  // namespace tl::cuda
