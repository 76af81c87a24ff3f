// What the fetching warps of a block do (run_steps.cuh): records of steps, and the
// tiles of those that have some, come one after the other, whatever the computing
// warps wait for. What is to be done once is the first thread's.
#pragma once

#include "cuda/run_steps.cuh"
#include "cuda/token_keys.cuh"

namespace tl::cuda {

TL_DEVICE int64_t NormBytes(const RowsStep& step) {
  return int64_t{step.k} * (step.norm_dtype == DType::F16 ? 2 : 4);
}

TL_DEVICE bool IsFirstFetcher() {
  return static_cast<int>(threadIdx.x) == kConsumers;
}

// Room for a tile, once it is free and few are under way, of which this warp fetches
// so many bytes.
TL_DEVICE std::byte* BeginTile(unsigned tile, uint32_t bytes) {
  BlockMemory& shared = Shared();
  const unsigned slot = tile % kTiles;
  WaitPhase(&shared.tile_empty[slot], (tile / kTiles + 1) & 1);
  if (tile >= kTilesUnderWay) {
    const unsigned before = tile - kTilesUnderWay;
    WaitPhase(&shared.tile_full[before % kTiles], before / kTiles & 1);
  }
  if (Lane() == 0) ArriveExpecting(&shared.tile_full[slot], bytes);
  __syncwarp();
  return shared.tiles[slot];
}

TL_DEVICE void CopyToTile(unsigned tile, std::byte* to, const std::byte* from,
                          uint32_t bytes) {
  BulkCopyOnce(to, from, bytes, &Shared().tile_full[tile % kTiles]);
}

// `bytes` from `from` and what else is in their lines of 16 bytes.
struct Lines {
  const std::byte* from;
  uint32_t bytes;

  TL_DEVICE Lines(const std::byte* begin, int64_t size) {
    const auto offset =
        static_cast<int64_t>(reinterpret_cast<uintptr_t>(begin) & 15);
    from = begin - offset;
    bytes = static_cast<uint32_t>((offset + size + 15) & ~int64_t{15});
  }
};

TL_DEVICE void FetchTile(const std::byte* from, int64_t bytes, unsigned tile) {
  const Lines lines(from, bytes);
  const bool mine = WarpOf() == kConsumerWarps;
  std::byte* const to = BeginTile(tile, mine ? lines.bytes : 0);
  if (IsFirstFetcher()) CopyToTile(tile, to, lines.from, lines.bytes);
}

// Rows of more than one part, which are whole lines of 16.
TL_DEVICE void FetchParts(const RowsStep& step, int row, int end, unsigned tile) {
  const int row_bytes = step.row_bytes;
  const bool mine = WarpOf() == kConsumerWarps;
  const auto bytes = static_cast<uint32_t>((end - row) * row_bytes);
  std::byte* to = BeginTile(tile, mine ? bytes : 0);
  while (IsFirstFetcher() && row < end) {
    const PartOfRow at = PartOf(step, row);
    const RowsPart& part = step.part[at.part];
    const int rows =
        step.end == RowsEnd::kGated ? 1 : min(part.end, end) - row;
    const auto of_part = static_cast<uint32_t>(rows * row_bytes);
    CopyToTile(tile, to, part.w + int64_t{at.row} * row_bytes, of_part);
    to += of_part;
    row += rows;
  }
}

// Packed rows, each at its place. A lane fetches a row: one after the other they
// would take longer than their bytes.
TL_DEVICE void FetchPacked(const RowsStep& step, int row, int end, unsigned tile) {
  const int pitch = PackedPitch(step.row_bytes);
  const auto lines_of = [&](int r) {
    const PartOfRow at = PartOf(step, r);
    return Lines(step.part[at.part].w + int64_t{at.row} * step.row_bytes,
                 step.row_bytes);
  };
  const int first = row + (WarpOf() - kConsumerWarps) + Lane() * kFetchWarps;
  uint32_t bytes = 0;
  for (int r = first; r < end; r += kFetchers) bytes += lines_of(r).bytes;
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    bytes += __shfl_xor_sync(kFullWarp, bytes, mask);
  }
  std::byte* const to = BeginTile(tile, bytes);
  for (int r = first; r < end; r += kFetchers) {
    const Lines lines = lines_of(r);
    CopyToTile(tile, to + (r - row) * pitch, lines.from, lines.bytes);
  }
}

