#include "cpu/unpack.h"

#include <algorithm>
#include <array>
#include <cstring>

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/unpack.cc"
#include "hwy/foreach_target.h"
#include "cpu/simd-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

// Blocks are cut into pieces of 16 bytes, on every instruction set.
using U8 = hn::FixedTag<uint8_t, 16>;
using V8 = hn::Vec<U8>;

HWY_INLINE V8 Load16(const std::byte* from) {
  return hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(from));
}
HWY_INLINE void Store16(V8 v, int8_t* to) {
  hn::StoreU(v, U8(), reinterpret_cast<uint8_t*>(to));
}
HWY_INLINE V8 Low4(V8 v) { return hn::And(v, hn::Set(U8(), 15)); }
HWY_INLINE V8 High4(V8 v) { return hn::ShiftRight<4>(v); }
HWY_INLINE V8 Minus(V8 v, int amount) {
  return hn::Sub(v, hn::Set(U8(), static_cast<uint8_t>(amount)));
}
// Bits `at` and `at` + 1 of every byte.
template <int at>
HWY_INLINE V8 Bits2(V8 v) {
  return hn::And(hn::ShiftRight<at>(v), hn::Set(U8(), 3));
}
// Bit `at` of every byte, as bit 4.
template <int at>
HWY_INLINE V8 BitAs16(V8 v) {
  if constexpr (at <= 4) {
    return hn::And(hn::ShiftLeft<4 - at>(v), hn::Set(U8(), 16));
  } else {
    return hn::And(hn::ShiftRight<at - 4>(v), hn::Set(U8(), 16));
  }
}

uint16_t HalfAt(const std::byte* from) {
  uint16_t half;
  std::memcpy(&half, from, sizeof(half));
  return half;
}

constexpr int kMaxBlocks = kUnpackRun / 32;

// One half per block, as floats.
HWY_INLINE void LoadHalves(const std::byte* from, int64_t blocks, int bytes,
                           float* to) {
  alignas(64) uint16_t halves[kMaxBlocks + kMaxFloatLanes] = {};
  for (int64_t i = 0; i < blocks; ++i) halves[i] = HalfAt(from + i * bytes);
  const int64_t lanes = static_cast<int64_t>(FloatLanes());
  for (int64_t i = 0; i < blocks; i += lanes) {
    StoreFloat(LoadFloat(halves + i), to + i);
  }
}

// to[i] = factor * bytes[i] for 8 bytes.
template <class Byte>
HWY_INLINE void ScaleBytes(const Byte* bytes, float factor, float* to) {
  const hn::CappedTag<float, 8> d;
  const hn::Rebind<int32_t, decltype(d)> di;
  const hn::Rebind<Byte, decltype(d)> db;
  for (size_t i = 0; i < 8; i += hn::Lanes(d)) {
    const auto number =
        hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(db, bytes + i)));
    hn::StoreU(hn::Mul(hn::Set(d, factor), number), d, to + i);
  }
}

// --- Blocks of 32 ------------------------------------------------------------

HWY_INLINE void StoreCodes(const std::byte* from,
                           const std::array<int8_t, 16>& values, int8_t* q) {
  const V8 table =
      hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(values.data()));
  const V8 codes = Load16(from);
  Store16(hn::TableLookupBytes(table, Low4(codes)), q);
  Store16(hn::TableLookupBytes(table, High4(codes)), q + 16);
}

HWY_INLINE void StoreNibbles(const std::byte* from, int minus, int8_t* q) {
  const V8 codes = Load16(from);
  Store16(Minus(Low4(codes), minus), q);
  Store16(Minus(High4(codes), minus), q + 16);
}

// The fifth bits of 16 elements, two bytes of them, as bit 4 of 16 bytes.
HWY_INLINE V8 FifthBits(const std::byte* bits) {
  constexpr uint8_t kWhichByte[16] = {0, 0, 0, 0, 0, 0, 0, 0,
                                      1, 1, 1, 1, 1, 1, 1, 1};
  constexpr uint8_t kWhichBit[16] = {1, 2, 4, 8, 16, 32, 64, 128,
                                     1, 2, 4, 8, 16, 32, 64, 128};
  const U8 d;
  const hn::Repartition<uint16_t, U8> d16;
  const V8 both = hn::BitCast(d, hn::Set(d16, HalfAt(bits)));
  const V8 spread = hn::TableLookupBytes(both, hn::LoadU(d, kWhichByte));
  const V8 bit = hn::LoadU(d, kWhichBit);
  return hn::IfThenElseZero(hn::Eq(hn::And(spread, bit), bit),
                            hn::Set(d, 16));
}

