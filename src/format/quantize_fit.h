// The search for scales. What a group x of n weights costs when it is stored as
// y is taken to be sum (x - y)^2: with inputs of equal variance that is the
// error of a product with it, up to a factor.
//
// With a minimum, y = s q + m. For given integers q the cost is a parabola in
// (s, m), and its least value is that of linear regression,
//
//   s = (n Sxq - Sx Sq) / (n Sqq - Sq^2),   m = (Sx - s Sq) / n,
//
// or s = Sxq / Sqq where m may not be above zero and is held there. For given
// (s, m) the best q is the nearest integer. Going back and forth ends in the
// nearest hollow, not the deepest; so several first guesses for s are tried,
// those that map the span of x to a little less or more than the integers' own,
// and the best of them is kept. Without a minimum, y = s q, s = Sxq / Sqq, and
// the cost is Sxx - Sxq^2 / Sqq, so that Sxq^2 / Sqq is to be made large.
#pragma once

#include "format/quantize_blocks.h"

namespace tl {

struct AffineFit {
  float scale = 0;    // >= 0
  float minimum = 0;  // >= 0: the value is scale * q - minimum
};

// floor(v + 0.5) within [0, largest].
TL_INLINE Floats RoundWithin(const Floats& value, float largest) {
  Floats v = value + 0.5f;
  const Floats none = {}, most = none + largest;
  v = v < none ? none : v;
  v = v > most ? most : v;
  return __builtin_convertvector(__builtin_convertvector(v, Ints), Floats);
}

struct AffineSums {
  float q = 0, qq = 0, xq = 0;
};

// The sums over q = the integers next to (x - low) * inverse.
template <int kCount>
TL_INLINE AffineSums SumsOfRounded(const float* x, float low, float inverse,
                                   float largest) {
  Floats q_sum = {}, qq_sum = {}, xq_sum = {};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats v = LoadFloats(x + i);
    const Floats q = RoundWithin((v - low) * inverse, largest);
    q_sum += q;
    qq_sum += q * q;
    xq_sum += v * q;
  }
  return {SumLanes(q_sum), SumLanes(qq_sum), SumLanes(xq_sum)};
}

struct AffineTry {
  AffineFit fit;
  double cost;  // without Sxx, which all tries share
};

template <int kCount>
TL_INLINE AffineTry Regress(const AffineSums& sums, float x_sum) {
  const double n = kCount, sx = x_sum, sq = sums.q, sqq = sums.qq,
               sxq = sums.xq;
  const double determinant = n * sqq - sq * sq;
  if (sqq == 0) return {{}, 0};
  double s = sxq / sqq, m = 0;
  if (determinant > 0) {
    const double slope = (n * sxq - sx * sq) / determinant;
    const double at_zero = (sx - slope * sq) / n;
    if (at_zero < 0) s = slope, m = at_zero;
  }
  const double cost =
      s * s * sqq + n * m * m + 2 * s * m * sq - 2 * s * sxq - 2 * m * sx;
  return {{static_cast<float>(s), static_cast<float>(-m)}, cost};
}

// For q of 0 .. kLargest. Each try is followed by one more rounding and
// regression from where it ended.
template <int kCount, int kLargest>
TL_INLINE AffineFit FitAffine(const float* x) {
  const Range range = RangeOf<kCount>(x);
  const float low = std::min(range.low, 0.0f);
  if (range.high <= low) return {0, -low};
  Floats x_lanes = {};
  for (int i = 0; i < kCount; i += kLanes) x_lanes += LoadFloats(x + i);
  const float x_sum = SumLanes(x_lanes);
  // From a span of the integers that is 0.9 narrower to one 1.1 wider.
  constexpr int kTries = 11;
  AffineTry best = {{}, 0};
  for (int i = 0; i < kTries; ++i) {
    const float span = kLargest + 0.2f * static_cast<float>(i) - 0.9f;
    const float inverse = span / (range.high - low);
    AffineTry tried = Regress<kCount>(
        SumsOfRounded<kCount>(x, low, inverse, kLargest), x_sum);
    if (tried.fit.scale > 0) {
      const AffineTry again = Regress<kCount>(
          SumsOfRounded<kCount>(x, -tried.fit.minimum,
                                InverseOf(tried.fit.scale), kLargest),
          x_sum);
      if (again.cost < tried.cost) tried = again;
    }
    if (tried.cost < best.cost) best = tried;
  }
  return best.fit;
}

// The s of y = s q, for q of kLow .. kLow + kSpan, kLow < 0. Its sign is such
// that the extreme of x goes to the longer side, which is the negative one.
template <int kCount, int kLow, int kSpan>
TL_INLINE float FitScale(const float* x) {
  const float extreme = ExtremeOf<kCount>(x);
  if (InverseOf(extreme) == 0) return 0;
  constexpr int kTries = 19;
  constexpr float kShift = kLow;
  float best = 0, best_gain = 0;
  for (int i = 0; i < kTries; ++i) {
    const float inverse =
        (kLow + 0.1f * static_cast<float>(i) - 0.9f) / extreme;
    Floats qq_sum = {}, xq_sum = {};
    for (int j = 0; j < kCount; j += kLanes) {
      const Floats v = LoadFloats(x + j);
      const Floats q = RoundWithin(v * inverse - kShift, kSpan) + kShift;
      qq_sum += q * q;
      xq_sum += v * q;
    }
    const float qq = SumLanes(qq_sum), xq = SumLanes(xq_sum);
    if (qq > 0 && xq * xq > best_gain * qq) {
      best_gain = xq * xq / qq;
      best = xq / qq;
    }
  }
  return best;
}

// The integers next to (x + minimum) / scale; all zero for scale 0.
template <int kCount>
TL_INLINE void RoundAffine(const float* x, AffineFit fit, int largest,
                           int32_t* q) {
  const float inverse = InverseOf(fit.scale);
  for (int i = 0; i < kCount; ++i) {
    const float moved = (x[i] + fit.minimum) * inverse + 0.5f;
    const float limited =
        std::min(std::max(moved, 0.0f), static_cast<float>(largest));
    q[i] = static_cast<int32_t>(limited);
  }
}

}  // namespace tl