TL_DEVICE void FetchTiles(const RowsStep& step, unsigned& tile) {
  const int64_t row_bytes = step.row_bytes;
  const RowRange rows = RowsOf(step);
  if (step.norm_weight) FetchTile(step.norm_weight, NormBytes(step), tile++);
  for (int row = rows.begin; row < rows.end; row += step.rows_per_tile, ++tile) {
    const int end = min(row + step.rows_per_tile, rows.end);
    if (step.w_dtype != DType::F16) {
      FetchPacked(step, row, end, tile);
    } else if (step.parts > 1) {
      FetchParts(step, row, end, tile);
    } else {
      FetchTile(step.part[0].w + row * row_bytes, (end - row) * row_bytes, tile);
    }
  }
}

// Keys and values of the block's item, a lane those of one key. The token's own, if it
// is handed over, comes with the queries. What there is no register for is read from
// the record again.
template <int kDims>
TL_DEVICE void FetchKeys(const TokenAttentionStep& step, unsigned& tile) {
  using Tile = KeyTile<kDims>;
  static_assert(Tile::kKeys <= kFetchers);
  constexpr uint32_t kRowBytes = kDims * 2;
  const TokenItem item(step, static_cast<int>(blockIdx.x));
  const int mine = WarpOf() - kConsumerWarps + Lane() * kFetchWarps;
  for (int key = item.begin; key < item.end; key += Tile::kKeys, ++tile) {
    const int there = step.keys - (step.handed != nullptr);
    const int count = min(min(key + Tile::kKeys, item.end), there) - key;
    const auto lanes = static_cast<uint32_t>(
        __popc(__ballot_sync(kFullWarp, mine < count)));
    std::byte* const to = BeginTile(tile, lanes * 2 * kRowBytes);
    if (mine >= count) continue;
    const int64_t k = item.head * step.k_head + (key + mine) * step.k_row;
    CopyToTile(tile, to + Tile::PlaceOfKey(mine), step.k + k * 2, kRowBytes);
    const int64_t v = item.head * step.v_head + (key + mine) * step.v_row;
    CopyToTile(tile, to + Tile::PlaceOfValue(mine), step.v + v * 2, kRowBytes);
  }
}

// `reached` is what the counter of blocks that wait for each other will be when what
// is fetched after a wait is there.
TL_DEVICE void FetchOf(const StepRecord& step, const unsigned* counter,
                       unsigned reached, unsigned& tile) {
  if (step.header.kind == StepKind::kRows) {
    if (HasStep(step.header)) FetchTiles(step.rows, tile);
  } else if (step.header.kind == StepKind::kTokenAttention) {
    const TokenAttentionStep& attention = step.token_attention;
    if (attention.wait_for_keys) {
      while (!GridReached(counter, reached)) {
      }
      FenceBulk();
    }
    if (!HasTokenItem(attention)) return;
    attention.dims == 64 ? FetchKeys<64>(attention, tile)
                         : FetchKeys<128>(attention, tile);
  }
}

// By the first of the warps.
TL_DEVICE void FetchRecord(const StepRecord* from, int slot) {
  BlockMemory& shared = Shared();
  if (Lane() != 0) return;
  ArriveExpecting(&shared.record_full[slot], sizeof(StepRecord));
  BulkCopy(&shared.records[slot], from, sizeof(StepRecord),
           &shared.record_full[slot]);
}
// From the launch's arguments, which are not in device memory.
TL_DEVICE void CopyRecord(const StepRecord& from, int slot) {
  BlockMemory& shared = Shared();
  const auto* words = reinterpret_cast<const uint32_t*>(&from);
  auto* to = reinterpret_cast<uint32_t*>(&shared.records[slot]);
  for (int i = Lane(); i < static_cast<int>(sizeof(StepRecord) / 4);
       i += kWarpSize) {
    to[i] = words[i];
  }
  __syncwarp();
  if (Lane() == 0) Arrive(&shared.record_full[slot]);
}

// `steps` is null where there are few.
TL_DEVICE void Fetch(const StepRecord* steps, const FewSteps& few, int count,
                     const unsigned* counter, unsigned reached) {
  BlockMemory& shared = Shared();
  unsigned tile = 0;
  int fetched = 0;
  for (int at = 0; at < count; ++at) {
    for (; fetched < count && fetched <= at + kRecordsAhead; ++fetched) {
      const int slot = fetched % kRecords;
      WaitPhase(&shared.record_empty[slot], (fetched / kRecords + 1) & 1);
      if (WarpOf() != kConsumerWarps) continue;
      steps != nullptr ? FetchRecord(steps + fetched, slot)
                       : CopyRecord(few.at[fetched], slot);
    }
    const int slot = at % kRecords;
    WaitPhase(&shared.record_full[slot], at / kRecords & 1);
    const StepRecord& step = shared.records[slot];
    if (step.header.wait == StepWait::kGrid) reached += gridDim.x;
    FetchOf(step, counter, reached, tile);
    __syncwarp();
    if (Lane() == 0) Arrive(&shared.record_empty[slot]);
  }
}

}  // namespace tl::cuda
