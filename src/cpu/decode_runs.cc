#include "cpu/decode_runs.h"

#include <cstring>

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/decode_runs.cc"
#include "hwy/foreach_target.h"
#include "cpu/simd-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

using U8 = hn::ScalableTag<uint8_t>;

// One vector of floats from bytes at any alignment. `half` rounds f64 to odd:
// toward zero, with the last bit set if anything was cut off, so that rounding
// to f16 afterwards sees what it needs to see and rounds but once.
template <bool half>
HWY_INLINE VF Load(FromF32, const std::byte* from) {
  return hn::BitCast(F32(),
                     hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(from)));
}
template <bool half>
HWY_INLINE VF Load(FromF16, const std::byte* from) {
  const hn::Half<U8> d;
  return HalfBitsToFloat(hn::BitCast(
      U16Lanes(), hn::LoadU(d, reinterpret_cast<const uint8_t*>(from))));
}
template <bool half>
HWY_INLINE VF Load(FromBF16, const std::byte* from) {
  const hn::Half<U8> d;
  const auto bits = hn::BitCast(
      U16Lanes(), hn::LoadU(d, reinterpret_cast<const uint8_t*>(from)));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32Lanes(), bits)));
}

using F32Half = hn::Half<F32>;
using F64 = hn::Repartition<double, F32>;
template <bool half>
HWY_INLINE hn::Vec<F32Half> DemoteDouble(const std::byte* from) {
  const F64 d;
  const F32Half df;
  const auto x =
      hn::BitCast(d, hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(from)));
  const auto nearest = hn::DemoteTo(df, x);
  if (!half) return nearest;
  const auto back = hn::PromoteTo(d, nearest);
  // 0 or 1 per element, moved to the narrow lanes as floats.
  const auto one = hn::Set(d, 1.0);
  const auto away = hn::DemoteTo(
      df, hn::IfThenElseZero(hn::Gt(hn::Abs(back), hn::Abs(x)), one));
  const auto inexact =
      hn::DemoteTo(df, hn::IfThenZeroElse(hn::Eq(back, x), one));
  const hn::RebindToUnsigned<F32Half> du;
  const hn::RebindToSigned<F32Half> di;
  const auto down = hn::BitCast(du, hn::ConvertTo(di, away));
  const auto odd = hn::BitCast(du, hn::ConvertTo(di, inexact));
  return hn::BitCast(df, hn::Or(hn::Sub(hn::BitCast(du, nearest), down), odd));
}
template <bool half>
HWY_INLINE VF Load(FromF64, const std::byte* from) {
  const size_t bytes = hn::Lanes(F64()) * sizeof(double);
  return hn::Combine(F32(), DemoteDouble<half>(from + bytes),
                     DemoteDouble<half>(from));
}

// Whether anything in `v` may be worth counting. Zeros are not, unless they
// may come from an f64 that was none.
template <class From, class To>
HWY_INLINE bool Suspicious(VF v) {
  const U32Lanes d;
  const auto magnitude = hn::And(hn::BitCast(d, v), hn::Set(d, 0x7fffffff));
  if (sizeof(To) == 4 && From::kBytes < 8) {
    return !hn::AllFalse(d, hn::Gt(magnitude, hn::Set(d, 0x7f7fffff)));
  }
  const uint32_t low = sizeof(To) == 2 ? 0x33000001 : 1;
  const uint32_t high = sizeof(To) == 2 ? 0x477ff000 : 0x7f800000;
  // Below `low` wraps around to a large number.
  const auto strange =
      hn::Gt(hn::Sub(magnitude, hn::Set(d, low)), hn::Set(d, high - low - 1));
  if (From::kBytes == 8) return !hn::AllFalse(d, strange);
  const auto zero = hn::Eq(magnitude, hn::Zero(d));
  return !hn::AllFalse(d, hn::AndNot(zero, strange));
}

template <class From, class To>
HWY_NOINLINE void CountVector(const std::byte* from, int64_t count,
                              DecodeCounts& counts) {
  for (int64_t i = 0; i < count; ++i) Count<To>(From::Value(from, i), counts);
}

template <class From, class To>
void DecodeRun(const std::byte* from, std::byte* to_bytes, int64_t count,
               DecodeCounts& counts) {
  constexpr bool kHalf = sizeof(To) == 2;
  const int64_t lanes = static_cast<int64_t>(FloatLanes());
  To* to = reinterpret_cast<To*>(to_bytes);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const std::byte* at = from + i * From::kBytes;
    const VF v = Load<kHalf>(From(), at);
    StoreFloat(v, to + i);
    if (HWY_UNLIKELY((Suspicious<From, To>(v)))) {
      CountVector<From, To>(at, lanes, counts);
    }
  }
  for (; i < count; ++i) {
    const double value = From::Value(from, i);
    Convert(value, to + i);
    Count<To>(value, counts);
  }
}

// The same type on both sides: no bit changes, NaN and infinity are counted.
template <class Type, class Element>
void CopyRun(const std::byte* from, std::byte* to, int64_t count,
             DecodeCounts& counts) {
  std::memcpy(to, from, count * sizeof(Element));
  const int64_t lanes = static_cast<int64_t>(FloatLanes());
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const std::byte* at = from + i * Type::kBytes;
    const VF v = Load<false>(Type(), at);
    if (HWY_UNLIKELY((Suspicious<Type, float>(v)))) {
      CountVector<Type, Element>(at, lanes, counts);
    }
  }
  CountVector<Type, Element>(from + i * Type::kBytes, count - i, counts);
}

RunDecoder Find(DType from, DType to) {
  const bool half = to == DType::F16;
  switch (from) {
    case DType::F64:
      return half ? DecodeRun<FromF64, uint16_t> : DecodeRun<FromF64, float>;
    case DType::F32:
      return half ? DecodeRun<FromF32, uint16_t> : CopyRun<FromF32, float>;
    case DType::F16:
      return half ? CopyRun<FromF16, uint16_t> : DecodeRun<FromF16, float>;
    case DType::BF16:
      return half ? DecodeRun<FromBF16, uint16_t> : DecodeRun<FromBF16, float>;
    default:
      return nullptr;
  }
}

void Stream(std::byte* to, const std::byte* from, size_t bytes) {
  StreamCopy(to, from, bytes);
}

void Fence() { StreamFence(); }

}  // namespace

const RunDecoders* DecodersOfTarget() {
  static constexpr RunDecoders kDecoders = {Find, Stream, Fence};
  return &kDecoders;
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(DecodersOfTarget);

const RunDecoders& GetRunDecoders() {
  return *HWY_DYNAMIC_DISPATCH(DecodersOfTarget)();
}

}  // namespace tl::cpu
#endif  // HWY_ONCE
