// Products of rows of a weight matrix, in shared memory, with x: the share of one
// lane of a warp. Packed rows are multiplied as integers, x rounded to int8 in
// groups of 32 as docs/numerics.md says. Block layouts: ggml-common.h; the values
// they stand for: tensor/packed.cc.
#pragma once

#include "cuda/device.cuh"
#include "tensor/dtype.h"

namespace tl::cuda {

// x as int8 in groups of 32: q[i] * scale is about x[i]. Two groups lie together,
// 64 of q and then scale and scale times the sum of q of the one and of the other: the
// 80 bytes of a pair begin at another bank of shared memory than those of the next 7.
struct Int8Row {
  static constexpr int kPair = 64;  // elements
  static constexpr int kPairBytes = kPair + 4 * int{sizeof(float)};

  std::byte* pairs;

  TL_DEVICE uint4* Pair(int pair) const {
    return reinterpret_cast<uint4*>(pairs + pair * kPairBytes);
  }
  // Elements 8 * eight and the seven behind it.
  TL_DEVICE uint2* Eight(int eight) const {
    return reinterpret_cast<uint2*>(Pair(eight / 8)) + eight % 8;
  }
  TL_DEVICE float2* Group(int group) const {
    return reinterpret_cast<float2*>(Pair(group / 2) + 4) + group % 2;
  }
};

TL_DEVICE uint16_t ReadHalfWord(const std::byte* at) {
  return *reinterpret_cast<const uint16_t*>(at);
}

// kWords words from an address that is even. Reads up to 4 bytes more: lanes of
// a warp are at odd and even places, and a branch would take all of them twice.
// The pointer stays one, from which the compiler sees that it is to shared memory.
template <int kWords>
TL_DEVICE void ReadWords(const std::byte* at, uint32_t (&words)[kWords]) {
  const auto odd = static_cast<unsigned>(reinterpret_cast<uintptr_t>(at)) & 2;
  const auto* from = reinterpret_cast<const uint32_t*>(at - odd);
  const unsigned shift = odd * 8;
  uint32_t low = from[0];
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    const uint32_t high = from[i + 1];
    words[i] = __funnelshift_r(low, high, shift);
    low = high;
  }
}

TL_DEVICE int Dot4(uint32_t a, uint32_t b, int sum) {
  return __dp4a(static_cast<int>(a), static_cast<int>(b), sum);
}

// The bytes of a without signs.
TL_DEVICE int UnsignedDot4(uint32_t a, uint32_t b, int sum) {
#ifdef TL_CUDA_EMULATED
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<int>(a >> 8 * i & 0xff) *
           static_cast<int8_t>(b >> 8 * i);
  }
  return sum;
#else
  int result;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#endif
}

TL_DEVICE int UnsignedDot16(const uint32_t (&a)[4], const uint4& b, int sum) {
  sum = UnsignedDot4(a[0], b.x, sum);
  sum = UnsignedDot4(a[1], b.y, sum);
  sum = UnsignedDot4(a[2], b.z, sum);
  return UnsignedDot4(a[3], b.w, sum);
}

TL_DEVICE int Dot16(const uint32_t (&a)[4], const uint4& b, int sum) {
  sum = Dot4(a[0], b.x, sum);
  sum = Dot4(a[1], b.y, sum);
  sum = Dot4(a[2], b.z, sum);
  return Dot4(a[3], b.w, sum);
}

// The product of the low nibbles of 16 bytes, and 16 times that of the high ones, which
// stay where they are.
TL_DEVICE int DotLow(const uint4& bytes, const uint4& x) {
  constexpr uint32_t kLow = 0x0f0f0f0f;
  return Dot16({bytes.x & kLow, bytes.y & kLow, bytes.z & kLow, bytes.w & kLow}, x, 0);
}
TL_DEVICE int DotHigh16(const uint4& bytes, const uint4& x) {
  constexpr uint32_t kHigh = 0xf0f0f0f0;
  return UnsignedDot16(
      {bytes.x & kHigh, bytes.y & kHigh, bytes.z & kHigh, bytes.w & kHigh}, x, 0);
}

// A pair of an Int8Row.
struct Int8Pair {
  uint4 q[4];
  float4 groups;

  TL_DEVICE void Load(const Int8Row& x, int pair) {
    const uint4* from = x.Pair(pair);
#pragma unroll
    for (int i = 0; i < 4; ++i) q[i] = from[i];
    groups = reinterpret_cast<const float4*>(from)[4];
  }
};

