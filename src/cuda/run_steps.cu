// The persistent kernel: one block on each multiprocessor runs a list of steps
// (steps.h). Its weights stream through a ring in shared memory without a gap:
// the warp that fetches them waits for nothing but room, so that device memory
// is busy while the others wait for each other. Results depend on the number of
// multiprocessors only through which block computes them, not in their bits.
#include <algorithm>

#include "cuda/attention_decode.cuh"
#include "cuda/launch.h"
#include "cuda/packed_rows.cuh"
#include "cuda/prepare_x.cuh"
#include "cuda/run_steps.cuh"
#include "cuda/run_steps.h"
#include "cuda/small_group.cuh"

namespace tl::cuda {
namespace {

TL_DEVICE int64_t NormBytes(const RowsStep& step) {
  return int64_t{step.k} * (step.norm_dtype == DType::F16 ? 2 : 4);
}

// --- Fetching ----------------------------------------------------------------

// `bytes` from `from`, whatever its place in a line of 16.
TL_DEVICE void FetchTile(const std::byte* from, int64_t bytes, int tile) {
  BlockMemory& shared = Shared();
  const int slot = tile % kTiles;
  const auto offset =
      static_cast<int64_t>(reinterpret_cast<uintptr_t>(from) & 15);
  const auto lines = static_cast<uint32_t>((offset + bytes + 15) & ~int64_t{15});
  WaitPhase(&shared.tile_empty[slot], (tile / kTiles + 1) & 1);
  ArriveExpecting(&shared.tile_full[slot], lines);
  BulkCopy(shared.tiles[slot], from - offset, lines, &shared.tile_full[slot]);
}

TL_DEVICE void FetchTiles(const RowsStep& step, int& tile) {
  const int64_t row_bytes = step.row_bytes;
  const RowRange rows = RowsOf(step);
  if (step.norm_weight) FetchTile(step.norm_weight, NormBytes(step), tile++);
  for (int row = rows.begin; row < rows.end; row += step.rows_per_tile, ++tile) {
    const int end = min(row + step.rows_per_tile, rows.end);
    FetchTile(step.w + row * row_bytes, (end - row) * row_bytes, tile);
  }
}

// One thread of a block.
TL_DEVICE void Fetch(const StepRecord* steps, int count) {
  BlockMemory& shared = Shared();
  int tile = 0, fetched = 0;
  for (int at = 0; at < count; ++at) {
    for (; fetched < count && fetched <= at + kRecordsAhead; ++fetched) {
      const int slot = fetched % kRecords;
      WaitPhase(&shared.record_empty[slot], (fetched / kRecords + 1) & 1);
      ArriveExpecting(&shared.record_full[slot], sizeof(StepRecord));
      BulkCopy(&shared.records[slot], steps + fetched, sizeof(StepRecord),
               &shared.record_full[slot]);
    }
    const int slot = at % kRecords;
    WaitPhase(&shared.record_full[slot], at / kRecords & 1);
    const StepRecord& step = shared.records[slot];
    if (step.header.kind == StepKind::kRows) {
      FetchTiles(step.rows, tile);
    }
    Arrive(&shared.record_empty[slot]);
  }
}

// --- Computing ---------------------------------------------------------------

// A warp's products, one in each lane until all lanes have one: what follows the
// products waits for memory, once for all of them. Lane i has the i-th of the
// warp's rows, so that it can ask for its operand before its product is there.
class WarpRows {
 public:
  TL_DEVICE WarpRows(const RowsStep& step, const RowRange& rows)
      : step_(step),
        end_(rows.end),
        first_(rows.begin + Turn(step) * step.rows_per_group) {
    Begin();
  }

  // The first row of the next group.
  TL_DEVICE int next() const { return first_ + groups_ * Stride(); }

  template <int kRows>
  TL_DEVICE void Put(const float (&products)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (Lane() == held_ + r) product_ = products[r];
    }
    held_ += step_.rows_per_group;
    ++groups_;
    if (held_ == kWarpSize) {
      Flush();
      Begin();
    }
  }

