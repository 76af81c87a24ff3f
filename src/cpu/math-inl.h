// exp, log, pow and their kin on float lanes, for every input: infinities, NaN,
// subnormals and arguments of any size. Errors are below 2 steps of f32 (pow
// and the reductions of sin and cos go through double). Coefficients are
// minimax fits made by tools/fit_polynomials.py, which prints their errors.
//
// MulAdd rounds once where the processor can and twice on SSE4, so an f32
// result may differ in its last bit between SSE4 and the others.
#if defined(TL_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATH_INL_H_
#undef TL_CPU_MATH_INL_H_
#else
#define TL_CPU_MATH_INL_H_
#endif

#include <cmath>
#include <limits>

#include "cpu/simd-inl.h"
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// c[0] + x (c[1] + x (c[2] + ...)).
template <size_t N>
HWY_INLINE VF Horner(VF x, const float (&c)[N]) {
  VF sum = hn::Set(F32(), c[N - 1]);
  for (size_t i = N - 1; i-- > 0;) {
    sum = hn::MulAdd(sum, x, hn::Set(F32(), c[i]));
  }
  return sum;
}

// The smaller or larger of v and a limit that is not NaN; NaN stays NaN. On x86
// the instruction returns its second operand when one of them is NaN.
HWY_INLINE VF AtMost(VF v, float limit) {
#if HWY_ARCH_X86
  return hn::Min(hn::Set(F32(), limit), v);
#else
  const VF bound = hn::Set(F32(), limit);
  return hn::IfThenElse(hn::Gt(v, bound), bound, v);
#endif
}
HWY_INLINE VF AtLeast(VF v, float limit) {
#if HWY_ARCH_X86
  return hn::Max(hn::Set(F32(), limit), v);
#else
  const VF bound = hn::Set(F32(), limit);
  return hn::IfThenElse(hn::Lt(v, bound), bound, v);
#endif
}

// v * 2^n for integral n in [-160, 160], rounding once into the subnormals.
HWY_INLINE VF ScaleByPowerOf2(VF v, VF n) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  return VF{_mm512_scalef_ps(v.raw, n.raw)};
#else
  // Two steps: neither factor leaves the range of normal numbers.
  const I32Lanes di;
  const auto bias = hn::Set(di, 127);
  const auto whole = hn::NearestInt(n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto first = hn::ShiftLeft<23>(hn::Add(half, bias));
  const auto second = hn::ShiftLeft<23>(hn::Add(hn::Sub(whole, half), bias));
  return hn::Mul(hn::Mul(v, hn::BitCast(F32(), first)),
                 hn::BitCast(F32(), second));
#endif
}

// e^x: x = n ln 2 + r, |r| <= ln(2)/2, and e^r = 1 + r + r^2 P(r).
HWY_INLINE VF Exp(VF x) {
  constexpr float kP[] = {0.49999994f, 0.166665211f, 0.041668389f,
                          0.00836871564f, 0.00138146f};
  const F32 d;
  // Beyond these the result is 0 or infinity anyway.
  x = AtLeast(AtMost(x, 89.0f), -104.0f);
  const VF n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  // ln 2 in two parts, the first short enough that its product is exact.
  VF r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  const VF tail = hn::MulAdd(Horner(r, kP), hn::Mul(r, r), r);
  return ScaleByPowerOf2(hn::Add(tail, hn::Set(d, 1.0f)), n);
}

// e^x for results that are then rounded to f16: wrong by 2^-17 at most, a
// thirtieth of f16's half step, for less than half the work. With f = t - n,
// e^x = 2^t = 2^n 2^f; the instruction that leaves f takes any t, so nothing
// needs bounds.
HWY_INLINE VF ExpForHalf(VF x) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  constexpr float kP[] = {0.693124175f, 0.240240991f, 0.0559064299f,
                          0.00958285108f};
  const F32 d;
  const VF t = hn::Mul(x, hn::Set(d, 1.44269504f));
  const VF f{_mm512_reduce_ps(t.raw, _MM_FROUND_NO_EXC)};
  const VF fraction = hn::MulAdd(Horner(f, kP), f, hn::Set(d, 1.0f));
  return VF{_mm512_scalef_ps(fraction.raw, hn::Sub(t, f).raw)};
#else
  return Exp(x);
#endif
}

// Which of the two a function below is made of.
struct PreciseExp {
  HWY_INLINE VF operator()(VF x) const { return Exp(x); }
};
struct HalfExp {
  HWY_INLINE VF operator()(VF x) const { return ExpForHalf(x); }
};

