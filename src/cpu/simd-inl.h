// Vectors of float and how f16 gets in and out of them. Nothing here knows an
// op; math-inl.h has exp and its kin, lanes-inl.h the vocabulary of
// elementwise.def.
//
// The dispatch ritual, once. A kernel file is compiled once per instruction
// set: foreach_target.h includes the file again and again, and HWY_NAMESPACE is
// another name each time. So a file x.cc with SIMD code reads
//
//   // clang-format off: the order matters
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "cpu/x.cc"
//   #include "hwy/foreach_target.h"  // first: it includes this file for others
//   #include "cpu/simd-inl.h"        // -inl: guarded per target, see below
//   // clang-format on
//   HWY_BEFORE_NAMESPACE();          // from here on, that set's instructions
//   namespace tl::cpu {
//   namespace HWY_NAMESPACE {
//   void XOfTarget(const KernelArgs& args) { ... }
//   }  // namespace HWY_NAMESPACE
//   }  // namespace tl::cpu
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE                     // the rest is compiled once
//   namespace tl::cpu {
//   HWY_EXPORT(XOfTarget);           // a table with one entry per target
//   void X(const KernelArgs& args) { HWY_DYNAMIC_DISPATCH(XOfTarget)(args); }
//   }  // namespace tl::cpu
//   #endif
//
// Lambdas in SIMD code carry HWY_ATTR, or they lose the instruction set.
//
// f16 elements are uint16_t in our signatures: bits, as in base/half.h.
#if defined(TL_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_SIMD_INL_H_
#undef TL_CPU_SIMD_INL_H_
#else
#define TL_CPU_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;
using I32Lanes = hn::RebindToSigned<F32>;
using U32Lanes = hn::RebindToUnsigned<F32>;
using VI = hn::Vec<I32Lanes>;
using U16Lanes = hn::Rebind<uint16_t, F32>;  // as many lanes as F32 has

// No target here has more float lanes. Blocks are padded to this many, so that
// loops over them need no remainder.
inline constexpr size_t kMaxFloatLanes = 16;

HWY_INLINE size_t FloatLanes() { return hn::Lanes(F32()); }

// SSE4 has no conversion instructions, and Highway 1.0.3's replacement neither
// rounds to nearest nor knows infinity. These agree with F16C bit for bit.
#if HWY_ARCH_X86 && HWY_TARGET >= HWY_SSE4
HWY_INLINE VF HalfBitsToFloat(hn::Vec<U16Lanes> half) {
  const F32 d;
  const U32Lanes du;
  const auto bits = hn::PromoteTo(du, half);
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000)));
  const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fff)));
  // As float bits the exponent is 112 too small, for subnormals as well.
  const auto scaled =
      hn::BitCast(du, hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112f)));
  const auto infinity = hn::Set(du, 31u << 23);
  const auto special = hn::Or(magnitude, hn::Set(du, 0x7f800000));
  const auto quiet =
      hn::IfThenElseZero(hn::Gt(magnitude, infinity), hn::Set(du, 0x400000));
  const auto value = hn::IfThenElse(hn::Lt(magnitude, infinity), scaled,
                                    hn::Or(special, quiet));
  return hn::BitCast(d, hn::Or(sign, value));
}

HWY_INLINE hn::Vec<U16Lanes> FloatToHalfBits(VF v) {
  const F32 d;
  const U32Lanes du;
  const I32Lanes di;
  const auto bits = hn::BitCast(du, v);
  const auto sign = hn::ShiftRight<16>(hn::And(bits, hn::Set(du, 0x80000000)));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffff));
  // Half a step less one, one more if the kept part is odd: ties go to even.
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1));
  const auto rounded = hn::Add(hn::Add(magnitude, hn::Set(du, 0xfff)), odd);
  const auto normal =
      hn::Sub(hn::ShiftRight<13>(rounded), hn::Set(du, 112u << 10));
  // Below 2^-14 the adder rounds: the step of 0.5f is f16's smallest number.
  const auto half = hn::Set(d, 0.5f);
  const auto tiny =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(d, magnitude), half)),
              hn::BitCast(du, half));
  const auto nan =
      hn::Or(hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 0x3ff)),
             hn::Set(du, 0x7e00));
  auto result =
      hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 113u << 23)), tiny, normal);
  result = hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x477fefff)),
                          hn::Set(du, 0x7c00), result);
  result =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x7f800000)), nan, result);
  return hn::DemoteTo(U16Lanes(), hn::BitCast(di, hn::Or(sign, result)));
}
#else
HWY_INLINE VF HalfBitsToFloat(hn::Vec<U16Lanes> half) {
  const hn::Rebind<hwy::float16_t, F32> dh;
  return hn::PromoteTo(F32(), hn::BitCast(dh, half));
}