  TL_DEVICE void Flush() {
    if (Lane() >= held_ || row_ >= end_) return;
    if (!step_.has_group) {
      const uint32_t bits = __float_as_uint(product_);
      StoreValue(step_.out, step_.result_dtype, row_, bits);
      if (step_.also) StoreValue(step_.also, step_.result_dtype, row_, bits);
      return;
    }
    const bool half = step_.result_dtype == DType::F16;
    const float rounded = half ? FromHalf(ToHalf(product_)) : product_;
    RunGroupAt(step_.group, row_, __float_as_uint(rounded), operand_);
  }

 private:
  TL_DEVICE static int Turn(const RowsStep& step) {
    const int turn = WarpOf() - step.first_warp;
    return turn < 0 ? turn + kConsumerWarps : turn;
  }
  TL_DEVICE int Stride() const {
    return kConsumerWarps * step_.rows_per_group;
  }
  TL_DEVICE void Begin() {
    const int per_group = step_.rows_per_group;
    held_ = 0;
    row_ = next() + Lane() / per_group * Stride() + Lane() % per_group;
    if (step_.has_group && row_ < end_) operand_ = FirstOperand(step_.group, row_);
  }

  const RowsStep& step_;
  const int end_, first_;
  int groups_ = 0;
  int held_ = 0;  // lanes that have a product
  int row_ = 0;   // of this lane
  float product_ = 0;
  uint32_t operand_ = 0;
};

// The rows of a group, which begin at `at`; some at the end may not be there.
template <int kRows>
TL_DEVICE void RunGroup(const RowsStep& step, const std::byte* at,
                        const RowOperand& x, WarpRows& mine) {
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

// Each warp takes one group of rows of every kConsumerWarps of the block's, and
// needs no other warp.
TL_DEVICE void RunRows(const RowsStep& step, int& tile) {
  BlockMemory& shared = Shared();
  if (step.fresh_x) PrepareX(step, tile);
  const RowRange rows = RowsOf(step);
  const RowOperand x = {reinterpret_cast<const uint4*>(shared.scratch),
                        PlaceOfInt8(step.k)};
  const int64_t row_bytes = step.row_bytes;
  WarpRows mine(step, rows);
  for (int row = rows.begin; row < rows.end; row += step.rows_per_tile, ++tile) {
    const int slot = tile % kTiles;
    const int end = min(row + step.rows_per_tile, rows.end);
    const auto start = reinterpret_cast<uintptr_t>(step.w + row * row_bytes);
    const std::byte* first = shared.tiles[slot] + (start & 15);
    WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
    while (mine.next() < end) {
      const std::byte* at = first + (mine.next() - row) * row_bytes;
      if (step.rows_per_group == 4) {
        RunGroup<4>(step, at, x, mine);
      } else if (step.rows_per_group == 2) {
        RunGroup<2>(step, at, x, mine);
      } else {
        RunGroup<1>(step, at, x, mine);
      }
    }
    __syncwarp();
    if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
  }
  mine.Flush();
}

TL_DEVICE void RunElementwise(const ElementwiseStep& step) {
  const bool alone = step.header.block != kAllBlocks;
  const int threads = alone ? kConsumers : kConsumers * static_cast<int>(gridDim.x);
  const int first = alone ? 0 : kConsumers * static_cast<int>(blockIdx.x);
  for (int i = first + static_cast<int>(threadIdx.x); i < step.group.size;
       i += threads) {
    RunGroupAt(step.group, i, 0, 0);
  }
}

TL_DEVICE void RunRmsNorm(const RmsNormStep& step) {
  const auto* x = reinterpret_cast<const uint16_t*>(step.x);
  float squares = 0;
  for (int i = threadIdx.x; i < step.k; i += kConsumers) {
    const float value = FromHalf(x[i]);
    squares = fmaf(value, value, squares);
  }
  const float scale = NormScale(squares, step.k, step.eps);
  for (int i = threadIdx.x; i < step.k; i += kConsumers) {
    const float weight =
        __uint_as_float(LoadValue(step.weight, step.weight_dtype, i));
    reinterpret_cast<uint16_t*>(step.out)[i] =
        ToHalf(Normed(FromHalf(x[i]), scale, weight));
  }
}

TL_DEVICE void StoreTurned(const RopeStep& step, int at, float value) {
  const uint32_t bits = __float_as_uint(value);
  StoreValue(step.out, step.dtype, at, bits);
  if (step.also) StoreValue(step.also, step.dtype, at, bits);
}

TL_DEVICE void RunRope(const RopeStep& step) {
  const int half = step.dim / 2;
  const int pairs = step.seq * step.heads * half;
  const int threads = kConsumers * static_cast<int>(gridDim.x);
  for (int i = kConsumers * static_cast<int>(blockIdx.x) +
               static_cast<int>(threadIdx.x);
       i < pairs; i += threads) {
    const int head = i / half;
    const int pair = i - head * half;
    const int angle = head / step.heads * half + pair;
    const int a = head * step.dim + (step.halves ? pair : 2 * pair);
    const int b = a + (step.halves ? half : 1);
    const float cos = reinterpret_cast<const float*>(step.cos)[angle];
    const float sin = reinterpret_cast<const float*>(step.sin)[angle];
    const float first = __uint_as_float(LoadValue(step.x, step.dtype, a));
    const float second = __uint_as_float(LoadValue(step.x, step.dtype, b));
    StoreTurned(step, a,
                __fsub_rn(__fmul_rn(first, cos), __fmul_rn(second, sin)));
    StoreTurned(step, b,
                __fadd_rn(__fmul_rn(second, cos), __fmul_rn(first, sin)));
  }
}

TL_DEVICE void RunCopy(const CopyStep& step) {
  for (int i = threadIdx.x; i < step.size; i += kConsumers) {
    int64_t from = 0, to = 0;
    int rest = i;
    for (int axis = CopyStep::kMaxAxes - 1; axis >= 0; --axis) {
      const int at = rest % step.dims[axis];
      from += at * step.from_strides[axis];
      to += at * step.to_strides[axis];
      rest /= step.dims[axis];
    }
    if (step.element_bytes == 2) {
      reinterpret_cast<uint16_t*>(step.to)[to] =
          reinterpret_cast<const uint16_t*>(step.from)[from];
    } else {
      reinterpret_cast<uint32_t*>(step.to)[to] =
          reinterpret_cast<const uint32_t*>(step.from)[from];
    }
  }
}

template <int kDims, int kTileRows>
TL_DEVICE void AttendTo(const DecodeAttention& decode) {
  DecodeAttentionPart<DecodeShape<kDims, kTileRows, kConsumers>>(
      decode, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x),
      Shared().scratch);
}

TL_DEVICE void RunAttention(const DecodeAttention& decode) {
  const bool few = decode.tile_rows == 8;
  if (decode.dims == 64) {
    few ? AttendTo<64, 8>(decode) : AttendTo<64, 16>(decode);
  } else {
    few ? AttendTo<128, 8>(decode) : AttendTo<128, 16>(decode);
  }
}

// All blocks have come as far as this one. `reached` counts the blocks that
// came here, in this launch and all before.
TL_DEVICE void WaitForGrid(unsigned* counter, unsigned& reached) {
  SyncConsumers();
  reached += gridDim.x;
  if (threadIdx.x == 0) {
    ArriveAtGrid(counter);
    while (!GridReached(counter, reached)) {
    }
  }
  SyncConsumers();
}

TL_DEVICE void RunStep(const StepRecord& step, int& tile) {
  switch (step.header.kind) {
    case StepKind::kRows:
      return RunRows(step.rows, tile);
    case StepKind::kElementwise:
      return RunElementwise(step.elementwise);
    case StepKind::kRmsNorm:
      return RunRmsNorm(step.rms_norm);
    case StepKind::kRope:
      return RunRope(step.rope);
    case StepKind::kCopy:
      return RunCopy(step.copy);
    case StepKind::kAttention:
      return RunAttention(step.attention.decode);
  }
}

TL_DEVICE void Compute(int count, unsigned* counter, unsigned reached) {
  BlockMemory& shared = Shared();
  int tile = 0;
  for (int at = 0; at < count; ++at) {
    const int slot = at % kRecords;
    WaitPhase(&shared.record_full[slot], at / kRecords & 1);
    const StepRecord& step = shared.records[slot];
    const int block = step.header.block;
    const bool mine = block == kAllBlocks || block == static_cast<int>(blockIdx.x);
    if (step.header.wait == StepWait::kGrid) {
      WaitForGrid(counter, reached);
    } else if (mine && step.header.wait == StepWait::kBlock) {
      SyncConsumers();
    }
    if (mine) RunStep(step, tile);
    __syncwarp();
    if (Lane() == 0) Arrive(&shared.record_empty[slot]);
  }
}

__global__ void __launch_bounds__(kStepThreads, 1)
    RunStepsKernel(const StepRecord* steps, int count, unsigned* counter,
                   unsigned reached) {
  BlockMemory& shared = Shared();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kRecords; ++i) {
      Init(&shared.record_full[i], 1);
      Init(&shared.record_empty[i], kConsumerWarps + 1);
    }
    for (int i = 0; i < kTiles; ++i) {
      Init(&shared.tile_full[i], 1);
      Init(&shared.tile_empty[i], kConsumerWarps);
    }
    FenceInit();
  }
  __syncthreads();
  if (threadIdx.x < kConsumers) {
    Compute(count, counter, reached);
  } else if (threadIdx.x == kConsumers) {
    Fetch(steps, count);
  }
}

