// What is made of unpacked runs (cpu/unpack.cc): floats and halves.
#include <algorithm>
#include <bit>

#include "base/half.h"
#include "cpu/unpack.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/unpack_decode.cc"
#include "hwy/foreach_target.h"
#include "cpu/simd-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

// One vector of a group's values. Product and sum are rounded one by one: that
// is what the types are defined by.
template <bool offset>
HWY_INLINE VF ValuesAt(const int8_t* q, VF scale, VF add) {
  const hn::Rebind<int8_t, F32> d8;
  const VF number =
      hn::ConvertTo(F32(), hn::PromoteTo(I32Lanes(), hn::LoadU(d8, q)));
  const VF product = hn::Mul(scale, number);
  return offset ? hn::Add(product, add) : product;
}

// The largest and the smallest magnitude but for zeros, as bits. Integers
// compare faster than floats, NaN is the largest of all, and zero less one is
// larger still.
class Magnitudes {
 public:
  // Written out: an implicit one would lose the instruction set.
  HWY_INLINE Magnitudes()
      : least_(hn::Set(d_, ~uint32_t{0})), most_(hn::Zero(d_)) {}
  HWY_INLINE void Add(VF v) {
    const auto bits = hn::And(hn::BitCast(d_, v), hn::Set(d_, 0x7fffffff));
    least_ = hn::Min(least_, hn::Sub(bits, hn::Set(d_, 1)));
    most_ = hn::Max(most_, bits);
  }
  // Whether all are zero or in [low, high).
  HWY_INLINE bool Within(float low, float high) const {
    return hn::GetLane(hn::MinOfLanes(d_, least_)) >=
               std::bit_cast<uint32_t>(low) - 1 &&
           hn::GetLane(hn::MaxOfLanes(d_, most_)) <
               std::bit_cast<uint32_t>(high);
  }

 private:
  U32Lanes d_;
  hn::Vec<U32Lanes> least_;
  hn::Vec<U32Lanes> most_;
};

constexpr float kLeastHalf = 0x1p-24f;

// Whether products of |q| up to 128 with these scales all fit f16: one with 1
// is the smallest there is.
HWY_INLINE bool ScalesFitHalf(const float* scales, int64_t count) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  Magnitudes magnitudes;
  for (int64_t i = 0; i < count; i += lanes) {
    VF v = hn::LoadU(d, scales + i);
    if (i + lanes > count) {
      v = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(count - i)), v);
    }
    magnitudes.Add(v);
  }
  return magnitudes.Within(kLeastHalf, kHalfMax / 128);
}

HWY_INLINE VF GroupVector(const UnpackedRun& run, int64_t group, int64_t i,
                          bool offset) {
  const F32 d;
  const VF scale = hn::Set(d, run.scale[group]);
  return offset ? ValuesAt<true>(run.q + i, scale,
                                 hn::Set(d, run.offset[group]))
                : ValuesAt<false>(run.q + i, scale, hn::Zero(d));
}

template <int group, bool offset>
bool StoreRun(const UnpackedRun& run, int64_t count, float* to) {
  constexpr int kLanes = hn::MaxLanes(F32());
  for (int64_t g = 0; g < count / group; ++g) {
    HWY_UNROLL(8)
    for (int64_t i = g * group; i < (g + 1) * group; i += kLanes) {
      StoreFloat(GroupVector(run, g, i, offset), to + i);
    }
  }
  return true;
}

// False if values may be lost. With offsets they are looked at themselves.
template <int group, bool offset>
bool StoreRun(const UnpackedRun& run, int64_t count, uint16_t* to) {
  constexpr int kLanes = hn::MaxLanes(F32());
  Magnitudes magnitudes;
  for (int64_t g = 0; g < count / group; ++g) {
    HWY_UNROLL(8)
    for (int64_t i = g * group; i < (g + 1) * group; i += kLanes) {
      const VF v = GroupVector(run, g, i, offset);
      StoreFloat(v, to + i);
      if (offset) magnitudes.Add(v);
    }
  }
  return offset ? magnitudes.Within(kLeastHalf, kHalfMax)
                : ScalesFitHalf(run.scale, count / group);
}

// False if something may be lost as f16.
template <class To>
bool DecodeRun(const PackedReader& reader, const std::byte* from, int64_t count,
               To* to) {
  const PackedType& type = reader.type;
  UnpackedRun run;
  reader.unpack(from, count / type.block, run);
  if (type.group == 16) {
    return type.has_offset ? StoreRun<16, true>(run, count, to)
                           : StoreRun<16, false>(run, count, to);
  }
  return type.has_offset ? StoreRun<32, true>(run, count, to)
                         : StoreRun<32, false>(run, count, to);
}

}  // namespace

void DecodeRunOfTarget(const PackedReader& reader, const std::byte* from,
                       int64_t count, float* to) {
  DecodeRun(reader, from, count, to);
}
bool DecodeHalvesOfTarget(const PackedReader& reader, const std::byte* from,
                          int64_t count, uint16_t* to) {
  return DecodeRun(reader, from, count, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(DecodeRunOfTarget);
HWY_EXPORT(DecodeHalvesOfTarget);

void PackedReader::Decode(const std::byte* from, int64_t count,
                          float* to) const {
  for (int64_t i = 0; i < count; i += kUnpackRun) {
    HWY_DYNAMIC_DISPATCH(DecodeRunOfTarget)
    (*this, from + BytesOf(i), std::min(kUnpackRun, count - i), to + i);
  }
}

bool PackedReader::DecodeHalves(const std::byte* from, int64_t count,
                                uint16_t* to) const {
  bool kept = true;
  for (int64_t i = 0; i < count; i += kUnpackRun) {
    kept &= HWY_DYNAMIC_DISPATCH(DecodeHalvesOfTarget)(
        *this, from + BytesOf(i), std::min(kUnpackRun, count - i), to + i);
  }
  return kept;
}

}  // namespace tl::cpu
#endif