// ln x: x = 2^e (1 + r) with 1 + r in [sqrt(1/2), sqrt(2)), and
// ln(1 + r) = r - r^2 / 2 + r^3 P(r).
HWY_INLINE VF Log(VF x) {
  constexpr float kP[] = {0.333333313f,  -0.250008225f, 0.200012267f,
                          -0.166233569f, 0.142017618f,  -0.131601945f,
                          0.127615497f,  -0.0763442963f};
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const F32 d;
  const I32Lanes di;
  const auto subnormal = hn::Lt(x, hn::Set(d, 0x1p-126f));
  const VF scaled =
      hn::IfThenElse(subnormal, hn::Mul(x, hn::Set(d, 0x1p25f)), x);
  const auto root_half = hn::Set(di, 0x3f3504f3);
  const auto bits = hn::Sub(hn::BitCast(di, scaled), root_half);
  const auto fraction = hn::And(bits, hn::Set(di, 0x7fffff));
  const VF r =
      hn::Sub(hn::BitCast(d, hn::Add(fraction, root_half)), hn::Set(d, 1.0f));
  VF e = hn::ConvertTo(d, hn::ShiftRight<23>(bits));
  e = hn::Sub(e, hn::IfThenElseZero(subnormal, hn::Set(d, 25.0f)));
  const VF square = hn::Mul(r, r);
  VF sum = hn::Mul(hn::Mul(square, r), Horner(r, kP));
  sum = hn::MulAdd(e, hn::Set(d, -2.12194440e-4f), sum);
  sum = hn::NegMulAdd(hn::Set(d, 0.5f), square, sum);
  sum = hn::MulAdd(e, hn::Set(d, 0.693359375f), hn::Add(r, sum));
  const VF infinity = hn::Set(d, kInfinity);
  sum = hn::IfThenElse(hn::Lt(x, infinity), sum, x);  // infinity, NaN
  sum = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(infinity), sum);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::NaN(d), sum);
}

// f on the two halves of x, in double.
using F64 = hn::Repartition<double, F32>;
using VD = hn::Vec<F64>;
template <class F>
HWY_INLINE VF InDouble(VF x, F f) {
  const hn::Half<F32> half;
  const F64 d;
  const VD low = f(hn::PromoteTo(d, hn::LowerHalf(half, x)));
  const VD high = f(hn::PromoteTo(d, hn::UpperHalf(half, x)));
  return hn::Combine(F32(), hn::DemoteTo(half, high), hn::DemoteTo(half, low));
}

// Calls the C library on every lane where `rare` holds: for arguments so large
// that a table of pi's digits is needed, and for IEEE remainders.
template <class F>
HWY_NOINLINE VF PatchLanes(VF result, hn::Mask<F32> rare, VF x, VF y, F f) {
  const F32 d;
  alignas(64) float xs[kMaxFloatLanes], ys[kMaxFloatLanes];
  alignas(64) float results[kMaxFloatLanes];
  alignas(64) float flags[kMaxFloatLanes];
  hn::Store(x, d, xs);
  hn::Store(y, d, ys);
  hn::Store(result, d, results);
  hn::Store(hn::IfThenElseZero(rare, hn::Set(d, 1.0f)), d, flags);
  for (size_t i = 0; i < FloatLanes(); ++i) {
    if (flags[i] != 0) results[i] = f(xs[i], ys[i]);
  }
  return hn::Load(d, results);
}

struct ReducedAngle {
  VF rest;     // in [-pi/4, pi/4]
  VI quarter;  // turns taken off
};

// For |x| <= kLargestAngle: below it the number of quarter turns has at most 20
// bits, and its product with the first 33 bits of pi/2 is exact in double.
inline constexpr float kLargestAngle = 1.0e6f;
HWY_INLINE ReducedAngle ReduceAngle(VF x) {
  const F32 d;
  const VF turns = hn::Round(hn::Mul(x, hn::Set(d, 0.636619772f)));
  const hn::Half<F32> half;
  const F64 dd;
  const auto first = hn::Set(dd, 0x1.921fb54400000p+0);
  const auto second = hn::Set(dd, 0x1.0b4611a626331p-34);
  const auto reduce = [&](auto part, auto count) HWY_ATTR {
    const VD n = hn::PromoteTo(dd, count);
    const VD rest = hn::Sub(hn::PromoteTo(dd, part), hn::Mul(n, first));
    return hn::DemoteTo(half, hn::Sub(rest, hn::Mul(n, second)));
  };
  const auto low = reduce(hn::LowerHalf(half, x), hn::LowerHalf(half, turns));
  const auto high = reduce(hn::UpperHalf(half, x), hn::UpperHalf(half, turns));
  return {hn::Combine(d, high, low), hn::NearestInt(turns)};
}