// kWords words from the upper half of word `first` on.
template <int kWords, int kAll>
TL_DEVICE void HalfWordsOn(const uint32_t (&words)[kAll], int first,
                           uint32_t (&shifted)[kWords]) {
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    shifted[i] = __funnelshift_r(words[first + i], words[first + i + 1], 16);
  }
}

// A type's Unit is what a lane multiplies at a time: kElements of x, loaded once, with
// as many of each row. Two blocks of Q8_0 or
// Q4_0 are an odd number of words: lanes that have a pair each read from 32 banks.
template <DType dtype>
struct Unit;

template <>
struct Unit<DType::Q8_0> {
  static constexpr int kElements = 64;
  // The first block's elements begin in the middle of a word, and so do those of x
  // that go with it: what stands beside them, the scales, is multiplied by 0.
  uint32_t first[9];
  uint4 second[2];
  float scale[2];

  TL_DEVICE void Load(const Int8Row& row, int unit) {
    Int8Pair x;
    x.Load(row, unit);
    const uint32_t words[8] = {x.q[0].x, x.q[0].y, x.q[0].z, x.q[0].w,
                               x.q[1].x, x.q[1].y, x.q[1].z, x.q[1].w};
#pragma unroll
    for (int i = 0; i < 9; ++i) {
      first[i] = __funnelshift_r(i > 0 ? words[i - 1] : 0,
                                 i < 8 ? words[i] : 0, 16);
    }
    second[0] = x.q[2];
    second[1] = x.q[3];
    scale[0] = x.groups.x;
    scale[1] = x.groups.z;
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const auto* from = reinterpret_cast<const uint32_t*>(row) + unit * 17;
    uint32_t words[17];
#pragma unroll
    for (int i = 0; i < 17; ++i) words[i] = from[i];
    // Two sums: one would wait for itself.
    int even = Dot4(words[0], first[0], 0), odd = Dot4(words[1], first[1], 0);
#pragma unroll
    for (int i = 2; i < 8; i += 2) {
      even = Dot4(words[i], first[i], even);
      odd = Dot4(words[i + 1], first[i + 1], odd);
    }
    const int a = Dot4(words[8], first[8], even) + odd;
    const uint32_t low[4] = {words[9], words[10], words[11], words[12]};
    const uint32_t high[4] = {words[13], words[14], words[15], words[16]};
    const int b = Dot16(low, second[0], 0) + Dot16(high, second[1], 0);
    const float scale_a = FromHalf(static_cast<uint16_t>(words[0]));
    const float scale_b = FromHalf(static_cast<uint16_t>(words[8] >> 16));
    return scale_a * scale[0] * static_cast<float>(a) +
           scale_b * scale[1] * static_cast<float>(b);
  }
};

template <>
struct Unit<DType::Q4_0> {
  static constexpr int kElements = 64;
  Int8Pair x;

  TL_DEVICE void Load(const Int8Row& row, int unit) {
    x.Load(row, unit);
    x.groups.x *= 1.0f / 16;
    x.groups.z *= 1.0f / 16;
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const auto* from = reinterpret_cast<const uint32_t*>(row) + unit * 9;
    uint32_t words[9], shifted[4];
#pragma unroll
    for (int i = 0; i < 9; ++i) words[i] = from[i];
    HalfWordsOn(words, 0, shifted);
    const uint4 first = {shifted[0], shifted[1], shifted[2], shifted[3]};
    const uint4 second = {words[5], words[6], words[7], words[8]};
    const auto a = static_cast<float>(DotLow(first, x.q[0]) * 16 +
                                      DotHigh16(first, x.q[1]));
    const auto b = static_cast<float>(DotLow(second, x.q[2]) * 16 +
                                      DotHigh16(second, x.q[3]));
    const float scale_a = FromHalf(static_cast<uint16_t>(words[0]));
    const float scale_b = FromHalf(static_cast<uint16_t>(words[4] >> 16));
    return scale_a * (x.groups.x * a - 8.0f * x.groups.y) +
           scale_b * (x.groups.z * b - 8.0f * x.groups.w);
  }
};