// Long groups share what they read of x, short ones leave no warp without work:
// what a group costs is about two rows' time and that of its rows.
int RowsPerGroup(int rows, int64_t fit) {
  int best = 1, best_time = INT32_MAX;
  for (int size = 1; size <= kMostRowsPerGroup && size <= fit; size *= 2) {
    const int groups = (rows + size - 1) / size;
    const int rounds = (groups + kConsumerWarps - 1) / kConsumerWarps;
    if (rounds * (size + 2) >= best_time) continue;
    best = size;
    best_time = rounds * (size + 2);
  }
  return best;
}

}  // namespace

int StepSharedBytes() { return static_cast<int>(sizeof(BlockMemory)); }

bool CutRows(int64_t n, int64_t k, int64_t row_bytes, int blocks,
             RowsStep& step) {
  if (row_bytes > kTileBytes || k > kMostColumns) return false;
  step.n = static_cast<int32_t>(n);
  step.k = static_cast<int32_t>(k);
  step.row_bytes = static_cast<int32_t>(row_bytes);
  step.rows_per_block = step.n / blocks;
  step.more_rows = step.n % blocks;
  const int64_t fit = kTileBytes / row_bytes;
  const int group =
      RowsPerGroup(step.rows_per_block + (step.more_rows > 0), fit);
  const int64_t tile = std::min<int64_t>(fit, INT16_MAX) / group * group;
  step.rows_per_tile = static_cast<int16_t>(tile);
  step.rows_per_group = static_cast<int8_t>(group);
  return true;
}

int GroupsPerBlock(const RowsStep& step) {
  const int rows = step.rows_per_block + (step.more_rows > 0);
  return (rows + step.rows_per_group - 1) / step.rows_per_group;
}

int8_t WarpAfter(int warp, int groups) {
  return static_cast<int8_t>((warp + groups) % kConsumerWarps);
}

bool FitsTile(int64_t bytes) { return bytes <= kTileBytes; }

bool CanAttend(const DecodeAttention& decode) {
  return decode.dims <= 128 &&
         DecodeSharedBytes(decode, kConsumers) <=
             kScratchBytes;
}

void RunSteps(const StepRecord* steps, int count, int blocks, unsigned* counter,
              unsigned reached) {
  Launch(RunStepsKernel,
         {{static_cast<unsigned>(blocks)}, {kStepThreads}, StepSharedBytes(), true},
         steps, count, counter, reached);
}

}  // namespace tl::cuda
