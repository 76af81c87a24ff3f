#include "cuda/decode_rows.h"

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"
#include "cuda/packed_groups.cuh"

namespace tl::cuda {
namespace {

// A thread for each 32 elements.
template <class Type, class T>
__global__ void DecodeRowsKernel(const uint8_t* from, int64_t row_bytes,
                                 int64_t groups_of_row, int64_t groups, T* to) {
  const int64_t step = GridThreads();
  for (int64_t at = GridThread(); at < groups; at += step) {
    PackedGroup group;
    UnpackGroup<Type>(from + at / groups_of_row * row_bytes,
                       at % groups_of_row, group);
#pragma unroll
    for (int i = 0; i < kPackedGroup; i += kWide<T>) {
      Pack<T, kWide<T>> pack;
#pragma unroll
      for (int j = 0; j < kWide<T>; ++j) {
        FromFloat(DecodedAt<Type>(group, i + j), pack.at[j]);
      }
      StorePack<kWide<T>>(pack, to + at * kPackedGroup + i);
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
      Launch(DecodeRowsKernel<decltype(type), T>, ShapeFor(groups),
             reinterpret_cast<const uint8_t*>(from), row_bytes,
             groups_of_row, groups, reinterpret_cast<T*>(to));
    });
  });
}

}  // namespace tl::cuda
