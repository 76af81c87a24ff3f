// The vocabulary `m` of elementwise.def on the card: float for every row, int32
// (exact, wrapping) for those that have it. Nothing here may be contracted with
// its neighbour: every operation rounds, as docs/numerics.md promises.
#pragma once

#include "cuda/device.cuh"

namespace tl::cuda {

// As __expf, wrong by 2^-21 and what |x| is rounded by; below 2^-126 it is 0, which
// saves three instructions in six.
TL_DEVICE float QuickExp(float x) {
#ifdef TL_CUDA_EMULATED
  return expf(x);
#else
  constexpr float kLog2OfE = 1.4426950408889634f;
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(__fmul_rn(x, kLog2OfE)));
  return result;
#endif
}

struct FloatMath {
  using T = float;
  static constexpr bool kIsInt = false;
  TL_DEVICE float Const(double c) const { return static_cast<float>(c); }
  TL_DEVICE float Neg(float x) const { return -x; }
  TL_DEVICE float Abs(float x) const { return fabsf(x); }
  TL_DEVICE float Add(float x, float y) const { return __fadd_rn(x, y); }
  TL_DEVICE float Sub(float x, float y) const { return __fsub_rn(x, y); }
  TL_DEVICE float Mul(float x, float y) const { return __fmul_rn(x, y); }
  TL_DEVICE float Div(float x, float y) const { return __fdiv_rn(x, y); }
  // A NaN passes on.
  TL_DEVICE float Min(float x, float y) const {
    return x < y || x != x ? x : y;
  }
  TL_DEVICE float Max(float x, float y) const {
    return x > y || x != x ? x : y;
  }
  TL_DEVICE float Sqrt(float x) const { return __fsqrt_rn(x); }
  TL_DEVICE float Floor(float x) const { return floorf(x); }
  TL_DEVICE float Ceil(float x) const { return ceilf(x); }
  TL_DEVICE float Round(float x) const { return rintf(x); }
  TL_DEVICE float Exp(float x) const { return expf(x); }
  TL_DEVICE float Log(float x) const { return logf(x); }
  TL_DEVICE float Sin(float x) const { return sinf(x); }
  TL_DEVICE float Cos(float x) const { return cosf(x); }
  TL_DEVICE float Tanh(float x) const { return tanhf(x); }
  // Near 1 erff is a step off, which 1 + erf(x) of a negative x shows.
  TL_DEVICE float Erf(float x) const {
    const float size = fabsf(x);
    return size < 1 ? erff(x) : copysignf(__fsub_rn(1.0f, erfcf(size)), x);
  }
  // In double: CUDA's powf is wrong by up to 4 steps.
  TL_DEVICE float Pow(float x, float y) const {
    return static_cast<float>(pow(static_cast<double>(x), static_cast<double>(y)));
  }
  TL_DEVICE float Rem(float x, float y) const { return fmodf(x, y); }
  TL_DEVICE float Lt(float x, float y) const { return x < y ? 1.0f : 0.0f; }
  TL_DEVICE float Le(float x, float y) const { return x <= y ? 1.0f : 0.0f; }
  TL_DEVICE float Gt(float x, float y) const { return x > y ? 1.0f : 0.0f; }
  TL_DEVICE float Ge(float x, float y) const { return x >= y ? 1.0f : 0.0f; }
  TL_DEVICE float Eq(float x, float y) const { return x == y ? 1.0f : 0.0f; }
  TL_DEVICE float Ne(float x, float y) const { return x != y ? 1.0f : 0.0f; }
  TL_DEVICE float Select(float condition, float x, float y) const {
    return condition != 0 ? x : y;
  }
};

// For f16 results: what only the last bits of a float can tell apart is left out.
// Wrong by 2^-19 at most, a hundredth of f16's half step.
struct HalfMath : FloatMath {
  TL_DEVICE float Div(float x, float y) const { return __fdividef(x, y); }
  TL_DEVICE float Exp(float x) const { return QuickExp(x); }
};

// Where operands are f16, too: none is so small that its reciprocal is infinite.
struct HalvesMath : HalfMath {
  TL_DEVICE float Div(float x, float y) const {
#ifdef TL_CUDA_EMULATED
    return x / y;
#else
    float reciprocal;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(y));
    return __fmul_rn(x, reciprocal);
#endif
  }
};

// Signed overflow is undefined in C++: sums and products are unsigned.
struct IntMath {
  using T = int32_t;
  static constexpr bool kIsInt = true;
  TL_DEVICE static int32_t Wrap(uint32_t x) { return static_cast<int32_t>(x); }
  TL_DEVICE int32_t Const(double c) const { return static_cast<int32_t>(c); }
  TL_DEVICE int32_t Neg(int32_t x) const { return Wrap(0u - uint32_t(x)); }
  TL_DEVICE int32_t Abs(int32_t x) const { return x < 0 ? Neg(x) : x; }
  TL_DEVICE int32_t Add(int32_t x, int32_t y) const {
    return Wrap(uint32_t(x) + uint32_t(y));
  }
  TL_DEVICE int32_t Sub(int32_t x, int32_t y) const {
    return Wrap(uint32_t(x) - uint32_t(y));
  }
  TL_DEVICE int32_t Mul(int32_t x, int32_t y) const {
    return Wrap(uint32_t(x) * uint32_t(y));
  }
  TL_DEVICE int32_t Min(int32_t x, int32_t y) const { return x < y ? x : y; }
  TL_DEVICE int32_t Max(int32_t x, int32_t y) const { return x > y ? x : y; }
  // -1 apart: the smallest int32 divided by -1 has no quotient.
  TL_DEVICE int32_t Rem(int32_t x, int32_t y) const {
    return y == 0 || y == -1 ? 0 : x % y;
  }
  TL_DEVICE int32_t Lt(int32_t x, int32_t y) const { return x < y; }
  TL_DEVICE int32_t Le(int32_t x, int32_t y) const { return x <= y; }
  TL_DEVICE int32_t Gt(int32_t x, int32_t y) const { return x > y; }
  TL_DEVICE int32_t Ge(int32_t x, int32_t y) const { return x >= y; }
  TL_DEVICE int32_t Eq(int32_t x, int32_t y) const { return x == y; }
  TL_DEVICE int32_t Ne(int32_t x, int32_t y) const { return x != y; }
  TL_DEVICE int32_t Select(int32_t condition, int32_t x, int32_t y) const {
    return condition != 0 ? x : y;
  }
};

}  // namespace tl::cuda
