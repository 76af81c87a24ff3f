// Rows that go through a block one after another: while it works on one the
// next two are on their way to shared memory, so that the card's memory never
// waits for what is computed. A thread reads only what it fetched itself;
// nothing but sums over a row make threads wait for each other. For many rows
// of which a block holds few: what softmax and the norms share.
#pragma once

#include <optional>

#include "cuda/async_copy.cuh"
#include "cuda/rows.cuh"

namespace tl::cuda {

inline constexpr int kRingStages = 3;
// Of 16 bytes, of a row, by one thread: three rows of as many threads as a
// multiprocessor has registers for are 192 KB.
inline constexpr int kRingPacks = 4;

template <class T>
struct RowRing {
  static constexpr int kWidth = kWide<T>;
  using RowPack = Pack<T, kWidth>;

  const T* x;
  int64_t rows;
  int count;  // of a row, a multiple of kWidth

  TL_DEVICE RowPack& At(int stage, int p) const {
    const int threads = static_cast<int>(blockDim.x);
    return reinterpret_cast<RowPack*>(
        DynamicShared())[(stage * kRingPacks + p) * threads +
                         static_cast<int>(threadIdx.x)];
  }
  // One group of copies, empty behind the last row.
  TL_DEVICE void Fetch(int64_t row, int stage) const {
#pragma unroll
    for (int p = 0; p < kRingPacks; ++p) {
      const int at = PlaceOfPack<kWidth>(p);
      if (row < rows && at < count) {
        CopyAsync16(&At(stage, p), x + row * count + at);
      }
    }
    CommitCopies();
  }
  // work(row, stage) for each row of this block.
  template <class Work>
  TL_DEVICE void ForEachRow(Work work) const {
    constexpr int kAhead = kRingStages - 1;
    const int64_t blocks = gridDim.x;
    for (int i = 0; i < kAhead; ++i) Fetch(blockIdx.x + i * blocks, i);
    int stage = 0, fetched = kAhead;
    for (int64_t row = blockIdx.x; row < rows; row += blocks) {
      Fetch(row + kAhead * blocks, fetched);
      WaitForCopies<kAhead>();
      work(row, stage);
      fetched = stage;
      stage = stage + 1 < kRingStages ? stage + 1 : 0;
    }
  }
  // f(values, pack, place in the row) for each of this thread's packs of a row.
  template <class F>
  TL_DEVICE void ForEachPack(int stage, F f) const {
#pragma unroll
    for (int p = 0; p < kRingPacks; ++p) {
      const int at = PlaceOfPack<kWidth>(p);
      if (at >= count) return;
      const RowPack pack = At(stage, p);
      float values[kWidth];
#pragma unroll
      for (int i = 0; i < kWidth; ++i) values[i] = ToFloat(pack.at[i]);
      f(values, p, at);
    }
  }
};

// BlockReduce in one wait: a block that has its multiprocessor to itself has
// nothing else to do meanwhile. `none` joined to a value leaves it. Each use in
// a row takes another turn, so that no warp writes where another still reads.
class RingReduce {
 public:
  template <class T, class Join>
  TL_DEVICE T operator()(T value, Join join, T none) {
    __shared__ T parts[2][kWarpSize];
    value = WarpReduce(value, join);
    if (Lane() == 0) parts[turn_][WarpOf()] = value;
    __syncthreads();
    const int warps = static_cast<int>(blockDim.x) / kWarpSize;
    value = Lane() < warps ? parts[turn_][Lane()] : none;
    turn_ ^= 1;
    return WarpReduce(value, join);
  }

 private:
  int turn_ = 0;
};

template <int kWidth, class To>
TL_DEVICE void StoreFloats(const float (&values)[kWidth], To* to) {
  Pack<To, kWidth> pack;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) FromFloat(values[i], pack.at[i]);
  StorePack(pack, to);
}

// For aligned rows of whole packs; none where they are few, too long, or of no
// more than `short_bytes`. With a block for each of those several share a
// multiprocessor, so that some fetch while others compute, and whichever is
// done is followed by the next row; in a ring rows are dealt out beforehand.
template <class T>
std::optional<LaunchShape> RingShape(int64_t rows, int64_t count,
                                     int64_t short_bytes) {
  constexpr int64_t kLeastRounds = 3;
  constexpr int64_t kStaticBytes = 1024;  // at most, of the kernels' arrays
  const int64_t packs = CeilDiv(count, kWide<T>);
  const int64_t threads = CeilDiv(packs, kRingPacks * kWarpSize) * kWarpSize;
  const int64_t shared = threads * kRingPacks * kRingStages * 16;
  const int64_t blocks = Card().multiprocessors * (kMostRowThreads / threads);
  if (count * int64_t{sizeof(T)} <= short_bytes || threads > kMostRowThreads ||
      rows < kLeastRounds * blocks ||
      shared + kStaticBytes > Card().shared_bytes) {
    return std::nullopt;
  }
  return LaunchShape{dim3{static_cast<unsigned>(blocks)},
                     dim3{static_cast<unsigned>(threads)},
                     static_cast<int>(shared)};
}

}  // namespace tl::cuda