HWY_INLINE void StoreFiveBits(const std::byte* high, const std::byte* low,
                              int minus, int8_t* q) {
  const V8 codes = Load16(low);
  Store16(Minus(hn::Or(Low4(codes), FifthBits(high)), minus), q);
  Store16(Minus(hn::Or(High4(codes), FifthBits(high + 2)), minus), q + 16);
}

struct Q4_0 {
  static constexpr int kBytes = 18;
  static constexpr bool kOffset = false;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    StoreNibbles(block + 2, 8, q);
  }
};
struct Q4_1 {
  static constexpr int kBytes = 20;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    StoreNibbles(block + 4, 0, q);
  }
};
struct Q5_0 {
  static constexpr int kBytes = 22;
  static constexpr bool kOffset = false;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    StoreFiveBits(block + 2, block + 6, 16, q);
  }
};
struct Q5_1 {
  static constexpr int kBytes = 24;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    StoreFiveBits(block + 4, block + 8, 0, q);
  }
};
struct Q8_0 {
  static constexpr int kBytes = 34;
  static constexpr bool kOffset = false;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    Store16(Load16(block + 2), q);
    Store16(Load16(block + 18), q + 16);
  }
};
struct IQ4_NL {
  static constexpr int kBytes = 18;
  static constexpr bool kOffset = false;
  static HWY_INLINE void Store(const std::byte* block, int8_t* q) {
    StoreCodes(block + 2, kIQ4Values, q);
  }
};

// A half as scale in front, and perhaps another as offset.
template <class Type>
void UnpackSmall(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  LoadHalves(from, blocks, Type::kBytes, to.scale);
  if (Type::kOffset) LoadHalves(from + 2, blocks, Type::kBytes, to.offset);
  for (int64_t i = 0; i < blocks; ++i) {
    Type::Store(from + i * Type::kBytes, to.q + 32 * i);
  }
}

void UnpackMXFP4(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  for (int64_t i = 0; i < blocks; ++i, from += 17) {
    // Half of 2^(e - 127): a shift of the exponent, but for the smallest two
    // and NaN.
    const uint32_t e = static_cast<uint8_t>(from[0]);
    const uint32_t bits = e == 255  ? 0x7fc00000
                          : e == 0  ? 0x00200000
                          : e == 1  ? 0x00400000
                                    : (e - 1) << 23;
    std::memcpy(&to.scale[i], &bits, sizeof(bits));
    StoreCodes(from + 1, kE2M1Twice, to.q + 32 * i);
  }
}

// --- Blocks of 256 -----------------------------------------------------------

// Eight 6-bit scales and eight minima in 12 bytes, four at a time.
struct ScalesAndMinima {
  uint8_t scale[8];
  uint8_t minimum[8];

  explicit ScalesAndMinima(const std::byte* from) {
    uint32_t word[3];
    std::memcpy(word, from, sizeof(word));
    const uint32_t words[4] = {
        word[0] & 0x3f3f3f3f,
        (word[2] & 0x0f0f0f0f) | (word[0] >> 6 & 0x03030303) << 4,
        word[1] & 0x3f3f3f3f,
        (word[2] >> 4 & 0x0f0f0f0f) | (word[1] >> 6 & 0x03030303) << 4};
    std::memcpy(scale, words, 8);
    std::memcpy(minimum, words + 2, 8);
  }
};

// Offsets are minima with the sign turned.
HWY_INLINE void StoreScalesAndMinima(const std::byte* block, float d, float m,
                                     float* scale, float* offset) {
  const ScalesAndMinima packed(block + 4);
  ScaleBytes(packed.scale, d, scale);
  ScaleBytes(packed.minimum, -m, offset);
}

void UnpackQ4_K(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 144;
  float d[kMaxBlocks], m[kMaxBlocks];
  LoadHalves(from, blocks, kBytes, d);
  LoadHalves(from + 2, blocks, kBytes, m);
  int8_t* q = to.q;
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    StoreScalesAndMinima(from, d[i], m[i], to.scale + 8 * i, to.offset + 8 * i);
    for (int pair = 0; pair < 4; ++pair, q += 64) {
      for (int l = 0; l < 32; l += 16) {
        const V8 codes = Load16(from + 16 + 32 * pair + l);
        Store16(Low4(codes), q + l);
        Store16(High4(codes), q + 32 + l);
      }
    }
  }
}