// Scales and minima of the 8 sub-blocks of Q4_K are of 6 bits and share 12 bytes: of the
// first or of the last four, each in a byte of its own. Without a branch, since lanes
// have different ones.
TL_DEVICE void ScalesAndMinima(const uint4& head, bool last, uint32_t& scales,
                               uint32_t& minima) {
  constexpr uint32_t kSix = 0x3f3f3f3f, kLow = 0x0f0f0f0f, kTop = 0xc0c0c0c0;
  scales = last ? (head.w & kLow) | (head.y & kTop) >> 2 : head.y & kSix;
  minima = last ? (head.w >> 4 & kLow) | (head.z & kTop) >> 2 : head.z & kSix;
}

// The 64 elements of two sub-blocks, one of which has the low nibbles of 32 bytes: the
// sums of scale * product, and of minimum * sum of x, with scales and minima in the
// low bytes.
TL_DEVICE void AddSubBlocks(const Int8Pair& x, const uint4& a, const uint4& b,
                            uint32_t scales, uint32_t minima, float& scaled,
                            float& lifted) {
  const int first = (DotLow(a, x.q[0]) + DotLow(b, x.q[1])) *
                    static_cast<int>(scales & 0xff);
  const int second = (DotHigh16(a, x.q[2]) + DotHigh16(b, x.q[3])) *
                     static_cast<int>(scales >> 8 & 0xff);
  scaled = fmaf(x.groups.x, static_cast<float>(first), scaled);
  scaled = fmaf(x.groups.z, static_cast<float>(second), scaled);
  lifted = fmaf(x.groups.y, static_cast<float>(minima & 0xff), lifted);
  lifted = fmaf(x.groups.w, static_cast<float>(minima >> 8 & 0xff), lifted);
}

// Blocks are multiples of 16 bytes.
template <>
struct Unit<DType::Q4_K> {
  static constexpr int kElements = 64;
  Int8Pair x;

  TL_DEVICE void Load(const Int8Row& row, int unit) {
    x.Load(row, unit);
    x.groups.z *= 1.0f / 16;
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const auto* block = reinterpret_cast<const uint4*>(row + unit / 4 * 144);
    const int pair = unit % 4;
    const uint4 head = block[0];
    const uint4 a = block[1 + 2 * pair], b = block[2 + 2 * pair];
    uint32_t scales, minima;
    ScalesAndMinima(head, pair >= 2, scales, minima);
    const int shift = pair % 2 * 16;
    float scaled = 0, lifted = 0;
    AddSubBlocks(x, a, b, scales >> shift, minima >> shift, scaled, lifted);
    const float2 factors = UnpackHalves(head.x);
    return factors.x * scaled - factors.y * lifted;
  }
};

// Half a block of Q4_K: what its head says is found once for 128 elements.
struct HalfBlockOfQ4_K {
  static constexpr int kElements = 128;
  Int8Pair x[2];

  TL_DEVICE void Load(const Int8Row& row, int unit) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      x[i].Load(row, 2 * unit + i);
      x[i].groups.z *= 1.0f / 16;
    }
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const auto* block = reinterpret_cast<const uint4*>(row + unit / 2 * 144);
    const int half = unit % 2;
    const uint4 head = block[0];
    uint32_t scales, minima;
    ScalesAndMinima(head, half == 1, scales, minima);
    float scaled = 0, lifted = 0;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint4 a = block[1 + 4 * half + 2 * i], b = block[2 + 4 * half + 2 * i];
      AddSubBlocks(x[i], a, b, scales >> 16 * i, minima >> 16 * i, scaled, lifted);
    }
    const float2 factors = UnpackHalves(head.x);
    return factors.x * scaled - factors.y * lifted;
  }
};

// Four words from an address that is even, beginning with word `turn` and going round:
// lanes with words at the same banks and other turns read them without conflicts.
TL_DEVICE void ReadTurned(const std::byte* at, int turn, uint32_t (&words)[4]) {
  const auto odd = static_cast<unsigned>(reinterpret_cast<uintptr_t>(at)) & 2;
  const auto* from = reinterpret_cast<const uint32_t*>(at - odd);
  const uint32_t last = from[4];
  uint32_t read[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) read[i] = from[(i + turn) & 3];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t next = ((i + turn) & 3) == 3 ? last : read[(i + 1) % 4];
    words[i] = __funnelshift_r(read[i], next, odd * 8);
  }
}

// Elements l, l + 32, l + 64 and l + 96 of half a block share their bytes; a
// unit is 16 such l, which have one scale for each of the four. Its words are turned
// where lanes of a warp would meet at the same banks.
template <bool kTurned>
struct UnitOfQ6_K {
  static constexpr int kElements = 64;
  uint32_t q[4][4];  // [part, word], the words turned as those of the rows
  float scale[4];
  int lifted[4];  // -32 times the sum of q: the small integers count from there

