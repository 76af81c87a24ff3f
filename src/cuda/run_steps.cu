// The persistent kernel: one block on each multiprocessor runs a list of steps
// (steps.h). Its weights stream through a ring in shared memory without a gap:
// the warp that fetches them waits for nothing but room, so that device memory
// is busy while the others wait for each other. Results depend on the number of
// multiprocessors only through which block computes them, not in their bits.
#include <algorithm>
#include <bit>

#include "cuda/attention_decode.cuh"
#include "cuda/attention_token.cuh"
#include "cuda/block_reduce.cuh"
#include "cuda/launch.h"
#include "cuda/packed_decode.cuh"
#include "cuda/run_fetch.cuh"
#include "cuda/run_rows.cuh"
#include "cuda/run_steps.cuh"
#include "cuda/run_steps.h"
#include "cuda/small_group.cuh"
#include "cuda/sort_key.cuh"

namespace tl::cuda {
namespace {

// What runs steps is not inlined: registers that one of them wants would be taken
// from all, and what is put aside in local memory comes from far away, since each
// wait for the grid empties the first-level cache.

__device__ TL_NOINLINE void RunElementwise(unsigned place) {
  const ElementwiseStep& step = RecordAt(place).elementwise;
  const bool alone = step.header.blocks == 1;
  const int threads = alone ? kConsumers : kConsumers * static_cast<int>(gridDim.x);
  const int first = alone ? 0 : kConsumers * static_cast<int>(blockIdx.x);
  for (int i = first + static_cast<int>(threadIdx.x); i < step.group.size;
       i += threads) {
    RunGroupAt(step.group, i, 0);
  }
}

__device__ TL_NOINLINE void RunRmsNorm(unsigned place) {
  const RmsNormStep& step = RecordAt(place).rms_norm;
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
  SyncConsumers();
}

TL_DEVICE void StoreTurned(const RopeStep& step, int at, float value) {
  const uint32_t bits = __float_as_uint(value);
  StoreValue(step.out, step.dtype, at, bits);
  if (step.also) StoreValue(step.also, step.dtype, at, bits);
}

__device__ TL_NOINLINE void RunRope(unsigned place) {
  const RopeStep& step = RecordAt(place).rope;
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

__device__ TL_NOINLINE void RunCopy(unsigned place) {
  const CopyStep& step = RecordAt(place).copy;
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

__device__ TL_NOINLINE void RunWrite(unsigned place) {
  const WriteStep& step = RecordAt(place).write;
  for (int i = threadIdx.x; i < step.words; i += kConsumers) {
    reinterpret_cast<uint32_t*>(step.to)[i] = step.word[i];
  }
}

template <class Type>
TL_DEVICE void SelectPackedRow(const SelectStep& step, const std::byte* row) {
  for (int at = 8 * static_cast<int>(threadIdx.x); at < step.k; at += 8 * kConsumers) {
    const auto* block = reinterpret_cast<const uint8_t*>(row) +
                        at / Type::kBlock * Type::kBytes;
    float values[8];
    DecodeEight<Type>(block, at % Type::kBlock, values);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      reinterpret_cast<uint16_t*>(step.out)[at + i] = ToHalf(values[i]);
    }
  }
}

__device__ TL_NOINLINE void RunSelect(unsigned place) {
  const SelectStep& step = RecordAt(place).select;
  const int32_t index = *step.index;
  const std::byte* row =
      step.table + (index < 0 ? index + step.rows : index) * step.row_bytes;
  switch (step.dtype) {
    case DType::Q8_0:
      return SelectPackedRow<Packed<DType::Q8_0>>(step, row);
    case DType::Q4_0:
      return SelectPackedRow<Packed<DType::Q4_0>>(step, row);
    case DType::Q4_K:
      return SelectPackedRow<Packed<DType::Q4_K>>(step, row);
    case DType::Q6_K:
      return SelectPackedRow<Packed<DType::Q6_K>>(step, row);
    default:
      break;
  }
  for (int at = threadIdx.x; at < step.k; at += kConsumers) {
    reinterpret_cast<uint16_t*>(step.out)[at] =
        reinterpret_cast<const uint16_t*>(row)[at];
  }
}

// What the best element and its place are as one number: of equals the first is larger.
template <class T>
TL_DEVICE unsigned long long BestOf(const T* x, int size, int first, int threads) {
  unsigned long long best = 0;
#pragma unroll 8
  for (int i = first; i < size; i += threads) {
    const unsigned long long key = SortKey(x[i]);
    const unsigned long long here = key << 32 | ~static_cast<uint32_t>(i);
    best = here > best ? here : best;
  }
  return best;
}

// The warp that comes last knows the best of all.
__device__ TL_NOINLINE void RunArgmax(unsigned place) {
  const ArgmaxStep& step = RecordAt(place).argmax;
  const int threads = kConsumers * step.header.blocks;
  const int first = kConsumers * static_cast<int>(BlockOf(step.header)) +
                    static_cast<int>(threadIdx.x);
  unsigned long long best =
      step.dtype == DType::F16
          ? BestOf(reinterpret_cast<const uint16_t*>(step.x), step.size, first, threads)
          : BestOf(reinterpret_cast<const float*>(step.x), step.size, first, threads);
  best = WarpReduce(best, [](unsigned long long a, unsigned long long b) {
    return a > b ? a : b;
  });
  if (Lane() != 0) return;
  atomicMax(step.best, best);
  const unsigned all = static_cast<unsigned>(threads / kWarpSize);
  if (CountIn(step.counted) + 1 < all) return;
  *step.out = static_cast<int32_t>(~static_cast<uint32_t>(atomicMax(step.best, 0ull)));
  *step.best = 0;
  *step.counted = 0;
}

template <int kDims, int kTileRows>
__device__ TL_NOINLINE void AttendTo(unsigned place) {
  const AttentionStep& step = RecordAt(place).attention;
  DecodeAttentionPart<DecodeShape<kDims, kTileRows, kConsumers>>(
      step.decode, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x),
      Shared().scratch,
      step.header.wait == StepWait::kGrid ? &Shared().item : nullptr);
}

__device__ TL_NOINLINE void RunAttention(unsigned place) {
  const DecodeAttention& decode = RecordAt(place).attention.decode;
  const bool few = decode.tile_rows == 8;
  if (decode.dims == 64) {
    few ? AttendTo<64, 8>(place) : AttendTo<64, 16>(place);
  } else {
    few ? AttendTo<128, 8>(place) : AttendTo<128, 16>(place);
  }
}

// Which keys and heads a block has is found while it waits for what they are.
TL_DEVICE void PrepareAttention(const StepRecord& step) {
  const auto block = static_cast<int>(blockIdx.x);
  if (step.header.kind == StepKind::kAttention &&
      block < DecodeItems(step.attention.decode)) {
    Shared().item = DecodeItemOf(step.attention.decode, block);
  }
}

// All blocks have come as far as this one.
__device__ TL_NOINLINE void WaitForGrid(unsigned* counter, unsigned next) {
  SyncConsumers();
  if (ThreadAgain() == kWarpSize) PrepareAttention(RecordAt(next));
  if (ThreadAgain() == 0) {
    const unsigned target = Shared().reached + gridDim.x;
    Shared().reached = target;
    ArriveAtGrid(counter);
    while (!GridReached(counter, target)) {
    }
  }
  SyncConsumers();
}

// By the first block, of the step that it is at.
__device__ TL_NOINLINE void NoteTime(uint64_t* times, unsigned step) {
  if (blockIdx.x == 0 && ThreadAgain() == 0) times[step] = GlobalTime();
}

// What a warp goes on to: what runs it, and the place of its record.
TL_DEVICE unsigned NextOf(StepRun run, unsigned place) {
  return static_cast<unsigned>(run) << 8 | place;
}
inline constexpr unsigned kNoStep = ~0u;

// Lets go of the step that a warp is at and goes to the next one of this block, once
// what it follows is done. That is all that the loop which calls it needs to know:
// what it kept in registers would go to local memory in each step.
TL_DEVICE unsigned NextStep(int count, unsigned* counter, uint64_t* times) {
  BlockMemory& shared = Shared();
  unsigned at = shared.step[WarpOf()];
  while (true) {
    ++at;
    __syncwarp();
    if (Lane() == 0 && at > 0) Arrive(&shared.record_empty[(at - 1) % kRecords]);
    const unsigned place = at % kRecords;
    const bool last = at == static_cast<unsigned>(count);
    if (!last) {
      WaitPhase(&shared.record_full[place], at / kRecords & 1);
      const StepHeader step = HeaderAt(place);
      const bool mine = HasStep(step);
      if (step.wait == StepWait::kGrid) {
        WaitForGrid(counter, place);
      } else if (step.wait == StepWait::kBlock && mine) {
        SyncConsumers();
      }
      if (mine) {
        if (times != nullptr) NoteTime(times, at);
        if (Lane() == 0) shared.step[WarpOf()] = at;
        __syncwarp();
        return NextOf(step.run, place);
      }
    }
    if (times != nullptr) NoteTime(times, at);
    if (last) return kNoStep;
  }
}

TL_DEVICE void RunStep(StepRun run, unsigned place) {
  switch (run) {
#define TL_STEP_RUN(name, ...) \
  case StepRun::k##name:       \
    return __VA_ARGS__(place);
#include "cuda/step_runs.def"
  }
}

TL_DEVICE void Compute(int count, unsigned* counter, uint64_t* times) {
  unsigned next;
  while ((next = NextStep(count, counter, times)) != kNoStep) {
    RunStep(static_cast<StepRun>(next >> 8), next & 0xff);
  }
}

// `reached` counts the blocks that came to a wait before this launch. What is fetched
// may come before the launch in front is over where it does not write it; the next
// launch may begin from there on, when it is.
__global__ void __launch_bounds__(kStepThreads, 1)
    RunStepsKernel(const StepRecord* steps, const __grid_constant__ FewSteps few,
                   int count, unsigned* counter, unsigned reached,
                   uint64_t* times, bool weights_are_there) {
  BlockMemory& shared = Shared();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kRecords; ++i) {
      Init(&shared.record_full[i], 1);
      Init(&shared.record_empty[i], kConsumerWarps + kFetchWarps);
    }
    for (int i = 0; i < kTiles; ++i) {
      Init(&shared.tile_full[i], kFetchWarps);
      Init(&shared.tile_empty[i], kConsumerWarps);
    }
    FenceInit();
    shared.reached = reached;
  }
  if (threadIdx.x < kConsumerWarps) {
    shared.step[threadIdx.x] = ~0u;
    shared.next_tile[threadIdx.x] = 0;
  }
  __syncthreads();
  if (threadIdx.x < kConsumers) {
    TakeRegisters<kConsumerRegisters>();
    WaitForLaunchBefore();
    LetNextLaunchBegin();
    Compute(count, counter, times);
  } else {
    GiveRegisters<kFetchRegisters>();
    if (!weights_are_there) WaitForLaunchBefore();
    Fetch(steps, few, count, counter, reached);
  }
}

