// The x of a RowsStep on its way to shared memory: normed where a norm is part of
// the step, and rounded to int8 for packed weights.
#pragma once

#include "cuda/handed_row.cuh"
#include "cuda/packed_rows.cuh"
#include "cuda/run_steps.cuh"

namespace tl::cuda {

// A thread's part of x is 8 elements and those `stride` times 8 behind them, kEach at
// most. Packed rows are ended by the first warps (run_slices.cuh), which come late to
// the next step then, though they go before others where both have something to do: x
// is the last ones' as far as it goes.
struct ThreadEights {
  int first, stride, count;

  template <int kEach>
  TL_DEVICE static ThreadEights Of(unsigned k, bool packed) {
    constexpr unsigned kOfWarp = 8 * kEach * kWarpSize;
    const int count = static_cast<int>(k / 8);
    const int warps =
        packed ? static_cast<int>((k + kOfWarp - 1) / kOfWarp) : kConsumerWarps;
    const int warp = kConsumerWarps - 1 - WarpOf();
    return {warp < warps ? warp * kWarpSize + Lane() : count, warps * kWarpSize,
            count};
  }
  TL_DEVICE int At(int i) const { return first + i * stride; }
  TL_DEVICE bool Has(int i) const { return At(i) < count; }
};
constexpr int MostColumns(int each) { return kConsumers * 8 * each; }
inline constexpr int kMostEights = 4;
static_assert(MostColumns(kMostEights) >= RowsStep::kMostColumns);

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

// a / b and the root of a, rounded as they should be where neither they nor b leave the
// normal floats: without a branch, and a call, for those that do (Markstein,
// "Computation of elementary functions on the IBM RISC System/6000 processor", 1990).
TL_DEVICE float Quotient(float a, float b) {
  const float about = __fdividef(1.0f, b);
  const float inverse = fmaf(fmaf(-b, about, 1.0f), about, about);
  const float quotient = a * inverse;
  return fmaf(fmaf(-b, quotient, a), inverse, quotient);
}
TL_DEVICE float Root(float a) {
  const float inverse = rsqrtf(a), root = a * inverse;
  return fmaf(fmaf(-root, root, a), 0.5f * inverse, root);
}

TL_DEVICE float NormScale(float squares, int k, float eps) {
  const float all = SumOfConsumers(squares);
  const float mean = Quotient(all, static_cast<float>(k));
  const float scale = Quotient(1.0f, Root(__fadd_rn(mean, eps)));
  return all == INFINITY ? 0 : scale;
}

// The slot of a norm's weights, which come as a tile.
TL_DEVICE unsigned NormWeights() {
  BlockMemory& shared = Shared();
  const unsigned tile = shared.next_tile[WarpOf()], slot = tile % kTiles;
  WaitPhase(&shared.tile_full[slot], tile / kTiles & 1);
  return slot;
}

// x = norm of x, each thread its part.
template <int kEights>
TL_DEVICE void Norm(const RowsStep& step, const ThreadEights& mine, unsigned slot,
                    uint4 (&part)[kEights]) {
  BlockMemory& shared = Shared();
  float weights[8], values[8];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    if (!mine.Has(i)) continue;
    Spread(part[i], values);
#pragma unroll
    for (int e = 0; e < 8; ++e) squares = fmaf(values[e], values[e], squares);
  }
  const float scale = NormScale(squares, step.k, step.eps);
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    if (!mine.Has(i)) continue;
    LoadWeights(shared.tiles[slot], step.norm_dtype, mine.At(i), weights);
    Spread(part[i], values);
#pragma unroll
    for (int e = 0; e < 8; ++e) values[e] = Normed(values[e], scale, weights[e]);
    part[i] = Gather(values);
    if (step.norm_out && blockIdx.x == 0) {
      reinterpret_cast<uint4*>(step.norm_out)[mine.At(i)] = part[i];
    }
  }
  __syncwarp();
  if (Lane() == 0) {
    Arrive(&shared.tile_empty[slot]);
    ++shared.next_tile[WarpOf()];
  }
}

TL_DEVICE Int8Row PlaceOfInt8() { return {Shared().scratch}; }

// The larger of each of two halves, as bits without signs: they are in the order
// of the values, and NaN is the largest.
TL_DEVICE uint32_t MaxOfBits(uint32_t a, uint32_t b) {
#ifdef TL_CUDA_EMULATED
  const auto larger = [](uint32_t x, uint32_t y) { return x > y ? x : y; };
  return larger(a & 0xffff, b & 0xffff) | larger(a >> 16, b >> 16) << 16;
#else
  return __vmaxu2(a, b);
#endif
}