// sin(x + shift pi/2): shift 0 is sin, 1 is cos.
template <int shift>
HWY_INLINE VF SinShifted(VF x) {
  constexpr float kSin[] = {-0.166666552f, 0.00833215844f, -0.000195149565f};
  constexpr float kCos[] = {0.0416666456f, -0.0013887313f, 2.44327839e-05f};
  const F32 d;
  const I32Lanes di;
  const auto usual = hn::Le(hn::Abs(x), hn::Set(d, kLargestAngle));
  const ReducedAngle angle = ReduceAngle(hn::IfThenElseZero(usual, x));
  const VF r = angle.rest;
  const VF square = hn::Mul(r, r);
  const VF sin = hn::MulAdd(hn::Mul(square, r), Horner(square, kSin), r);
  VF cos = hn::MulAdd(hn::Mul(square, square), Horner(square, kCos),
                      hn::Set(d, 1.0f));
  cos = hn::NegMulAdd(hn::Set(d, 0.5f), square, cos);
  const auto quarter = hn::Add(angle.quarter, hn::Set(di, shift));
  const auto swap = hn::Eq(hn::And(quarter, hn::Set(di, 1)), hn::Set(di, 1));
  const VF value = hn::IfThenElse(hn::RebindMask(d, swap), cos, sin);
  const auto sign = hn::ShiftLeft<30>(hn::And(quarter, hn::Set(di, 2)));
  VF result = hn::Xor(value, hn::BitCast(d, sign));
  if (shift == 0) {  // sin(-0) is -0
    result = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, result);
  }
  if (HWY_LIKELY(hn::AllTrue(d, usual))) return result;
  return PatchLanes(result, hn::Not(usual), x, x, [](float a, float) {
    return static_cast<float>(shift == 0 ? std::sin(static_cast<double>(a))
                                         : std::cos(static_cast<double>(a)));
  });
}
HWY_INLINE VF Sin(VF x) { return SinShifted<0>(x); }
HWY_INLINE VF Cos(VF x) { return SinShifted<1>(x); }

template <class ExpOf = PreciseExp>
HWY_INLINE VF Tanh(VF x) {
  constexpr float kP[] = {-0.333332807f, 0.133314416f, -0.0537397116f,
                          0.0206390787f, -0.00570497848f};
  const F32 d;
  const VF one = hn::Set(d, 1.0f);
  const VF size = hn::Abs(x);
  const VF square = hn::Mul(x, x);
  const VF near = hn::MulAdd(hn::Mul(square, x), Horner(square, kP), x);
  const VF e = ExpOf()(hn::Add(size, size));
  const VF far = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(e, one)));
  return hn::IfThenElse(hn::Lt(size, hn::Set(d, 0.625f)), near,
                        hn::CopySign(far, x));
}

// Below 1: x + x P(x^2). Above: 1 - e^(-t - t Q(t)), which is 1 from t = 4 on.
template <class ExpOf = PreciseExp>
HWY_INLINE VF Erf(VF x) {
  constexpr float kP[] = {0.128379166f,   -0.37612626f,   0.112835854f,
                          -0.026853811f,  0.00518832728f, -0.000801019138f,
                          7.85385419e-05f};
  constexpr float kQ[] = {0.128697157f,   0.634958327f,   0.106549107f,
                          -0.0240255091f, 0.00376466033f, -0.000352332165f,
                          1.41338387e-05f};
  const F32 d;
  const VF size = hn::Abs(x);
  const VF square = hn::Mul(x, x);
  const VF near = hn::MulAdd(Horner(square, kP), x, x);
  const VF t = AtMost(size, 4.0f);
  const VF exponent = hn::MulAdd(Horner(t, kQ), t, t);
  const VF far = hn::Sub(hn::Set(d, 1.0f), ExpOf()(hn::Neg(exponent)));
  return hn::IfThenElse(hn::Lt(size, hn::Set(d, 1.0f)), near,
                        hn::CopySign(far, x));
}

// Of two halves at once: |x|^y in double.
template <class V64>
HWY_INLINE V64 PowMagnitude(V64 x, V64 y) {
  const F64 d;
  const auto product = hn::Mul(hn::Log(d, x), y);
  // Beyond these even f32 is 0 or infinity.
  const auto bounded =
      hn::Min(hn::Max(product, hn::Set(d, -200.0)), hn::Set(d, 200.0));
  return hn::Exp(d, bounded);
}

