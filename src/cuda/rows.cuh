// Rows that a block (or a warp of one) holds in registers as floats, and where
// longer ones are cut: what softmax and the norms share.
#pragma once

#include <algorithm>

#include "cuda/block_reduce.cuh"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"

namespace tl::cuda {

// Of kWidth neighbours, by one thread.
template <int kWidth>
inline constexpr int kRowPacks = kWidth == 1 ? 8 : 4;

template <int kWidth>
inline constexpr int kRowFloats = kRowPacks<kWidth>* kWidth;

inline constexpr int kMostRowThreads = 1024;

// The most elements that a block holds.
template <int kWidth>
inline constexpr int64_t kRowCapacity = kMostRowThreads* kRowFloats<kWidth>;

// Where pack p of this thread begins.
template <int kWidth>
TL_DEVICE int PlaceOfPack(int p) {
  return (p * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)) *
         kWidth;
}

// `fill` stands for what is behind the row's end.
template <int kWidth, class T>
TL_DEVICE void LoadRow(const T* row, int count, float fill,
                       float (&values)[kRowFloats<kWidth>]) {
  Pack<T, kWidth> packs[kRowPacks<kWidth>] = {};
#pragma unroll
  for (int p = 0; p < kRowPacks<kWidth>; ++p) {
    const int at = PlaceOfPack<kWidth>(p);
    if (at < count) packs[p] = LoadPack<kWidth>(row + at);
  }
#pragma unroll
  for (int p = 0; p < kRowPacks<kWidth>; ++p) {
    const bool inside = PlaceOfPack<kWidth>(p) < count;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[p * kWidth + i] = inside ? ToFloat(packs[p].at[i]) : fill;
    }
  }
}

// change(value, its place in the row) rounded to To.
template <int kWidth, class To, class Change>
TL_DEVICE void StoreRow(const float (&values)[kRowFloats<kWidth>], int count,
                        To* row, Change change) {
#pragma unroll
  for (int p = 0; p < kRowPacks<kWidth>; ++p) {
    const int at = PlaceOfPack<kWidth>(p);
    if (at >= count) return;
    Pack<To, kWidth> pack;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      FromFloat(change(values[p * kWidth + i], p * kWidth + i), pack.at[i]);
    }
    StorePack(pack, row + at);
  }
}

// The row of a thread where blockDim.y rows share a block. Threads behind the
// last row take part, for the sake of the others in their warp, and store
// nothing.
struct ThreadRow {
  int64_t row;
  bool inside;
};
TL_DEVICE ThreadRow RowOfThread(int64_t rows) {
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  return {row < rows ? row : rows - 1, row < rows};
}

// For `rows` rows of at most kRowCapacity elements: part of a warp for a short
// one, whole warps for a longer one. Where there are few rows, more threads
// with less each are done sooner.
template <int kWidth>
LaunchShape RowsShape(int64_t rows, int64_t count) {
  constexpr int64_t kManyRows = 512;
  constexpr int64_t kShared = 128;  // threads of a block that rows share
  const bool many = rows >= kManyRows;
  const int64_t packs = CeilDiv(count, kWidth);
  const int64_t lanes = PowerOfTwoFrom(many ? CeilDiv(packs, 2) : packs);
  if (lanes <= kWarpSize) {
    const int64_t together = kShared / lanes;
    return {
        dim3{static_cast<unsigned>(CeilDiv(rows, together))},
        dim3{static_cast<unsigned>(lanes), static_cast<unsigned>(together)}};
  }
  const int64_t each = many ? kRowPacks<kWidth> : 1;
  const int64_t threads =
      std::clamp<int64_t>(CeilDiv(packs, each * kWarpSize) * kWarpSize,
                          2 * kWarpSize, kMostRowThreads);
  return {dim3{static_cast<unsigned>(rows)},
          dim3{static_cast<unsigned>(threads)}};
}

// How rows that no block holds are cut: what a block does of one row.
struct RowCut {
  int64_t rows;
  int64_t count;     // elements of a row
  int64_t segment;   // elements of a block
  int64_t segments;  // of a row

  LaunchShape shape(int64_t threads) const {
    return {dim3{static_cast<unsigned>(rows * segments)},
            dim3{static_cast<unsigned>(threads)}};
  }
};

// A block's part of a row.
struct RowPart {
  int64_t row, begin, end;
};
TL_DEVICE RowPart PartOfBlock(const RowCut& cut) {
  const int64_t row = blockIdx.x / cut.segments;
  const int64_t begin = blockIdx.x % cut.segments * cut.segment;
  const int64_t whole = begin + cut.segment;
  return {row, begin, whole < cut.count ? whole : cut.count};
}

}  // namespace tl::cuda