// Long groups share what they read of x, short ones leave no warp without work:
// what a group costs is about two rows' time and that of its rows.
int RowsPerGroup(int rows, int64_t fit) {
  int best = 1, best_time = INT32_MAX;
  for (int size = 1; size <= kMostRowsPerGroup && size <= fit; ++size) {
    const int groups = (rows + size - 1) / size;
    const int rounds = (groups + kConsumerWarps - 1) / kConsumerWarps;
    if (rounds * (size + 2) >= best_time) continue;
    best = size;
    best_time = rounds * (size + 2);
  }
  return best;
}

int MostRows(const RowsStep& step) {
  return step.rows_per_block + (step.more_rows > 0 ? step.rows_more : 0);
}

void SetGroup(int rows, RowsStep& step) {
  const int fit = std::min(kTileBytes / step.row_bytes, INT16_MAX);
  step.rows_per_tile = static_cast<int16_t>(fit / rows * rows);
  step.rows_per_group = static_cast<int8_t>(rows);
  step.units_of_lane = 0;
}

// How the rows of a tile are cut if a lane has so many units of a row, and about how
// long a warp takes for a block's rows then, in units.
struct SliceCut {
  int units, width, rows_per_tile, time;

  SliceCut(const RowsStep& step, int units_of_lane)
      : units(units_of_lane), width(SliceWidth(step.k, units)) {
    const int at_once = kWarpSize / width, rows = MostRows(step);
    int fit = std::min(kTileSpace / PackedPitch(step.row_bytes), kRoundRows);
    // Whole turns of the lanes; and a round is of whole pairs of rows, those of an
    // odd number are pairs of tiles.
    if (fit > at_once) fit = fit / at_once * at_once;
    if (fit > kRoundRows / 2) fit &= ~1;
    rows_per_tile = fit;
    const auto turns = [&](int of) { return (of + at_once - 1) / at_once; };
    const int all = rows / fit * turns(fit) + turns(rows % fit);
    time = all * (2 * units + 1) + (rows + fit - 1) / fit;
  }
};