// C's pow: exact cases, negative bases with integral exponents, zeros,
// infinities and NaN as in ISO C annex F.
HWY_INLINE VF Pow(VF x, VF y) {
  const F32 d;
  const hn::Half<F32> half;
  const F64 dd;
  const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const VF infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const VF size = hn::Abs(x);
  const auto ordinary = hn::And(hn::Gt(size, zero), hn::Lt(size, infinity));
  const VF base = hn::IfThenElse(ordinary, size, one);
  const auto low = PowMagnitude(hn::PromoteTo(dd, hn::LowerHalf(half, base)),
                                hn::PromoteTo(dd, hn::LowerHalf(half, y)));
  const auto high = PowMagnitude(hn::PromoteTo(dd, hn::UpperHalf(half, base)),
                                 hn::PromoteTo(dd, hn::UpperHalf(half, y)));
  VF result = hn::Combine(d, hn::DemoteTo(half, high), hn::DemoteTo(half, low));
  // Powers that are one rounding away.
  result = hn::IfThenElse(hn::Eq(y, hn::Set(d, 2.0f)), hn::Mul(x, x), result);
  result = hn::IfThenElse(hn::Eq(y, one), size, result);

  const auto down = hn::Lt(y, zero);
  const auto vanishes = hn::Or(hn::And(hn::Eq(size, zero), hn::Not(down)),
                               hn::And(hn::Eq(size, infinity), down));
  result = hn::IfThenElse(ordinary, result,
                          hn::IfThenElse(vanishes, zero, infinity));
  // |y| infinite.
  const auto grows = hn::Eq(hn::IfThenElse(hn::Gt(size, one), one, zero),
                            hn::IfThenElse(down, zero, one));
  const VF limit = hn::IfThenElse(hn::Eq(size, one), one,
                                  hn::IfThenElse(grows, infinity, zero));
  result = hn::IfThenElse(hn::Eq(hn::Abs(y), infinity), limit, result);
  // The sign: odd exponents keep it, other integral ones drop it.
  const I32Lanes di;
  const auto negative =
      hn::RebindMask(d, hn::Lt(hn::BitCast(di, x), hn::Zero(di)));
  const auto whole = hn::Eq(y, hn::Floor(y));
  const VF half_y = hn::Mul(y, hn::Set(d, 0.5f));
  const auto odd = hn::And(whole, hn::Ne(half_y, hn::Floor(half_y)));
  result =
      hn::IfThenElse(hn::And(negative, odd), hn::Neg(hn::Abs(result)), result);
  const auto undefined =
      hn::And(hn::And(hn::Lt(x, zero), hn::Not(whole)), hn::Lt(size, infinity));
  result = hn::IfThenElse(undefined, hn::NaN(d), result);
  const auto nan = hn::Or(hn::IsNaN(x), hn::IsNaN(y));
  result = hn::IfThenElse(nan, hn::NaN(d), result);
  const auto certain = hn::Or(hn::Eq(y, zero), hn::Eq(x, one));
  return hn::IfThenElse(certain, one, result);
}

// C's fmod. In double the quotient of two f32 numbers, cut to an integer, may
// be one too large; below 2^28 the products are exact, so that is seen.
HWY_INLINE VF Rem(VF x, VF y) {
  const F32 d;
  const hn::Half<F32> half;
  const F64 dd;
  const auto part = [&](auto xs, auto ys) HWY_ATTR {
    const VD a = hn::Abs(hn::PromoteTo(dd, xs));
    const VD b = hn::Abs(hn::PromoteTo(dd, ys));
    const VD rest = hn::Sub(a, hn::Mul(hn::Trunc(hn::Div(a, b)), b));
    return hn::DemoteTo(half, hn::IfThenElse(hn::Lt(rest, hn::Zero(dd)),
                                             hn::Add(rest, b), rest));
  };
  const VF rest =
      hn::Combine(d, part(hn::UpperHalf(half, x), hn::UpperHalf(half, y)),
                  part(hn::LowerHalf(half, x), hn::LowerHalf(half, y)));
  const VF infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto quotient_small =
      hn::Lt(hn::Div(hn::Abs(x), hn::Abs(y)), hn::Set(d, 0x1p28f));
  const VF result = hn::CopySign(rest, x);
  const auto usual = hn::And(quotient_small, hn::Lt(hn::Abs(y), infinity));
  if (HWY_LIKELY(hn::AllTrue(d, usual))) return result;
  return PatchLanes(result, hn::Not(usual), x, y,
                    [](float a, float b) { return std::fmod(a, b); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATH_INL_H_