// Groups 2 * pair and 2 * pair + 1, whose fifth bits are those of `high`.
template <int pair>
HWY_INLINE void StoreQ5Pair(const std::byte* low, V8 high, int8_t* q) {
  const V8 codes = Load16(low);
  Store16(hn::Or(Low4(codes), BitAs16<2 * pair>(high)), q);
  Store16(hn::Or(High4(codes), BitAs16<2 * pair + 1>(high)), q + 32);
}

void UnpackQ5_K(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 176;
  float d[kMaxBlocks], m[kMaxBlocks];
  LoadHalves(from, blocks, kBytes, d);
  LoadHalves(from + 2, blocks, kBytes, m);
  int8_t* q = to.q;
  for (int64_t i = 0; i < blocks; ++i, from += kBytes, q += 256) {
    StoreScalesAndMinima(from, d[i], m[i], to.scale + 8 * i, to.offset + 8 * i);
    for (int l = 0; l < 32; l += 16) {
      const V8 high = Load16(from + 16 + l);
      const std::byte* low = from + 48 + l;
      StoreQ5Pair<0>(low, high, q + l);
      StoreQ5Pair<1>(low + 32, high, q + 64 + l);
      StoreQ5Pair<2>(low + 64, high, q + 128 + l);
      StoreQ5Pair<3>(low + 96, high, q + 192 + l);
    }
  }
}

void UnpackQ6_K(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 210;
  float d[kMaxBlocks];
  LoadHalves(from + 208, blocks, kBytes, d);
  int8_t* q = to.q;
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    const auto* scales = reinterpret_cast<const int8_t*>(from + 192);
    ScaleBytes(scales, d[i], to.scale + 16 * i);
    ScaleBytes(scales + 8, d[i], to.scale + 16 * i + 8);
    for (int half = 0; half < 2; ++half, q += 128) {
      for (int l = 0; l < 32; l += 16) {
        const V8 a = Load16(from + 64 * half + l);
        const V8 b = Load16(from + 64 * half + 32 + l);
        const V8 high = Load16(from + 128 + 32 * half + l);
        const auto store = [&](V8 low, V8 two, int at) HWY_ATTR {
          Store16(Minus(hn::Or(low, hn::ShiftLeft<4>(two)), 32), q + at + l);
        };
        store(Low4(a), Bits2<0>(high), 0);
        store(Low4(b), Bits2<2>(high), 32);
        store(High4(a), Bits2<4>(high), 64);
        store(High4(b), Bits2<6>(high), 96);
      }
    }
  }
}

// Two bits an element, four runs of 32 in the same bytes.
HWY_INLINE void StoreTwoBits(const std::byte* from, int minus, int8_t* q) {
  for (int half = 0; half < 2; ++half, q += 128) {
    for (int l = 0; l < 32; l += 16) {
      const V8 codes = Load16(from + 32 * half + l);
      Store16(Minus(Bits2<0>(codes), minus), q + l);
      Store16(Minus(Bits2<2>(codes), minus), q + 32 + l);
      Store16(Minus(Bits2<4>(codes), minus), q + 64 + l);
      Store16(Minus(Bits2<6>(codes), minus), q + 96 + l);
    }
  }
}

void UnpackQ2_K(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 84;
  float d[kMaxBlocks], m[kMaxBlocks];
  LoadHalves(from + 80, blocks, kBytes, d);
  LoadHalves(from + 82, blocks, kBytes, m);
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    alignas(16) uint8_t scale[16], minimum[16];
    const V8 both = Load16(from);
    hn::Store(Low4(both), U8(), scale);
    hn::Store(High4(both), U8(), minimum);
    for (int g = 0; g < 16; g += 8) {
      ScaleBytes(scale + g, d[i], to.scale + 16 * i + g);
      ScaleBytes(minimum + g, -m[i], to.offset + 16 * i + g);
    }
    StoreTwoBits(from + 16, 0, to.q + 256 * i);
  }
}

// Run j of half h: two low bits, and 4 less where its bit of the mask is not
// set.
template <int h, int j>
HWY_INLINE void StoreQ3Run(V8 low, V8 mask, int8_t* q) {
  const V8 high = hn::And(hn::ShiftRight<4 * h + j>(mask), hn::Set(U8(), 1));
  const V8 four = hn::ShiftLeft<2>(hn::Xor(high, hn::Set(U8(), 1)));
  Store16(hn::Sub(Bits2<2 * j>(low), four), q + 128 * h + 32 * j);
}

