// The x of a RowsStep on its way to shared memory: normed where a norm is part of
// the step, and rounded to int8 for packed weights.
#pragma once

#include "cuda/packed_rows.cuh"
#include "cuda/run_steps.cuh"

namespace tl::cuda {

// A thread's part of x: every kConsumers-th 8 elements.
inline constexpr int kEights = (kMostColumns / 8 + kConsumers - 1) / kConsumers;

TL_DEVICE void Spread(const uint4& bits, float (&values)[8]) {
  const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    values[e] = FromHalf(static_cast<uint16_t>(words[e / 2] >> (e % 2 * 16)));
  }
}

TL_DEVICE uint4 Gather(const float (&values)[8]) {
  uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = ToHalf(values[2 * i]) | uint32_t{ToHalf(values[2 * i + 1])} << 16;
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

TL_DEVICE void LoadWeights(const std::byte* data, DType dtype, int eight,
                           float (&values)[8]) {
  if (dtype == DType::F16) {
    Spread(reinterpret_cast<const uint4*>(data)[eight], values);
    return;
  }
  const auto* from = reinterpret_cast<const float4*>(data) + 2 * eight;
  const float4 low = from[0], high = from[1];
  values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
  values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
}

// What RmsNorm does with an element; see docs/numerics.md.
TL_DEVICE float Normed(float x, float scale, float weight) {
  return __fmul_rn(__fmul_rn(x, scale), weight);
}

TL_DEVICE float NormScale(float squares, int k, float eps) {
  const float mean = __fdiv_rn(SumOfConsumers(squares), static_cast<float>(k));
  return __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, eps)));
}

// x = norm of x, each thread its part. The weights have come as a tile.
TL_DEVICE void Norm(const RowsStep& step, uint4 (&part)[kEights], int& tile) {
  BlockMemory& shared = Shared();
  float weights[8], values[8];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    const int at = i * kConsumers + static_cast<int>(threadIdx.x);
    if (at >= step.k / 8) continue;
    Spread(part[i], values);
#pragma unroll
    for (int e = 0; e < 8; ++e) squares = fmaf(values[e], values[e], squares);
  }
  const float scale = NormScale(squares, step.k, step.eps);
  const int slot = tile % kTiles;
  WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    const int at = i * kConsumers + static_cast<int>(threadIdx.x);
    if (at >= step.k / 8) continue;
    LoadWeights(shared.tiles[slot], step.norm_dtype, at, weights);
    Spread(part[i], values);
#pragma unroll
    for (int e = 0; e < 8; ++e) values[e] = Normed(values[e], scale, weights[e]);
    part[i] = Gather(values);
    if (step.norm_out && blockIdx.x == 0) {
      reinterpret_cast<uint4*>(step.norm_out)[at] = part[i];
    }
  }
  __syncwarp();
  if (Lane() == 0) Arrive(&shared.tile_empty[slot]);
  ++tile;
}

TL_DEVICE Int8Row PlaceOfInt8(int k) {
  const std::byte* at = Shared().scratch;
  return {reinterpret_cast<const uint4*>(at),
          reinterpret_cast<const float2*>(at + k)};
}

// 8 elements as int8: 4 neighbouring lanes have a group of 32. Whole warps take
// part; `at` is the place of those that have elements, or -1.
TL_DEVICE void RoundToInt8(const uint4& bits, int at, const Int8Row& place) {
  float values[8], largest = 0;
  Spread(bits, values);
  int bad = 0;
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    largest = fmaxf(largest, fabsf(values[e]));
    bad |= !(fabsf(values[e]) <= 65504.0f);
  }
  for (int mask = 1; mask < 4; mask *= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kFullWarp, largest, mask));
    bad |= __shfl_xor_sync(kFullWarp, bad, mask);
  }
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
  if (at < 0) return;
  auto* q = reinterpret_cast<uint2*>(const_cast<uint4*>(place.q));
  q[at] = make_uint2(packed[0], packed[1]);
  if (at % 4 == 0) {
    const float scale =
        bad ? __uint_as_float(0x7fc00000u) : largest / 127.0f;
    const_cast<float2*>(place.groups)[at / 4] =
        make_float2(scale, scale * static_cast<float>(sum));
  }
}

// Brings x to shared memory as the rows want it.
TL_DEVICE void PrepareX(const RowsStep& step, int& tile) {
  uint4 part[kEights];
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    // All loads are on their way before one is waited for.
    const int at = i * kConsumers + static_cast<int>(threadIdx.x);
    part[i] = reinterpret_cast<const uint4*>(step.x)[min(at, step.k / 8 - 1)];
  }
  if (step.norm_weight) Norm(step, part, tile);
  SyncConsumers();  // nobody reads the x of before
  const Int8Row place = PlaceOfInt8(step.k);
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    if (i * kConsumers >= step.k / 8) break;
    const int at = i * kConsumers + static_cast<int>(threadIdx.x);
    const bool has = at < step.k / 8;
    if (step.w_dtype != DType::F16) {
      RoundToInt8(has ? part[i] : make_uint4(0, 0, 0, 0), has ? at : -1, place);
    } else if (has) {
      reinterpret_cast<uint4*>(Shared().scratch)[at] = part[i];
    }
  }
  SyncConsumers();
}

}  // namespace tl::cuda
