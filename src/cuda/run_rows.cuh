// A RowsStep as the consumers of a block run it (run_steps.cu): each warp takes
// groups of rows, multiplies them from the tiles that were fetched, and does with
// the products what the step says.
#pragma once

#include "cuda/packed_rows.cuh"
#include "cuda/prepare_x.cuh"
#include "cuda/run_steps.cuh"
#include "cuda/small_group.cuh"

namespace tl::cuda {

TL_DEVICE void StoreHalf(std::byte* out, int at, uint16_t half) {
  reinterpret_cast<uint16_t*>(out)[at] = half;
}

// What RunRope does, of element `row` of a part and its neighbour.
TL_DEVICE void TurnRow(const RowsPart& part, int row, uint16_t half,
                       uint16_t neighbour, float cos, float sin) {
  const float own = __fmul_rn(FromHalf(half), cos);
  const float other = __fmul_rn(FromHalf(neighbour), sin);
  const uint16_t turned =
      ToHalf(row % 2 == 0 ? __fsub_rn(own, other) : __fadd_rn(own, other));
  StoreHalf(part.turned, row, turned);
  if (part.turned_also) StoreHalf(part.turned_also, row, turned);
}

// What becomes of the product that is result `row`; `beside` is the operand, where
// there is one.
TL_DEVICE void EndRow(const RowsStep& step, int row, float product,
                      uint16_t beside) {
  const float rounded = FromHalf(ToHalf(product)), other = FromHalf(beside);
  uint32_t result = 0;
  switch (step.end) {
    case RowsEnd::kAdd:
      result = RunHalf<OpId::Add>(rounded, other);
      break;
    case RowsEnd::kMul:
      result = RunHalf<OpId::Mul>(rounded, other);
      break;
    case RowsEnd::kSilu:
      result = RunHalf<OpId::Silu>(rounded, 0);
      break;
    case RowsEnd::kGroup: {
      const bool is_half = step.result_dtype == DType::F16;
      return RunGroupAt(step.group, row,
                        __float_as_uint(is_half ? rounded : product));
    }
    case RowsEnd::kStore: {
      const PartOfRow at = PartOf(step, row);
      const RowsPart& part = step.part[at.part];
      const uint32_t bits = __float_as_uint(product);
      StoreValue(part.out, step.result_dtype, at.row, bits);
      if (part.also) StoreValue(part.also, step.result_dtype, at.row, bits);
      return;
    }
    case RowsEnd::kTurn:
    case RowsEnd::kGated:
      return;  // with their neighbours: Turn and Gate
  }
  StoreHalf(step.part[0].out, row, ToHalf(__uint_as_float(result)));
}

// A warp's products, one in each lane until all lanes have one: what follows the
// products waits for memory, once for all of them. Lane i has the i-th of the
// warp's rows, so that it can ask for its operand before its product is there.
// The warp takes one group of kRows rows of every kConsumerWarps of the block's.
template <int kRows>
class WarpRows {
 public:
  TL_DEVICE WarpRows(const RowsStep& step, const RowRange& rows)
      : step_(step), end_(rows.end), next_(rows.begin + PlaceOf(step) * kRows) {
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

  TL_DEVICE void Flush() {
    if (step_.end == RowsEnd::kTurn) return Turn();
    if (step_.end == RowsEnd::kGated) return Gate();
    if (HasRow()) EndRow(step_, row_, product_, operand_);
  }

 private:
  static constexpr int kStride = kConsumerWarps * kRows;
  static constexpr int kMost = kWarpSize / kRows * kRows;

  TL_DEVICE static int PlaceOf(const RowsStep& step) {
    const int place = WarpOf() - step.first_warp;
    return place < 0 ? place + kConsumerWarps : place;
  }
  TL_DEVICE bool HasRow() const { return Lane() < held_ && row_ < end_; }
  TL_DEVICE static uint16_t OfNeighbour(uint16_t half) {
    return static_cast<uint16_t>(__shfl_xor_sync(kFullWarp, uint32_t{half}, 1));
  }

  TL_DEVICE void Turn() {
    const uint16_t half = ToHalf(product_), neighbour = OfNeighbour(half);
    if (!HasRow()) return;
    const PartOfRow at = PartOf(step_, row_);
    const RowsPart& part = step_.part[at.part];
    StoreHalf(part.out, at.row, half);
    if (part.also) StoreHalf(part.also, at.row, half);
    if (part.turned) TurnRow(part, at.row, half, neighbour, cos_, sin_);
  }
  TL_DEVICE void Gate() {
    const float own = FromHalf(ToHalf(product_));
    const uint16_t gate =
        ToHalf(__uint_as_float(RunHalf<OpId::Silu>(own, 0)));
    const float other = FromHalf(OfNeighbour(gate));
    if (!HasRow()) return;
    const PartOfRow at = PartOf(step_, row_);
    StoreHalf(step_.part[at.part].out, at.row,
              at.part == 0
                  ? gate
                  : ToHalf(__uint_as_float(RunHalf<OpId::Mul>(own, other))));
  }
  TL_DEVICE void Begin() {
    const auto lane = static_cast<unsigned>(Lane());
    held_ = 0;
    row_ = next_ + static_cast<int>(lane / kRows * kStride + lane % kRows);
    if (kMost < kWarpSize && Lane() >= kMost) row_ = end_;
    if (step_.operand != nullptr && row_ < end_) {
      operand_ = reinterpret_cast<const uint16_t*>(step_.operand)[row_];
    }
    if (step_.end == RowsEnd::kTurn && row_ < end_) {
      const int angle = (PartOf(step_, row_).row & (step_.head_elements - 1)) / 2;
      cos_ = reinterpret_cast<const float*>(step_.cos)[angle];
      sin_ = reinterpret_cast<const float*>(step_.sin)[angle];
    }
  }

  const RowsStep& step_;
  const int end_;
  int next_;
  int held_ = 0;  // lanes that have a product
  int row_ = 0;   // of this lane
  float product_ = 0;
  uint16_t operand_ = 0;
  float cos_ = 0, sin_ = 0;
};

// The rows of a group, which begin at `at`; some at the end may not be there.
template <int kRows>
TL_DEVICE void RunGroup(const RowsStep& step, const std::byte* at,
                        const RowOperand& x, WarpRows<kRows>& mine) {
  float sums[kRows] = {};
  RowDots(step.w_dtype, at, step.row_bytes, x, step.k, sums);
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
  unsigned tile = shared.next_tile[WarpOf()];
  const RowRange rows = RowsOf(step);
  const RowOperand x = {reinterpret_cast<const uint4*>(shared.scratch),
                        PlaceOfInt8()};
  const int row_bytes = step.row_bytes, rows_per_tile = step.rows_per_tile;
  WarpRows<kRows> mine(step, rows);
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

__device__ TL_NOINLINE void RunRows(unsigned place) {
  const RowsStep& step = RecordAt(place).rows;
  if (step.fresh_x) PrepareXOf(place);
  switch (step.rows_per_group) {
    case 1:
      return RunGroups<1>(place);
    case 2:
      return RunGroups<2>(place);
    case 3:
      return RunGroups<3>(place);
    default:
      return RunGroups<kMostRowsPerGroup>(place);
  }
}

}  // namespace tl::cuda
