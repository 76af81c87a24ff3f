// The device code of attention_decode.h, for kernels that have other things to
// do, too. Next attention_decode_keys.cuh.
#pragma once

#include "cuda/attention_decode_join.cuh"

namespace tl::cuda {

// `at` is where the item is, or at the start of `memory`, where it is found here.
template <class Shape>
TL_DEVICE void DecodeItemOfBlock(const DecodeAttention& decode, int index,
                                 std::byte* memory, const DecodeItem* at) {
  const DecodeShared<Shape> shared(memory, at);
  if (at == reinterpret_cast<DecodeItem*>(memory)) {
    if (threadIdx.x == 0) {
      *reinterpret_cast<DecodeItem*>(memory) = DecodeItemOf(decode, index);
    }
    Shape::Sync();
  }
  const DecodeItem& item = *shared.item;
  LoadDecodeQueries<Shape>(decode.problem, item.tile, shared);
  Shape::Sync();
  DecodeRows<Shape> rows;
  rows.Start();
  for (int key = item.begin + WarpOf() * kDecodeKeys; key < item.end;
       key += Shape::kWarps * kDecodeKeys) {
    DecodeKeys(decode.problem, item, key, shared, rows);
  }
  const int steps = (item.end - item.begin + kDecodeKeys - 1) / kDecodeKeys;
  const int warps = steps < Shape::kWarps ? max(steps, 1) : Shape::kWarps;
  JoinDecodeSums(shared, rows);
  JoinDecodeValues(decode, item, shared, warps, rows);
  const int row = static_cast<int>(threadIdx.x);
  if (decode.splits > 1 && row < item.tile.rows) {
    decode.state[int64_t{index} * decode.tile_rows + row] = shared.block[row];
  }
}

// By the block whose item of a tile is the last to be done, in the order of
// splits: which one it is changes nothing.
template <class Shape>
TL_DEVICE void CombineIfLast(const DecodeAttention& decode,
                             const DecodeTile& tile, int* last) {
  Shape::Sync();
  if (threadIdx.x == 0) {
    unsigned* finished = decode.finished + tile.index;
    *last = CountIn(finished) + 1 == static_cast<unsigned>(decode.splits);
    if (*last) *finished = 0;
  }
  Shape::Sync();
  if (!*last) return;
  for (int row = WarpOf(); row < tile.rows; row += Shape::kWarps) {
    CombineDecodeRow(decode, tile, row);
  }
}

// Block `part` of `parts`, by its first Shape::kThreads threads, with
// DecodeSharedBytes bytes of shared memory, 16-byte aligned. They wait for each
// other at barrier 1. `prepared`: item `part`, if it has been found already, in
// shared memory that it keeps.
template <class Shape>
TL_DEVICE void DecodeAttentionPart(const DecodeAttention& decode, int part,
                                   int parts, std::byte* shared,
                                   const DecodeItem* prepared = nullptr) {
  const int items = DecodeItems(decode);
  for (int i = part; i < items; i += parts) {
    Shape::Sync();  // some may still use the shared memory
    const DecodeItem* item = i == part && prepared
                                 ? prepared
                                 : reinterpret_cast<const DecodeItem*>(shared);
    DecodeItemOfBlock<Shape>(decode, i, shared, item);
    if (decode.splits > 1 && decode.finished != nullptr) {
      // The queries there have been read.
      CombineIfLast<Shape>(decode, item->tile, reinterpret_cast<int*>(
          shared + kDecodeItemBytes));
    }
  }
}

// Once all parts are done, where `finished` is null, by `threads` of each
// block. Needs no shared memory.
TL_DEVICE void DecodeAttentionCombine(const DecodeAttention& decode, int part,
                                      int parts, int threads) {
  if (decode.splits == 1) return;
  const AttentionProblem& problem = decode.problem;
  const int warps = threads / kWarpSize;
  const int rows = static_cast<int>(problem.batch * problem.kv_heads) *
                   decode.row_tiles * decode.tile_rows;
  for (int i = part * warps + WarpOf(); i < rows; i += parts * warps) {
    const DecodeTile tile = DecodeTileOf(decode, i / decode.tile_rows);
    const int row = i % decode.tile_rows;
    if (row < tile.rows) CombineDecodeRow(decode, tile, row);
  }
}

}  // namespace tl::cuda