void SetPackedTiles(RowsStep& step) {
  const SliceCut one(step, 1), two(step, MostUnitsOfLane(step.w_dtype));
  const SliceCut& cut = two.time <= one.time ? two : one;
  step.rows_per_tile = static_cast<int16_t>(cut.rows_per_tile);
  step.rows_per_group = 0;
  step.units_of_lane = static_cast<int8_t>(cut.units);
  step.lanes_of_row = static_cast<int8_t>(cut.width);
  step.inverse_of_lanes = static_cast<int16_t>(InverseOfLanes(cut.width));
  const int tiles = kRoundRows / cut.rows_per_tile;
  step.rows_per_round = static_cast<int16_t>((tiles > 1 ? tiles & ~1 : 1) *
                                             cut.rows_per_tile);
}

StepRun RunOfRows(const RowsStep& step) {
  const auto run = [](StepRun first, int place) {
    return static_cast<StepRun>(static_cast<int>(first) + place - 1);
  };
  switch (step.w_dtype) {
    case DType::Q8_0:
      return run(StepRun::kQ8_0x1, step.units_of_lane);
    case DType::Q4_0:
      return run(StepRun::kQ4_0x1, step.units_of_lane);
    case DType::Q4_K:
      return run(StepRun::kQ4_Kx1, step.units_of_lane);
    case DType::Q6_K: {
      // Then as many lanes to a row as it has units at the same banks.
      const bool meet = std::has_single_bit(static_cast<unsigned>(step.lanes_of_row));
      return meet ? StepRun::kQ6_KTurned : StepRun::kQ6_K;
    }
    default:
      return run(StepRun::kHalf1, step.rows_per_group);
  }
}

}  // namespace

