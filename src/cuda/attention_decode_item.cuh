// What a block of a decode (attention_decode.h) works on: a tile of rows and a
// split of its keys, and how they lie in shared memory.
#pragma once

#include "cuda/attention_decode.h"
#include "cuda/attention_problem.cuh"
#include "cuda/pipeline.cuh"

namespace tl::cuda {

inline constexpr int kDecodeKeys = 16;  // of a warp at a time

// The first kThreads threads of a block, whole warps, do it: others may be busy
// with something else.
template <int kDimsOf, int kRowsOf, int kThreadsOf>
struct DecodeShape {
  static constexpr int kDims = kDimsOf;  // decode.dims
  static constexpr int kRows = kRowsOf;  // decode.tile_rows
  static constexpr int kThreads = kThreadsOf;
  static constexpr int kWarps = kThreads / kWarpSize;
  // Buffers that warps put their values in, to be joined.
  static constexpr int kBuffers = DecodeBuffers(kRows, kWarps);
  // Many threads have few registers each, and cannot ask for much ahead. How many
  // elements of k are asked for at once, and whether v is asked for before its
  // weights are known:
  static constexpr bool kLean = kThreads > 256;
  static constexpr int kDimsAtOnce = kLean || kDims < 128 ? 64 : 128;
  static constexpr bool kAhead = kLean ? kDims * kRows <= 64 * 8 : kDims <= 128;

  TL_DEVICE static void Sync() { SyncThreads(1, kThreads); }
};

// A tile of rows, and of its keys those of a split: [begin, end).
struct DecodeTile {
  HeadRows head;
  int index, first_row, rows;
};
struct DecodeItem {
  DecodeTile tile;
  int index;
  int begin, end;
  int all_begin, all_end;  // the keys that every row sees
};
static_assert(sizeof(DecodeItem) <= kDecodeItemBytes);

// How the shared memory of a block is used.
template <class Shape>
struct DecodeShared {
  struct Seen {
    int begin, end;
  };
  // Rows 64 bytes apart in banks: a quarter of a warp reads two of them.
  static constexpr int kPitch = Shape::kDims + 32;

  TL_DEVICE DecodeShared(std::byte* memory, const DecodeItem* at)
      : item(at),
        queries(reinterpret_cast<uint16_t*>(memory + kDecodeItemBytes)),
        seen(reinterpret_cast<Seen*>(queries + Shape::kRows * kPitch)),
        max(reinterpret_cast<float*>(seen + Shape::kRows)),
        sum(max + Shape::kWarps * Shape::kRows),
        block(reinterpret_cast<DecodeState*>(sum + Shape::kWarps * Shape::kRows)),
        values(reinterpret_cast<float*>(block + Shape::kRows)) {}

  const DecodeItem* item;  // in shared memory too: registers are scarce
  uint16_t* queries;       // [kRows, kPitch]
  Seen* seen;              // of each row
  float* max;              // [warps, kRows]
  float* sum;              // [warps, kRows]
  DecodeState* block;      // [kRows], of all warps
  float* values;           // [buffers, kRows, kDecodeStretch]
};

TL_DEVICE int DecodeItems(const DecodeAttention& decode) {
  return static_cast<int>(decode.problem.batch * decode.problem.kv_heads) *
         decode.row_tiles * decode.splits;
}

TL_DEVICE DecodeTile DecodeTileOf(const DecodeAttention& decode, int index) {
  const AttentionProblem& problem = decode.problem;
  const int kv_heads = static_cast<int>(problem.kv_heads);
  const int head = QuotientOf(index, decode.row_tiles);
  const int batch = QuotientOf(head, kv_heads);
  DecodeTile tile = {};
  tile.head = HeadRowsOf(problem, batch, head - batch * kv_heads);
  tile.index = index;
  tile.first_row = (index - head * decode.row_tiles) * decode.tile_rows;
  const int left =
      static_cast<int>(problem.queries * problem.group) - tile.first_row;
  tile.rows = left < decode.tile_rows ? left : decode.tile_rows;
  return tile;
}

TL_DEVICE DecodeItem DecodeItemOf(const DecodeAttention& decode, int index) {
  const AttentionProblem& problem = decode.problem;
  DecodeItem item = {};
  item.index = index;
  const int tile = QuotientOf(index, decode.splits);
  item.tile = DecodeTileOf(decode, tile);
  const int split = index - tile * decode.splits;
  const int first_row = item.tile.first_row;
  const int first_query = item.tile.head.QueryOf(first_row);
  const int last_query = item.tile.head.QueryOf(first_row + item.tile.rows - 1);
  const KeyRange first = Visible(problem, first_query);
  const KeyRange last =
      last_query == first_query ? first : Visible(problem, last_query);
  const int seen = static_cast<int>(last.end - first.begin);
  const int steps = (seen + kDecodeKeys - 1) / kDecodeKeys;
  // Some have a step more than others.
  const int each = QuotientOf(steps, decode.splits);
  const int more = steps - each * decode.splits;
  const int step = each * split + (split < more ? split : more);
  const int end = step + each + (split < more);
  item.begin = static_cast<int>(first.begin) + step * kDecodeKeys;
  item.end = static_cast<int>(first.begin) +
             (end * kDecodeKeys < seen ? end * kDecodeKeys : seen);
  item.all_begin = static_cast<int>(last.begin);
  item.all_end = static_cast<int>(first.end);
  return item;
}

TL_DEVICE uint4 LoadEight(const uint16_t* from) {
  return *reinterpret_cast<const uint4*>(from);
}

// What is behind the rows and their elements is 0.
template <class Shape>
TL_DEVICE void LoadDecodeQueries(const AttentionProblem& problem,
                                 const DecodeTile& tile,
                                 const DecodeShared<Shape>& shared) {
  constexpr int kEights = Shape::kDims / 8;
  for (int i = static_cast<int>(threadIdx.x); i < Shape::kRows * kEights;
       i += Shape::kThreads) {
    const int row = i / kEights, at = i % kEights * 8;
    uint4 eight = make_uint4(0, 0, 0, 0);
    if (row < tile.rows && at < problem.dim) {
      eight =
          LoadEight(tile.head.q +
                    tile.head.PlaceOf(problem.q, tile.first_row + row) + at);
    }
    *reinterpret_cast<uint4*>(shared.queries + row * shared.kPitch + at) =
        eight;
  }
  const int row = static_cast<int>(threadIdx.x);
  if (row < Shape::kRows) {
    const int r = tile.first_row + (row < tile.rows ? row : tile.rows - 1);
    const KeyRange seen = Visible(problem, tile.head.QueryOf(r));
    shared.seen[row] = {static_cast<int>(seen.begin),
                        static_cast<int>(seen.end)};
  }
}

}  // namespace tl::cuda