  TL_DEVICE static int TurnOf(int unit) { return kTurned ? unit % 4 : 0; }
  TL_DEVICE static void Read(const std::byte* at, int unit, uint32_t (&words)[4]) {
    if constexpr (kTurned) {
      ReadTurned(at, TurnOf(unit), words);
    } else {
      ReadWords(at, words);
    }
  }

  TL_DEVICE void Load(const Int8Row& x, int unit) {
    constexpr uint32_t kMinus32 = 0xe0e0e0e0;
    const int half = unit / 2, sixteen = unit % 2;
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const auto* from = reinterpret_cast<const uint32_t*>(
          x.Pair(2 * half + part / 2) + part % 2 * 2 + sixteen);
      scale[part] = x.Group(4 * half + part)->x;
      lifted[part] = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        q[part][i] = from[(i + TurnOf(unit)) & 3];
        lifted[part] = Dot4(kMinus32, q[part][i], lifted[part]);
      }
    }
  }
  TL_DEVICE float Times(const std::byte* row, int unit) const {
    const std::byte* block = row + unit / 4 * 210;
    const int half = unit / 2 % 2, sixteen = unit % 2;
    uint32_t low[4], high[4], top[4], scales[2];
    Read(block + 64 * half + 16 * sixteen, unit, low);
    Read(block + 64 * half + 32 + 16 * sixteen, unit, high);
    Read(block + 128 + 32 * half + 16 * sixteen, unit, top);
    ReadWords(block + 192 + 8 * half, scales);
    float total = 0;
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      int sum = lifted[part];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t nibble =
            (part % 2 == 0 ? low[i] : high[i]) >> (part / 2 * 4) & 0x0f0f0f0f;
        const uint32_t bits =
            (part < 2 ? top[i] << (4 - 2 * part) : top[i] >> (2 * part - 4)) &
            0x30303030;
        sum = Dot4(nibble | bits, q[part][i], sum);
      }
      const auto of_part = static_cast<int8_t>(
          scales[part / 2] >> (part % 2 * 16 + 8 * sixteen));
      total = fmaf(scale[part], static_cast<float>(of_part * sum), total);
    }
    return FromHalf(ReadHalfWord(block + 208)) * total;
  }
};

// Elements of a Unit: SliceWidth counts them.
inline constexpr int kUnitElements = 64;

// Two of Q6_K would not fit the registers of a lane.
constexpr int MostUnitsOfLane(DType dtype) { return dtype == DType::Q6_K ? 1 : 2; }

// Lanes that a row of k columns takes in each of 16 warps, if each has so many
// units.
constexpr int SliceWidth(int k, int units_of_lane) {
  constexpr int kWarps = 16;
  const int units = (k / kUnitElements + kWarps - 1) / kWarps;
  return (units + units_of_lane - 1) / units_of_lane;
}

// lanes / width, up to a warp's size, by a multiplication.
constexpr int InverseOfLanes(int width) { return (1024 + width - 1) / width; }
constexpr int QuotientOfLanes(int lanes, int inverse) { return lanes * inverse >> 10; }
static_assert([] {
  for (int width = 1; width <= 32; ++width) {
    for (int lanes = 0; lanes <= 32; ++lanes) {
      if (QuotientOfLanes(lanes, InverseOfLanes(width)) != lanes / width) return false;
    }
  }
  return true;
}());

// 16-byte aligned, k a multiple of 8. Two sums a row: one would wait for itself.
template <int kRows>
TL_DEVICE void HalfDots(const std::byte* rows, int row_bytes, const uint4* x,
                        int k, float (&sums)[kRows]) {
  float odd[kRows] = {};
#pragma unroll 2
  for (int at = Lane(); at < k / 8; at += kWarpSize) {
    const uint4 b = x[at];
    const uint32_t bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const uint4 a =
          reinterpret_cast<const uint4*>(rows + r * row_bytes)[at];
      const uint32_t as[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 w = UnpackHalves(as[i]), v = UnpackHalves(bs[i]);
        sums[r] = fmaf(w.x, v.x, sums[r]);
        odd[r] = fmaf(w.y, v.y, odd[r]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) sums[r] += odd[r];
}

}  // namespace tl::cuda
