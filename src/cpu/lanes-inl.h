// The vocabulary `m` of elementwise.def on vectors: float lanes for every row,
// int32 lanes (exact, wrapping) for those that have them. A comparison gives 1
// or 0 in its own kind of lanes. The double vocabulary is in the tests.
#if defined(TL_CPU_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_LANES_INL_H_
#undef TL_CPU_LANES_INL_H_
#else
#define TL_CPU_LANES_INL_H_
#endif

#include "cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// What both kinds of lanes share.
template <class D>
struct AnyLanes {
  using V = hn::Vec<D>;
  using M = hn::Mask<D>;

  HWY_INLINE V Const(double c) const {
    return hn::Set(D(), static_cast<hn::TFromD<D>>(c));
  }
  HWY_INLINE V Neg(V x) const { return hn::Neg(x); }
  HWY_INLINE V Abs(V x) const { return hn::Abs(x); }
  HWY_INLINE V Add(V x, V y) const { return hn::Add(x, y); }
  HWY_INLINE V Sub(V x, V y) const { return hn::Sub(x, y); }
  HWY_INLINE V Mul(V x, V y) const { return hn::Mul(x, y); }
  HWY_INLINE V Lt(V x, V y) const { return Truth(hn::Lt(x, y)); }
  HWY_INLINE V Gt(V x, V y) const { return Truth(hn::Gt(x, y)); }
  HWY_INLINE V Eq(V x, V y) const { return Truth(hn::Eq(x, y)); }
  // NaN differs from NaN; the AVX-512 instruction behind hn::Ne says no.
  HWY_INLINE V Ne(V x, V y) const { return Truth(hn::Not(hn::Eq(x, y))); }
  HWY_INLINE V Select(V condition, V x, V y) const {
    return hn::IfThenElse(hn::Eq(condition, hn::Zero(D())), y, x);
  }

 protected:
  HWY_INLINE V Truth(M mask) const {
    return hn::IfThenElseZero(mask, hn::Set(D(), hn::TFromD<D>{1}));
  }
};

struct FloatLanesMath : AnyLanes<F32> {
  HWY_INLINE VF Div(VF x, VF y) const { return hn::Div(x, y); }
  HWY_INLINE VF Le(VF x, VF y) const { return Truth(hn::Le(x, y)); }
  HWY_INLINE VF Ge(VF x, VF y) const { return Truth(hn::Ge(x, y)); }
  // On x86 the instruction gives y when one of the two is NaN.
  HWY_INLINE VF Min(VF x, VF y) const {
    return hn::IfThenElse(hn::IsNaN(x), x, KeepSecondNaN(y, hn::Min(x, y)));
  }
  HWY_INLINE VF Max(VF x, VF y) const {
    return hn::IfThenElse(hn::IsNaN(x), x, KeepSecondNaN(y, hn::Max(x, y)));
  }
  HWY_INLINE VF Sqrt(VF x) const { return hn::Sqrt(x); }
  HWY_INLINE VF Floor(VF x) const { return hn::Floor(x); }
  HWY_INLINE VF Ceil(VF x) const { return hn::Ceil(x); }
  HWY_INLINE VF Round(VF x) const { return hn::Round(x); }
  HWY_INLINE VF Exp(VF x) const { return HWY_NAMESPACE::Exp(x); }
  HWY_INLINE VF Log(VF x) const { return HWY_NAMESPACE::Log(x); }
  HWY_INLINE VF Sin(VF x) const { return HWY_NAMESPACE::Sin(x); }
  HWY_INLINE VF Cos(VF x) const { return HWY_NAMESPACE::Cos(x); }
  HWY_INLINE VF Tanh(VF x) const { return HWY_NAMESPACE::Tanh(x); }
  HWY_INLINE VF Erf(VF x) const { return HWY_NAMESPACE::Erf(x); }
  HWY_INLINE VF Pow(VF x, VF y) const { return HWY_NAMESPACE::Pow(x, y); }
  HWY_INLINE VF Rem(VF x, VF y) const { return HWY_NAMESPACE::Rem(x, y); }

 private:
  HWY_INLINE VF KeepSecondNaN(VF y, VF result) const {
#if HWY_ARCH_X86
    (void)y;
    return result;
#else
    return hn::IfThenElse(hn::IsNaN(y), y, result);
#endif
  }
};

// For f16 operands and results: what only the last bits of f32 can tell apart
// is left out.
struct HalfLanesMath : FloatLanesMath {
  HWY_INLINE VF Exp(VF x) const { return ExpForHalf(x); }
  HWY_INLINE VF Tanh(VF x) const { return HWY_NAMESPACE::Tanh<HalfExp>(x); }
  HWY_INLINE VF Erf(VF x) const { return HWY_NAMESPACE::Erf<HalfExp>(x); }
};

struct IntLanesMath : AnyLanes<I32Lanes> {
  HWY_INLINE VI Le(VI x, VI y) const { return Truth(hn::Not(hn::Gt(x, y))); }
  HWY_INLINE VI Ge(VI x, VI y) const { return Truth(hn::Not(hn::Lt(x, y))); }
  HWY_INLINE VI Min(VI x, VI y) const { return hn::Min(x, y); }
  HWY_INLINE VI Max(VI x, VI y) const { return hn::Max(x, y); }
  // C's %, with x % 0 = 0. No processor divides int32 lanes.
  HWY_INLINE VI Rem(VI x, VI y) const {
    const I32Lanes d;
    alignas(64) int32_t xs[kMaxFloatLanes], ys[kMaxFloatLanes];
    hn::Store(x, d, xs);
    hn::Store(y, d, ys);
    for (size_t i = 0; i < hn::Lanes(d); ++i) {
      // -1 apart: the smallest int32 divided by -1 traps.
      xs[i] = ys[i] == 0 || ys[i] == -1 ? 0 : xs[i] % ys[i];
    }
    return hn::Load(d, xs);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_LANES_INL_H_