StepRun RunOf(const StepRecord& step) {
  switch (step.header.kind) {
    case StepKind::kRows:
      return RunOfRows(step.rows);
    case StepKind::kElementwise:
      return StepRun::kElementwise;
    case StepKind::kRmsNorm:
      return StepRun::kRmsNorm;
    case StepKind::kRope:
      return StepRun::kRope;
    case StepKind::kCopy:
      return StepRun::kCopy;
    case StepKind::kWrite:
      return StepRun::kWrite;
    case StepKind::kSelect:
      return StepRun::kSelect;
    case StepKind::kArgmax:
      return StepRun::kArgmax;
    case StepKind::kAttention:
      return StepRun::kAttention;
    case StepKind::kTokenAttention:
      break;
  }
  return step.token_attention.dims == 64 ? StepRun::kTokenAttention64
                                         : StepRun::kTokenAttention128;
}

int StepSharedBytes() { return static_cast<int>(sizeof(BlockMemory)); }

bool CutRows(int64_t n, int64_t k, int64_t row_bytes, int blocks,
             RowsStep& step) {
  const bool packed = IsPacked(step.w_dtype);
  if (row_bytes > kTileBytes || k > RowsStep::kMostColumns ||
      (packed && PackedPitch(static_cast<int>(row_bytes)) > kTileSpace)) {
    return false;
  }
  step.n = static_cast<int32_t>(n);
  step.k = static_cast<int32_t>(k);
  step.row_bytes = static_cast<int32_t>(row_bytes);
  // In pairs, which what follows may want to see together.
  step.rows_more = step.n % 2 == 0 ? 2 : 1;
  const int units = step.n / step.rows_more;
  step.rows_per_block = units / blocks * step.rows_more;
  step.more_rows = units % blocks;
  if (packed) {
    SetPackedTiles(step);
  } else {
    SetGroup(RowsPerGroup(MostRows(step), kTileBytes / row_bytes), step);
  }
  return true;
}

bool GroupInPairs(RowsStep& step) {
  if (IsPacked(step.w_dtype)) return step.rows_more == 2;
  if (step.rows_per_group % 2 == 0) return true;
  if (step.rows_more != 2 || kTileBytes / step.row_bytes < 2) return false;
  SetGroup(2, step);
  return true;
}

int GroupsPerBlock(const RowsStep& step) {
  if (IsPacked(step.w_dtype)) return 0;  // all warps have a share of each row
  return (MostRows(step) + step.rows_per_group - 1) / step.rows_per_group;
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

void CutKeys(int blocks, TokenAttentionStep& step) {
  const int keys = step.keys - step.first_key;
  const auto most =
      static_cast<int>((kScratchBytes - kTokenSharedBytes(step.dims)) /
                       (step.group * step.dims * sizeof(float)));
  step.warps = std::min(most, kConsumerWarps);
  constexpr int kFewestKeys = 128;  // of a split: a turn of half of the warps
  const int splits = (keys + kFewestKeys - 1) / kFewestKeys;
  step.splits = std::clamp(splits, 1, blocks / step.kv_heads);
}

void RunSteps(const StepsLaunch& launch, int blocks) {
  FewSteps few = {};
  const bool is_few = launch.on_card == nullptr;
  if (is_few) std::ranges::copy(launch.steps, few.at);
  // What no block waits in is about as short as a launch.
  const bool overlaps = is_few && !launch.together;
  Launch(RunStepsKernel,
         {.grid = {static_cast<unsigned>(blocks)},
          .block = {kStepThreads},
          .shared_bytes = StepSharedBytes(),
          .together = !overlaps,
          .overlaps = overlaps},
         launch.on_card, few, static_cast<int>(launch.steps.size()), launch.counter,
         launch.reached, launch.times, launch.weights_are_there);
}

}  // namespace tl::cuda