// Four integers from -127 to 127, as bytes, of floats that are near to them.
TL_DEVICE uint32_t RoundFour(float a, float b, float c, float d, float factor) {
  // Added to this, what is behind the point falls off and the last byte is it.
  constexpr float kAligned = 12582912.0f;  // 1.5 * 2^23
  const auto rounded = [&](float x) {
    return __float_as_uint(__fadd_rn(__fmul_rn(x, factor), kAligned));
  };
  return __byte_perm(__byte_perm(rounded(a), rounded(b), 0x0040),
                     __byte_perm(rounded(c), rounded(d), 0x0040), 0x5410);
}

// 8 elements as int8: 4 neighbouring lanes have a group of 32. Whole warps take
// part; `at` is the place of those that have elements, or -1.
TL_DEVICE void RoundToInt8(const uint4& bits, int at, const Int8Row& place) {
  constexpr uint32_t kNoSigns = 0x7fff7fff, kOnes = 0x01010101;
  constexpr uint32_t kInfinity = 0x7c00;
  uint32_t pair = MaxOfBits(
      MaxOfBits(bits.x & kNoSigns, bits.y & kNoSigns),
      MaxOfBits(bits.z & kNoSigns, bits.w & kNoSigns));
  for (int mask = 1; mask < 4; mask *= 2) {
    pair = MaxOfBits(pair, __shfl_xor_sync(kFullWarp, pair, mask));
  }
  const uint32_t top = MaxOfBits(pair, pair >> 16) & 0xffff;
  const float largest = FromHalf(static_cast<uint16_t>(top));
  const float inverse = top > 0 ? Quotient(127.0f, largest) : 0.0f;
  float values[8];
  Spread(bits, values);
  const uint32_t low =
      RoundFour(values[0], values[1], values[2], values[3], inverse);
  const uint32_t high =
      RoundFour(values[4], values[5], values[6], values[7], inverse);
  int sum = Dot4(low, kOnes, Dot4(high, kOnes, 0));
  for (int mask = 1; mask < 4; mask *= 2) {
    sum += __shfl_xor_sync(kFullWarp, sum, mask);
  }
  if (at < 0) return;
  *place.Eight(at) = make_uint2(low, high);
  if (at % 4 == 0) {
    const float scale = top >= kInfinity ? __uint_as_float(0x7fc00000u)
                                         : largest * (1.0f / 127.0f);
    *place.Group(at / 4) = make_float2(scale, scale * static_cast<float>(sum));
  }
}

// Brings x to shared memory as the rows want it.
template <int kEights>
__device__ TL_NOINLINE void PrepareX(unsigned place) {
  const RowsStep& step = RecordAt(place).rows;
  const bool packed = step.w_dtype != DType::F16;
  const auto mine = ThreadEights::Of<kEights>(step.k, packed);
  uint4 part[kEights] = {};
  const unsigned weights = step.norm_weight ? NormWeights() : 0;
  if (!mine.Has(0)) {
    // Nothing of it is this thread's.
  } else if (step.handed_x != nullptr) {
    TakeHanded(step.handed_x, step.number_of_x, mine.first, mine.stride,
               mine.count, part);
  } else {
#pragma unroll
    for (int i = 0; i < kEights; ++i) {
      // All loads are on their way before one is waited for.
      part[i] = reinterpret_cast<const uint4*>(
          step.x)[min(mine.At(i), mine.count - 1)];
    }
  }
  if (step.norm_weight) Norm(step, mine, weights, part);
  // Nobody reads the x of before: a wait before the step or in the norm says so.
  if (step.header.wait == StepWait::kNone && !step.norm_weight) SyncConsumers();
  const Int8Row int8 = PlaceOfInt8();
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    const bool has = mine.Has(i);
    if (packed) {
      if (!__any_sync(kFullWarp, has)) continue;
      RoundToInt8(has ? part[i] : make_uint4(0, 0, 0, 0), has ? mine.At(i) : -1,
                  int8);
    } else if (has) {
      reinterpret_cast<uint4*>(Shared().scratch)[mine.At(i)] = part[i];
    }
  }
  SyncConsumers();
}

// As few turns as x needs.
TL_DEVICE void PrepareXOf(unsigned place) {
  const int k = RecordAt(place).rows.k;
  if (k <= MostColumns(1)) return PrepareX<1>(place);
  if (k <= MostColumns(2)) return PrepareX<2>(place);
  if (k <= MostColumns(3)) return PrepareX<3>(place);
  PrepareX<kMostEights>(place);
}

}  // namespace tl::cuda