template <int h>
HWY_INLINE void StoreQ3Half(V8 low, V8 mask, int8_t* q) {
  StoreQ3Run<h, 0>(low, mask, q);
  StoreQ3Run<h, 1>(low, mask, q);
  StoreQ3Run<h, 2>(low, mask, q);
  StoreQ3Run<h, 3>(low, mask, q);
}

void UnpackQ3_K(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 110;
  float d[kMaxBlocks];
  LoadHalves(from + 108, blocks, kBytes, d);
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    int8_t scale[16];
    for (int g = 0; g < 16; ++g) {
      const int low = static_cast<uint8_t>(from[96 + g % 8]) >> 4 * (g / 8);
      const int high = static_cast<uint8_t>(from[104 + g % 4]) >> 2 * (g / 4);
      scale[g] = static_cast<int8_t>(((low & 15) | (high & 3) << 4) - 32);
    }
    ScaleBytes(scale, d[i], to.scale + 16 * i);
    ScaleBytes(scale + 8, d[i], to.scale + 16 * i + 8);
    for (int l = 0; l < 32; l += 16) {
      const V8 mask = Load16(from + l);
      StoreQ3Half<0>(Load16(from + 32 + l), mask, to.q + 256 * i + l);
      StoreQ3Half<1>(Load16(from + 64 + l), mask, to.q + 256 * i + l);
    }
  }
}

void UnpackIQ4_XS(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 136;
  float d[kMaxBlocks];
  LoadHalves(from, blocks, kBytes, d);
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    const int high = HalfAt(from + 2);
    int8_t scale[8];
    for (int g = 0; g < 8; ++g) {
      const int low = static_cast<uint8_t>(from[4 + g / 2]) >> 4 * (g % 2);
      scale[g] = static_cast<int8_t>(((low & 15) | (high >> 2 * g & 3) << 4) -
                                     32);
      StoreCodes(from + 8 + 16 * g, kIQ4Values, to.q + 256 * i + 32 * g);
    }
    ScaleBytes(scale, d[i], to.scale + 8 * i);
  }
}

void UnpackTQ2_0(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  constexpr int kBytes = 66;
  float d[kMaxBlocks];
  LoadHalves(from + 64, blocks, kBytes, d);
  for (int64_t i = 0; i < blocks; ++i, from += kBytes) {
    std::fill_n(to.scale + 8 * i, 8, d[i]);
    StoreTwoBits(from, 1, to.q + 256 * i);
  }
}

// --- Everything else, one block after the other -------------------------------

template <DType dtype>
void UnpackAny(const std::byte* from, int64_t blocks, UnpackedRun& to) {
  const PackedType& type = PackedTypeOf(dtype);
  const int groups = type.block / type.group;
  for (int64_t i = 0; i < blocks; ++i) {
    UnpackedBlock block;
    type.unpack(from + i * type.bytes, block);
    std::copy_n(block.q, type.block, to.q + i * type.block);
    std::copy_n(block.scale, groups, to.scale + i * groups);
  }
}

Unpack Find(DType dtype) {
  switch (dtype) {
    case DType::Q4_0: return UnpackSmall<Q4_0>;
    case DType::Q4_1: return UnpackSmall<Q4_1>;
    case DType::Q5_0: return UnpackSmall<Q5_0>;
    case DType::Q5_1: return UnpackSmall<Q5_1>;
    case DType::Q8_0: return UnpackSmall<Q8_0>;
    case DType::IQ4_NL: return UnpackSmall<IQ4_NL>;
    case DType::MXFP4: return UnpackMXFP4;
    case DType::Q2_K: return UnpackQ2_K;
    case DType::Q3_K: return UnpackQ3_K;
    case DType::Q4_K: return UnpackQ4_K;
    case DType::Q5_K: return UnpackQ5_K;
    case DType::Q6_K: return UnpackQ6_K;
    case DType::IQ4_XS: return UnpackIQ4_XS;
    case DType::TQ2_0: return UnpackTQ2_0;
    case DType::TQ1_0: return UnpackAny<DType::TQ1_0>;
    case DType::NVFP4: return UnpackAny<DType::NVFP4>;
    case DType::Q1_0: return UnpackAny<DType::Q1_0>;
    case DType::Q2_0: return UnpackAny<DType::Q2_0>;
    default: return nullptr;  // not packed
  }
}

}  // namespace

Unpack FindUnpackOfTarget(DType dtype) { return Find(dtype); }

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(FindUnpackOfTarget);

PackedReader PackedReaderOf(DType dtype) {
  return {PackedTypeOf(dtype), HWY_DYNAMIC_DISPATCH(FindUnpackOfTarget)(dtype)};
}

}  // namespace tl::cpu
#endif