HWY_INLINE hn::Vec<U16Lanes> FloatToHalfBits(VF v) {
  const hn::Rebind<hwy::float16_t, F32> dh;
  return hn::BitCast(U16Lanes(), hn::DemoteTo(dh, v));
}
#endif

// One vector of elements as float, and back with one rounding.
HWY_INLINE VF LoadFloat(const float* from) { return hn::LoadU(F32(), from); }
HWY_INLINE VF LoadFloat(const uint16_t* from) {
  return HalfBitsToFloat(hn::LoadU(U16Lanes(), from));
}
HWY_INLINE VF LoadFloat(const int32_t* from) {
  return hn::ConvertTo(F32(), hn::LoadU(I32Lanes(), from));
}
HWY_INLINE void StoreFloat(VF v, float* to) { hn::StoreU(v, F32(), to); }
HWY_INLINE void StoreFloat(VF v, uint16_t* to) {
  hn::StoreU(FloatToHalfBits(v), U16Lanes(), to);
}

// The first `count` lanes, fewer than a whole vector; the others load as 0.
// Reads and writes nothing past them.
#if HWY_TARGET <= HWY_AVX3
HWY_INLINE VF LoadFirst(const float* from, size_t count) {
  return hn::MaskedLoad(hn::FirstN(F32(), count), F32(), from);
}
HWY_INLINE VF LoadFirst(const uint16_t* from, size_t count) {
  const U16Lanes d;
  return HalfBitsToFloat(hn::MaskedLoad(hn::FirstN(d, count), d, from));
}
HWY_INLINE void StoreFirst(VF v, float* to, size_t count) {
  hn::BlendedStore(v, hn::FirstN(F32(), count), F32(), to);
}
HWY_INLINE void StoreFirst(VF v, uint16_t* to, size_t count) {
  const U16Lanes d;
  hn::BlendedStore(FloatToHalfBits(v), hn::FirstN(d, count), d, to);
}
#endif
template <class T>
HWY_INLINE VF LoadFirst(const T* from, size_t count) {
  alignas(64) T lanes[kMaxFloatLanes] = {};
  std::memcpy(lanes, from, count * sizeof(T));
  return LoadFloat(lanes);
}
template <class T>
HWY_INLINE void StoreFirst(VF v, T* to, size_t count) {
  alignas(64) T lanes[kMaxFloatLanes];
  StoreFloat(v, lanes);
  std::memcpy(to, lanes, count * sizeof(T));
}

// Calls f with a pointer of the elements' type: uint16_t, float or int32_t.
template <class F>
HWY_INLINE auto WithElements(DType dtype, const std::byte* data, F f) {
  if (dtype == DType::F16) return f(reinterpret_cast<const uint16_t*>(data));
  if (dtype == DType::F32) return f(reinterpret_cast<const float*>(data));
  return f(reinterpret_cast<const int32_t*>(data));
}

// Copies past the caches, for results too large to be found there again. The
// reader's fence is in StreamFence.
HWY_INLINE void StreamCopy(std::byte* HWY_RESTRICT to,
                           const std::byte* HWY_RESTRICT from, size_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t step = hn::Lanes(d);
  auto* out = reinterpret_cast<uint8_t*>(to);
  const auto* in = reinterpret_cast<const uint8_t*>(from);
  const size_t misaligned = reinterpret_cast<uintptr_t>(out) % step;
  size_t i = 0;
  if (misaligned != 0) {
    i = HWY_MIN(bytes, step - misaligned);
    std::memcpy(out, in, i);
  }
  for (; i + step <= bytes; i += step) {
    hn::Stream(hn::LoadU(d, in + i), d, out + i);
  }
  if (i < bytes) std::memcpy(out + i, in + i, bytes - i);
}

// After the last StreamCopy of a chunk: other threads see the bytes.
HWY_INLINE void StreamFence() { hwy::FlushStream(); }

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_SIMD_INL_H_
