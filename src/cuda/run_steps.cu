// The persistent kernel: one block on each multiprocessor runs a list of steps
// (steps.h). Its weights stream through a ring in shared memory without a gap:
// the warp that fetches them waits for nothing but room, so that device memory
// is busy while the others wait for each other. Results depend on the number of
// multiprocessors only through which block computes them, not in their bits.
#include "cuda/launch.h"
#include "cuda/packed_rows.cuh"
#include "cuda/run_steps.cuh"
#include "cuda/run_steps.h"
#include "cuda/small_group.cuh"

namespace tl::cuda {
namespace {

// --- Fetching ----------------------------------------------------------------

TL_DEVICE void FetchTiles(const RowsStep& step, int& tile) {
  BlockMemory& shared = Shared();
  const int64_t row_bytes = step.row_bytes;
  const RowRange rows = RowsOf(step.n, row_bytes);
  for (int row = rows.begin; row < rows.end; row += rows.per_tile, ++tile) {
    const int slot = tile % kTiles;
    const int end = row + rows.per_tile < rows.end ? row + rows.per_tile : rows.end;
    const std::byte* first = step.w + row * row_bytes;
    const auto offset = static_cast<int64_t>(reinterpret_cast<uintptr_t>(first) & 15);
    const auto bytes = static_cast<uint32_t>(
        (offset + (end - row) * row_bytes + 15) & ~int64_t{15});
    WaitPhase(&shared.tile_empty[slot], (tile / kTiles + 1) & 1);
    ArriveExpecting(&shared.tile_full[slot], bytes);
    BulkCopy(shared.tiles[slot], first - offset, bytes, &shared.tile_full[slot]);
  }
}

// One thread of a block.
TL_DEVICE void Fetch(const StepRecord* steps, int count) {
  BlockMemory& shared = Shared();
  int tile = 0, fetched = 0;
  for (int at = 0; at < count; ++at) {
    for (; fetched < count && fetched < at + kRecords - 1; ++fetched) {
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

// Sum of squares of x, which is left in shared memory as it is.
TL_DEVICE float BringX(const RowsStep& step) {
  auto* to = reinterpret_cast<uint4*>(Shared().x);
  const auto* from = reinterpret_cast<const uint4*>(step.x);
  float squares = 0;
  for (int i = threadIdx.x; i < step.k / 8; i += kConsumers) {
    const uint4 bits = from[i];
    to[i] = bits;
    const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float a = FromHalf(static_cast<uint16_t>(words[w]));
      const float b = FromHalf(static_cast<uint16_t>(words[w] >> 16));
      squares = fmaf(a, a, fmaf(b, b, squares));
    }
  }
  return squares;
}

// x, normed, in shared memory; every thread its own elements.
TL_DEVICE void Norm(const RowsStep& step, float squares) {
  const float mean = __fdiv_rn(SumOfConsumers(squares), static_cast<float>(step.k));
  const float scale = __fdiv_rn(1.0f, __fsqrt_rn(mean + step.eps));
  auto* x = reinterpret_cast<uint16_t*>(Shared().x);
  for (int i = threadIdx.x; i < step.k / 8; i += kConsumers) {
    for (int e = 8 * i; e < 8 * i + 8; ++e) {
      const float weight = __uint_as_float(LoadValue(step.norm_weight, step.norm_dtype, e));
      x[e] = ToHalf(__fmul_rn(__fmul_rn(FromHalf(x[e]), scale), weight));
      if (step.norm_out && blockIdx.x == 0) {
        reinterpret_cast<uint16_t*>(step.norm_out)[e] = x[e];
      }
    }
  }
}

// Rounds x in shared memory to int8, in place: 4 threads a group of 32. What is
// read comes before what is written, group by group of a round of all threads.
TL_DEVICE Int8Row PlaceOfInt8(int k) {
  std::byte* at = Shared().x;
  return {reinterpret_cast<const uint4*>(at),
          reinterpret_cast<const float2*>(at + k)};
}

TL_DEVICE void RoundToInt8(int k) {
  constexpr int kMostRounds = kMostColumns / 8 / kConsumers + 1;
  auto* x = reinterpret_cast<uint4*>(Shared().x);
  uint4 mine[kMostRounds];
  int rounds = 0;
  for (int i = threadIdx.x; i < k / 8; i += kConsumers) mine[rounds++] = x[i];
  SyncConsumers();
  const Int8Row place = PlaceOfInt8(k);
  auto* q = reinterpret_cast<uint2*>(const_cast<uint4*>(place.q));
  auto* groups = const_cast<float2*>(place.groups);
  // Whole warps take part in the shuffles.
  for (int round = 0; round * kConsumers < k / 8; ++round) {
    const int i = round * kConsumers + static_cast<int>(threadIdx.x);
    const bool has = i < k / 8;
    const uint4 bits = has ? mine[round] : make_uint4(0, 0, 0, 0);
    const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
    float values[8], largest = 0;
    bool finite = true;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      values[e] = FromHalf(static_cast<uint16_t>(words[e / 2] >> (e % 2 * 16)));
      largest = fmaxf(largest, fabsf(values[e]));
      finite = finite && fabsf(values[e]) <= 65504.0f;
    }
    int bad = finite ? 0 : 1;
    for (int mask = 1; mask < 4; mask *= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(kFullWarp, largest, mask));
      bad |= __shfl_xor_sync(kFullWarp, bad, mask);
    }
    const float scale = largest / 127.0f;
    const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    uint32_t packed[2] = {};
    int sum = 0;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const int rounded = __float2int_rn(values[e] * inverse);
      sum += rounded;
      packed[e / 4] |= (static_cast<uint32_t>(rounded) & 0xff) << (e % 4 * 8);
    }
    for (int mask = 1; mask < 4; mask *= 2) {
      sum += __shfl_xor_sync(kFullWarp, sum, mask);
    }
    if (!has) continue;
    q[i] = make_uint2(packed[0], packed[1]);
    if (i % 4 == 0) {
      const float used = bad ? __uint_as_float(0x7fc00000u) : scale;
      groups[i / 4] = make_float2(used, used * static_cast<float>(sum));
    }
  }
}

TL_DEVICE void PrepareX(const RowsStep& step) {
  SyncConsumers();  // nobody reads the x of before
  const float squares = BringX(step);
  if (step.norm_weight) Norm(step, squares);
  SyncConsumers();
  if (step.w_dtype != DType::F16) {
    RoundToInt8(step.k);
    SyncConsumers();
  }
}

TL_DEVICE void Finish(const RowsStep& step, int n, float product) {
  const bool half = step.result_dtype == DType::F16;
  if (step.has_group) {
    const float rounded = half ? FromHalf(ToHalf(product)) : product;
    RunGroupAt(step.group, n, __float_as_uint(rounded));
  } else {
    StoreValue(step.out, step.result_dtype, n, __float_as_uint(product));
  }
}

// Each warp takes every kConsumerWarps-th row: it needs no other.
TL_DEVICE void RunRows(const RowsStep& step, int& tile) {
  BlockMemory& shared = Shared();
  if (step.fresh_x) PrepareX(step);
  const RowRange rows = RowsOf(step.n, step.row_bytes);
  const auto* halves = reinterpret_cast<const uint4*>(shared.x);
  const Int8Row int8 = PlaceOfInt8(step.k);
  int mine = rows.begin + WarpOf();
  for (int row = rows.begin; row < rows.end; row += rows.per_tile, ++tile) {
    const int slot = tile % kTiles;
    const int end = row + rows.per_tile < rows.end ? row + rows.per_tile : rows.end;
    WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
    const int64_t start = row * static_cast<int64_t>(step.row_bytes);
    const std::byte* first =
        shared.tiles[slot] + (reinterpret_cast<uintptr_t>(step.w + start) & 15);
    for (; mine < end; mine += kConsumerWarps) {
      const std::byte* at = first + (mine - row) * static_cast<int64_t>(step.row_bytes);
      const float product =
          WarpSum(RowProduct(step.w_dtype, at, halves, int8, step.k));
      if (Lane() == 0) Finish(step, mine, product);
    }
    __syncwarp();
    if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
  }
}

TL_DEVICE void RunElementwise(const ElementwiseStep& step) {
  const bool alone = step.header.block != kAllBlocks;
  const int threads = alone ? kConsumers : kConsumers * static_cast<int>(gridDim.x);
  const int first = alone ? 0 : kConsumers * static_cast<int>(blockIdx.x);
  for (int i = first + static_cast<int>(threadIdx.x); i < step.group.size;
       i += threads) {
    RunGroupAt(step.group, i, 0);
  }
}

TL_DEVICE void RunRmsNorm(const RmsNormStep& step) {
  const auto* x = reinterpret_cast<const uint16_t*>(step.x);
  float squares = 0;
  for (int i = threadIdx.x; i < step.k; i += kConsumers) {
    const float value = FromHalf(x[i]);
    squares = fmaf(value, value, squares);
  }
  const float mean = __fdiv_rn(SumOfConsumers(squares), static_cast<float>(step.k));
  const float scale = __fdiv_rn(1.0f, __fsqrt_rn(mean + step.eps));
  for (int i = threadIdx.x; i < step.k; i += kConsumers) {
    const float weight = __uint_as_float(LoadValue(step.weight, step.weight_dtype, i));
    reinterpret_cast<uint16_t*>(step.out)[i] =
        ToHalf(__fmul_rn(__fmul_rn(FromHalf(x[i]), scale), weight));
  }
}

TL_DEVICE void RunRope(const RopeStep& step) {
  const int half = step.dim / 2;
  const int pairs = step.seq * step.heads * half;
  for (int i = threadIdx.x; i < pairs; i += kConsumers) {
    const int pair = i % half;
    const int head = i / half;
    const int angle = head / step.heads * half + pair;
    const int a = head * step.dim + (step.halves ? pair : 2 * pair);
    const int b = a + (step.halves ? half : 1);
    const float cos = reinterpret_cast<const float*>(step.cos)[angle];
    const float sin = reinterpret_cast<const float*>(step.sin)[angle];
    const float first = __uint_as_float(LoadValue(step.x, step.dtype, a));
    const float second = __uint_as_float(LoadValue(step.x, step.dtype, b));
    StoreValue(step.out, step.dtype, a,
               __float_as_uint(__fsub_rn(__fmul_rn(first, cos),
                                         __fmul_rn(second, sin))));
    StoreValue(step.out, step.dtype, b,
               __float_as_uint(__fadd_rn(__fmul_rn(second, cos),
                                         __fmul_rn(first, sin))));
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

}  // namespace

int StepSharedBytes() { return static_cast<int>(sizeof(BlockMemory)); }

bool FitsRows(int64_t row_bytes, int64_t k) {
  return row_bytes <= kTileBytes && k <= kMostColumns;
}

void RunSteps(const StepRecord* steps, int count, int blocks, unsigned* counter,
              unsigned reached) {
  Launch(RunStepsKernel,
         {{static_cast<unsigned>(blocks)}, {kStepThreads}, StepSharedBytes(), true},
         steps, count, counter, reached);
}

}  // namespace tl::cuda
