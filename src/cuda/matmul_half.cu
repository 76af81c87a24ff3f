// Products of f16 matrices on tensor cores: a block computes 128 x 128 results,
// 32 terms at a time, while the operands of the next ones are on their way to
// shared memory. Operands are read the way they lie; those whose rows do not
// begin at multiples of 16 bytes are copied element by element.
#include "cuda/async_copy.cuh"
#include "cuda/dense_product.h"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"
#include "cuda/mma.cuh"

namespace tl::cuda {
namespace {

constexpr int kTile = 128;   // rows and columns of a block
constexpr int kDeep = 32;    // terms of a step
constexpr int kStages = 3;   // steps in shared memory
constexpr int kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32;
constexpr int kChunk = 8;    // halves of 16 bytes
constexpr int kTileHalves = kTile * kDeep;
constexpr int kSharedBytes =
    kStages * 2 * kTileHalves * static_cast<int>(sizeof(uint16_t));

// One operand as [outer, k], outer being the rows of x or the columns of w.
struct Operand {
  const uint16_t* data;
  int64_t stride, batch_stride;
  int64_t outer;
  bool aligned;
};

struct Problem {
  Operand x, w;
  int64_t k;
  std::byte* y;
  int64_t y_row, y_batch;
  bool pairs;  // whether two neighbours may be stored at once
};

// A tile in shared memory, chunks of 16 bytes; kAcross: its rows run along the
// outer axis. Which chunk lies where depends on the row, so that eight rows that
// are read together lie in different banks.
template <bool kAcross>
struct Tile {
  static constexpr int kRows = kAcross ? kDeep : kTile;
  static constexpr int kColumns = kAcross ? kTile : kDeep;
  static constexpr int kChunks = kColumns / kChunk;

  TL_DEVICE static uint16_t* At(uint16_t* tile, int row, int chunk) {
    const int place = kAcross ? chunk ^ (row & 7) : chunk ^ (row >> 1 & 3);
    return tile + (row * kChunks + place) * kChunk;
  }
};

// What is there of 8 neighbours, of which `count` exist.
TL_DEVICE void CopyElements(uint16_t* shared, const uint16_t* from, int count) {
  uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t low = 2 * i < count ? from[2 * i] : 0;
    const uint32_t high = 2 * i + 1 < count ? from[2 * i + 1] : 0;
    words[i] = low | high << 16;
  }
  *reinterpret_cast<uint4*>(shared) =
      make_uint4(words[0], words[1], words[2], words[3]);
}

// Elements that there are not become 0.
template <bool kAcross>
TL_DEVICE void Fetch(const Operand& operand, const uint16_t* data,
                     int64_t outer, int64_t deep, int64_t k, uint16_t* tile) {
  using Shape = Tile<kAcross>;
  const int64_t first_row = kAcross ? deep : outer;
  const int64_t first_column = kAcross ? outer : deep;
  const int64_t rows = kAcross ? k : operand.outer;
  const int64_t columns = kAcross ? operand.outer : k;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < Shape::kRows * Shape::kChunks;
       i += kThreads) {
    const int row = i / Shape::kChunks, chunk = i % Shape::kChunks;
    const int64_t column = first_column + chunk * kChunk;
    const int64_t left = first_row + row < rows ? columns - column : 0;
    const int count = left <= 0 ? 0 : left < kChunk ? static_cast<int>(left) : kChunk;
    const uint16_t* from =
        count > 0 ? data + (first_row + row) * operand.stride + column : data;
    uint16_t* to = Shape::At(tile, row, chunk);
    if (operand.aligned) {
      CopyAsync16(to, from, 2 * count);
    } else {
      CopyElements(to, from, count);
    }
  }
}

// A[outer, outer + 16] x [deep, deep + 16] as Mma takes it.
template <bool kAcross>
TL_DEVICE void LoadX(uint16_t* tile, int outer, int deep, uint32_t (&to)[4]) {
  const int lane = Lane();
  if constexpr (kAcross) {
    LoadMatricesTransposed(
        to, Tile<true>::At(tile, deep + lane / 16 * 8 + lane % 8,
                           outer / kChunk + lane / 8 % 2));
  } else {
    LoadMatrices(to, Tile<false>::At(tile, outer + lane % 16,
                                     deep / kChunk + lane / 16));
  }
}

// Two B[deep, deep + 16] x [outer, outer + 8].
template <bool kAcross>
TL_DEVICE void LoadW(uint16_t* tile, int outer, int deep, uint32_t (&to)[4]) {
  const int lane = Lane();
  if constexpr (kAcross) {
    LoadMatricesTransposed(
        to, Tile<true>::At(tile, deep + lane / 8 % 2 * 8 + lane % 8,
                           outer / kChunk + lane / 16));
  } else {
    LoadMatrices(to, Tile<false>::At(tile, outer + lane / 16 * 8 + lane % 8,
                                     deep / kChunk + lane / 8 % 2));
  }
}

template <class T>
TL_DEVICE void StorePair(const Problem& p, T* y, int64_t row, int64_t column,
                         float first, float second) {
  if (row >= p.x.outer || column >= p.w.outer) return;
  Pack<T, 2> pack;
  FromFloat(first, pack.at[0]);
  FromFloat(second, pack.at[1]);
  T* to = y + row * p.y_row + column;
  if (p.pairs) {
    StorePack<2>(pack, to);
  } else {
    to[0] = pack.at[0];
    if (column + 1 < p.w.outer) to[1] = pack.at[1];
  }
}

