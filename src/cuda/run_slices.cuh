// A RowsStep of packed rows: all warps of a block have a slice of each row.
#pragma once

#include "cuda/packed_rows.cuh"
#include "cuda/prepare_x.cuh"
#include "cuda/run_row_end.cuh"

namespace tl::cuda {

// What the warps have of each row of a round, [2, kConsumerWarps, kRoundRows]:
// those of one round are read while the next are written.
TL_DEVICE float* PartialSums(int round, int warp) {
  return reinterpret_cast<float*>(Shared().scratch + kInt8Bytes) +
         (round % 2 * kConsumerWarps + warp) * kRoundRows;
}

TL_DEVICE float SumOfWarps(int round, int row) {
  const float* partial = PartialSums(round, 0) + row;
  float sums[4] = {};  // one would wait for itself
#pragma unroll
  for (int warp = 0; warp < kConsumerWarps; ++warp) {
    sums[warp % 4] += partial[warp * kRoundRows];
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Of each row a warp has the same few units of x, which its lanes keep in
// registers: tiles are used up in the order in which they come, by all warps
// together, and a step of few rows has work for all of them. `width` lanes have
// a row, up to kUnits units of it each, and the lanes of a warp as many rows as
// that allows.
template <class Unit, int kUnits>
class Slice {
 public:
  TL_DEVICE explicit Slice(const RowsStep& step)
      : width_(step.lanes_of_row),
        row_(QuotientOfLanes(Lane(), step.inverse_of_lanes)),
        at_once_(QuotientOfLanes(kWarpSize, step.inverse_of_lanes)),
        place_(Lane() - row_ * width_) {
    const auto units = static_cast<unsigned>(step.k) / Unit::kElements;
    const int each = static_cast<int>(units / kConsumerWarps);
    const int more = static_cast<int>(units % kConsumerWarps);
    const int warp = WarpOf(), begin = warp * each + min(warp, more);
    const int end = begin + each + (warp < more);
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      // Every other eight rows begin with their second units, which are in
      // other banks of shared memory than the first of those before.
      const int unit = begin + place_ + (row_ / 8 + i) % kUnits * width_;
      has_[i] = unit < end;  // a short row has no work for some lanes
      unit_[i] = min(unit, static_cast<int>(units) - 1);
    }
  }

  // Once x is there.
  TL_DEVICE void Load(const RowsStep& step) {
#pragma unroll
    for (int i = 0; i < kUnits; ++i) x_[i].Load(PlaceOfInt8(), unit_[i]);
    row_bytes_ = step.row_bytes;
    pitch_ = PackedPitch(row_bytes_);
    start_ = static_cast<unsigned>(reinterpret_cast<uintptr_t>(step.part[0].w));
    in_line_ = step.parts > 1 ? 0 : 15;  // rows of several parts are whole lines
  }

  // The warp's share of rows [begin, end), which are in a tile, to
  // partial[row].
  TL_DEVICE void Sum(const std::byte* tile, int begin, int end,
                     float* partial) const {
    for (int row = begin + row_; row - row_ < end; row += at_once_) {
      const int mine = min(row, end - 1);
      const unsigned offset = start_ + static_cast<unsigned>(mine) *
                                           static_cast<unsigned>(row_bytes_);
      const std::byte* at =
          tile + (mine - begin) * pitch_ + (offset & in_line_);
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kUnits; ++i) {
        const float product = x_[i].Times(at, unit_[i]);
        sum += has_[i] ? product : 0;
      }
      sum = SumOfLanes(sum);
      if (place_ == 0 && row_ < at_once_ && row < end) partial[row] = sum;
    }
  }

 private:
  // In the first lane of a row.
  TL_DEVICE float SumOfLanes(float value) const {
#pragma unroll
    for (int ahead = 1; ahead < kMostWidth; ahead *= 2) {
      if (ahead >= width_) break;
      const float other = __shfl_down_sync(kFullWarp, value, ahead);
      if (place_ + ahead < width_) value += other;
    }
    return value;
  }

  static constexpr int kMostWidth =
      SliceWidth(RowsStep::kMostColumns, kUnits * (Unit::kElements / kUnitElements));
  static_assert(kMostWidth <= kWarpSize);

  const int width_, row_, at_once_, place_;
  int pitch_, row_bytes_;
  unsigned start_, in_line_;
  int unit_[kUnits];
  bool has_[kUnits];
  Unit x_[kUnits];
};

template <class Unit, int kUnits>
__device__ TL_NOINLINE void RunSlices(unsigned place) {
  const RowsStep& step = RecordAt(place).rows;
  BlockMemory& shared = Shared();
  // What can be found before x is there.
  Slice<Unit, kUnits> slice(step);
  const RowRange rows = RowsOf(step);
  const int rows_per_round = step.rows_per_round;
  const int own = static_cast<int>(threadIdx.x);  // of a round's rows, to end
  LaneRow ending(step);
  const auto has_row = [&](int round_begin) {
    return own < min(rows_per_round, rows.end - round_begin);
  };
  ending.Begin(rows.begin + own, has_row(rows.begin));
  if (step.fresh_x) {
    PrepareXOf(place);
  } else {
    SyncConsumers();  // the sums of the step before are read
  }
  unsigned tile = shared.next_tile[WarpOf()];  // behind a norm's weights
  slice.Load(step);
  const int rows_per_tile = step.rows_per_tile;
  unsigned slot = tile % kTiles, parity = tile / kTiles & 1;
  int round = 0;
  for (int begin = rows.begin; begin < rows.end;
       begin += rows_per_round, ++round) {
    const int end = min(begin + rows_per_round, rows.end);
    float* partial = PartialSums(round, WarpOf()) - begin;
    for (int row = begin; row < end; row += rows_per_tile, ++tile) {
      WaitPhase(&shared.tile_full[slot], parity);
      slice.Sum(shared.tiles[slot], row, min(row + rows_per_tile, end),
                partial);
      __syncwarp();
      if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
      if (++slot == kTiles) slot = 0, parity ^= 1;
    }
    SyncConsumers();
    if (WarpOf() * kWarpSize >= end - begin) continue;
    const bool has = has_row(begin);
    ending.End(has ? SumOfWarps(round, own) : 0, has);
    ending.Begin(end + own, has_row(end));
  }
  __syncwarp();  // all lanes have read where they began
  if (Lane() == 0) shared.next_tile[WarpOf()] = tile;
}

}  // namespace tl::cuda
