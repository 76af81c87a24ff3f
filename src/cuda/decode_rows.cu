#include "cuda/decode_rows.h"

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"
#include "cuda/packed_groups.cuh"

namespace tl::cuda {
namespace {

constexpr int kThreads = 256;
// What a lane hands over at once: four times 16 bytes.
constexpr int kPacks = 4;

// Where pack `pack` of lane `lane` lies: neither those that one lane writes nor
// those that one reads meet in a bank.
TL_DEVICE int PlaceOfPack(int lane, int pack) {
  return lane * kPacks + (pack ^ (lane / 2 & 3));
}

// A lane for each 32 elements, which it has in a row; stored they are by all
// lanes side by side.
template <class Type, class T>
__global__ void __launch_bounds__(kThreads)
    DecodeRowsKernel(const uint8_t* from, int64_t row_bytes,
                     int64_t groups_of_row, int64_t groups, T* to) {
  constexpr int kElements = kPacks * kWide<T>;  // of a lane, at once
  __shared__ uint4 handed_over[kThreads * kPacks];
  uint4* mine = handed_over + WarpOf() * kWarpSize * kPacks;
  const int64_t step = GridThreads();
  for (int64_t first = GridThread() - Lane(); first < groups; first += step) {
    const int64_t at = first + Lane();
    PackedGroup group = {};
    if (at < groups) {
      UnpackGroup<Type>(from + at / groups_of_row * row_bytes,
                        at % groups_of_row, group);
    }
#pragma unroll
    for (int part = 0; part < kPackedGroup; part += kElements) {
#pragma unroll
      for (int i = 0; i < kPacks; ++i) {
        Pack<T, kWide<T>> pack;
#pragma unroll
        for (int j = 0; j < kWide<T>; ++j) {
          FromFloat(DecodedAt<Type>(group, part + i * kWide<T> + j), pack.at[j]);
        }
        StorePack<kWide<T>>(
            pack, reinterpret_cast<T*>(mine + PlaceOfPack(Lane(), i)));
      }
      __syncwarp();
#pragma unroll
      for (int i = 0; i < kPacks; ++i) {
        const int place = i * kWarpSize + Lane();
        const int lane = place / kPacks, pack = place % kPacks;
        if (first + lane < groups) {
          T* y = to + (first + lane) * kPackedGroup + part + pack * kWide<T>;
          *reinterpret_cast<uint4*>(y) = mine[PlaceOfPack(lane, pack)];
        }
      }
      __syncwarp();
    }
  }
}

}  // namespace

void DecodePackedRows(DType dtype, const std::byte* from, int64_t row_bytes,
                      int64_t rows, int64_t k, DType to_dtype, std::byte* to) {
  const int64_t groups_of_row = k / kPackedGroup;
  const int64_t groups = rows * groups_of_row;
  WithPacked(dtype, [&](auto type) {
    WithFloats(to_dtype, [&](auto zero) {
      using T = decltype(zero);
      Launch(DecodeRowsKernel<decltype(type), T>, ShapeFor(groups, kThreads),
             reinterpret_cast<const uint8_t*>(from), row_bytes,
             groups_of_row, groups, reinterpret_cast<T*>(to));
    });
  });
}

}  // namespace tl::cuda