template <class T, bool kXAcross, bool kWAcross>
__global__ void __launch_bounds__(kThreads)
    HalfKernel(const __grid_constant__ Problem p) {
  constexpr int kRowTiles = kWarpRows / 16, kColumnTiles = kWarpColumns / 8;
  constexpr int kWarpsAcross = kTile / kWarpColumns;
  auto* shared = reinterpret_cast<uint16_t*>(DynamicShared());
  const int64_t first_row = int64_t{blockIdx.y} * kTile;
  const int64_t first_column = int64_t{blockIdx.x} * kTile;
  const uint16_t* x = p.x.data + blockIdx.z * p.x.batch_stride;
  const uint16_t* w = p.w.data + blockIdx.z * p.w.batch_stride;
  const int warp_row = WarpOf() / kWarpsAcross * kWarpRows;
  const int warp_column = WarpOf() % kWarpsAcross * kWarpColumns;
  const int64_t steps = (p.k + kDeep - 1) / kDeep;
  const auto fetch = [&](int64_t step) {
    if (step < steps) {
      uint16_t* tiles = shared + step % kStages * 2 * kTileHalves;
      Fetch<kXAcross>(p.x, x, first_row, step * kDeep, p.k, tiles);
      Fetch<kWAcross>(p.w, w, first_column, step * kDeep, p.k,
                      tiles + kTileHalves);
    }
    CommitCopies();
  };
  float sums[kRowTiles][kColumnTiles][4] = {};
  for (int step = 0; step < kStages - 1; ++step) fetch(step);
  for (int64_t step = 0; step < steps; ++step) {
    WaitForCopies<kStages - 2>();
    __syncthreads();
    fetch(step + kStages - 1);
    uint16_t* tiles = shared + step % kStages * 2 * kTileHalves;
#pragma unroll
    for (int deep = 0; deep < kDeep; deep += 16) {
      uint32_t rows[kRowTiles][4], columns[kColumnTiles / 2][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        LoadX<kXAcross>(tiles, warp_row + 16 * i, deep, rows[i]);
      }
#pragma unroll
      for (int j = 0; j < kColumnTiles / 2; ++j) {
        LoadW<kWAcross>(tiles + kTileHalves, warp_column + 16 * j, deep,
                        columns[j]);
      }
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          const uint32_t b[2] = {columns[j / 2][j % 2 * 2],
                                 columns[j / 2][j % 2 * 2 + 1]};
          Mma(sums[i][j], rows[i], b);
        }
      }
    }
  }
  T* y = reinterpret_cast<T*>(p.y) + blockIdx.z * p.y_batch;
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
      const int64_t row = first_row + warp_row + 16 * i + Lane() / 4;
      const int64_t column = first_column + warp_column + 8 * j + Lane() % 4 * 2;
      StorePair(p, y, row, column, sums[i][j][0], sums[i][j][1]);
      StorePair(p, y, row + 8, column, sums[i][j][2], sums[i][j][3]);
    }
  }
}

Operand OperandOf(const DenseMatrix& matrix, int64_t outer) {
  return {reinterpret_cast<const uint16_t*>(matrix.data), matrix.stride,
          matrix.batch_stride, outer,
          IsAligned(matrix.data) && matrix.stride % kChunk == 0 &&
              matrix.batch_stride % kChunk == 0};
}

template <class T>
void Start(const Problem& p, bool x_across, bool w_across, int64_t batch) {
  const LaunchShape shape = {
      {static_cast<unsigned>(CeilDiv(p.w.outer, kTile)),
       static_cast<unsigned>(CeilDiv(p.x.outer, kTile)),
       static_cast<unsigned>(batch)},
      {kThreads},
      kSharedBytes};
  if (x_across && w_across) return Launch(HalfKernel<T, true, true>, shape, p);
  if (x_across) return Launch(HalfKernel<T, true, false>, shape, p);
  if (w_across) return Launch(HalfKernel<T, false, true>, shape, p);
  Launch(HalfKernel<T, false, false>, shape, p);
}

}  // namespace

void MultiplyHalf(const DenseProduct& product) {
  // Of a grid's second and third dimension.
  constexpr int64_t kMostBlocks = 65535;
  constexpr int64_t kMostRows = kMostBlocks * kTile;
  for (int64_t b = 0; b < product.batch; b += kMostBlocks) {
    for (int64_t row = 0; row < product.m; row += kMostRows) {
      const int64_t batch =
          product.batch - b < kMostBlocks ? product.batch - b : kMostBlocks;
      const int64_t rows =
          product.m - row < kMostRows ? product.m - row : kMostRows;
      Problem p = {OperandOf(product.x, rows), OperandOf(product.w, product.n),
                   product.k, product.y, product.y_row, product.y_batch, false};
      p.x.data += b * product.x.batch_stride +
                  row * (product.x.transposed ? 1 : product.x.stride);
      p.w.data += b * product.w.batch_stride;
      p.y += (b * product.y_batch + row * product.y_row) *
             ElementBytes(product.out);
      p.pairs = IsAligned(p.y, 2 * ElementBytes(product.out)) &&
                product.n % 2 == 0 && p.y_row % 2 == 0 && p.y_batch % 2 == 0;
      WithFloats(product.out, [&](auto zero) {
        Start<decltype(zero)>(p, product.x.transposed, !product.w.transposed,
                              batch);
      });
    }
  }
}

}  // namespace tl::cuda
