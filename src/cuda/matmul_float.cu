// Products of f32 matrices in f32: a block computes 64 x 64 results, a thread
// 4 x 4 of them.
#include "cuda/dense_product.h"
#include "cuda/dispatch.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kDeep = 16;
constexpr int kThreads = 256;
constexpr int kOwn = 4;  // rows, and columns, of a thread
constexpr int kThreadsAcross = kTile / kOwn;

struct Operand {
  const float* data;
  int64_t outer_stride, deep_stride, batch_stride;
  int64_t outer;
};

struct Problem {
  Operand x, w;
  int64_t k;
  float* y;
  int64_t y_row, y_batch;
};

struct Tile {
  float at[kDeep][kTile + kOwn];
};

TL_DEVICE float4 FourOf(const Tile& tile, int deep, int outer) {
  return *reinterpret_cast<const float4*>(&tile.at[deep][outer]);
}

// Neighbouring threads read along the axis whose stride is 1.
TL_DEVICE void Fetch(const Operand& operand, const float* data, int64_t outer,
                     int64_t deep, int64_t k, Tile& tile) {
  const bool across = operand.outer_stride == 1;
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDeep; i += kThreads) {
    const int o = across ? i % kTile : i / kDeep;
    const int d = across ? i / kTile : i % kDeep;
    const bool exists = outer + o < operand.outer && deep + d < k;
    tile.at[d][o] = exists ? data[(outer + o) * operand.outer_stride +
                                  (deep + d) * operand.deep_stride]
                           : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads)
    FloatKernel(const __grid_constant__ Problem p) {
  auto* tiles = reinterpret_cast<Tile*>(DynamicShared());
  Tile &xs = tiles[0], &ws = tiles[1];
  const int64_t first_row = int64_t{blockIdx.y} * kTile;
  const int64_t first_column = int64_t{blockIdx.x} * kTile;
  const float* x = p.x.data + blockIdx.z * p.x.batch_stride;
  const float* w = p.w.data + blockIdx.z * p.w.batch_stride;
  const int row = static_cast<int>(threadIdx.x) / kThreadsAcross * kOwn;
  const int column = static_cast<int>(threadIdx.x) % kThreadsAcross * kOwn;
  float sums[kOwn][kOwn] = {};
  for (int64_t deep = 0; deep < p.k; deep += kDeep) {
    Fetch(p.x, x, first_row, deep, p.k, xs);
    Fetch(p.w, w, first_column, deep, p.k, ws);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDeep; ++d) {
      const float4 a = FourOf(xs, d, row), b = FourOf(ws, d, column);
      const float rows[kOwn] = {a.x, a.y, a.z, a.w};
      const float columns[kOwn] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
#pragma unroll
        for (int j = 0; j < kOwn; ++j) {
          sums[i][j] = fmaf(rows[i], columns[j], sums[i][j]);
        }
      }
    }
    __syncthreads();
  }
  float* y = p.y + blockIdx.z * p.y_batch;
  for (int i = 0; i < kOwn; ++i) {
    for (int j = 0; j < kOwn; ++j) {
      const int64_t r = first_row + row + i, c = first_column + column + j;
      if (r < p.x.outer && c < p.w.outer) y[r * p.y_row + c] = sums[i][j];
    }
  }
}

}  // namespace

void MultiplyFloat(const DenseProduct& product) {
  // Of a grid's second and third dimension.
  constexpr int64_t kMostBlocks = 65535;
  constexpr int64_t kMostRows = kMostBlocks * kTile;
  const DenseMatrix &x = product.x, &w = product.w;
  for (int64_t b = 0; b < product.batch; b += kMostBlocks) {
    for (int64_t row = 0; row < product.m; row += kMostRows) {
      const int64_t batch =
          product.batch - b < kMostBlocks ? product.batch - b : kMostBlocks;
      const int64_t rows =
          product.m - row < kMostRows ? product.m - row : kMostRows;
      const int64_t x_row = x.transposed ? 1 : x.stride;
      const Problem p = {
          {reinterpret_cast<const float*>(x.data) + b * x.batch_stride +
               row * x_row,
           x_row, x.transposed ? x.stride : 1, x.batch_stride, rows},
          {reinterpret_cast<const float*>(w.data) + b * w.batch_stride,
           w.transposed ? w.stride : 1, w.transposed ? 1 : w.stride,
           w.batch_stride, product.n},
          product.k,
          reinterpret_cast<float*>(product.y) + b * product.y_batch +
              row * product.y_row,
          product.y_row,
          product.y_batch};
      Launch(FloatKernel,
             {{static_cast<unsigned>(CeilDiv(product.n, kTile)),
               static_cast<unsigned>(CeilDiv(rows, kTile)),
               static_cast<unsigned>(batch)},
              {kThreads},
              2 * static_cast<int>(sizeof(Tile))},
             p);
    }
  }
}

}  // namespace tl::cuda
