#include "cpu/reduce_loops.h"

#include <algorithm>
#include <cmath>

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/reduce_loops.cc"
#include "hwy/foreach_target.h"
#include "cpu/lanes-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kLanes = hn::MaxLanes(F32());

// Sums of this many vectors are added up before they grow large beside what is
// added to them.
constexpr int64_t kVectorsPerSum = 64;

HWY_INLINE hn::Mask<F32> First(int64_t count) {
  return hn::FirstN(F32(), static_cast<size_t>(count));
}

double SumOfLanes(VF v) {
  alignas(64) float lanes[kLanes];
  hn::Store(v, F32(), lanes);
  double sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

struct Plain {
  HWY_INLINE VF operator()(VF x, VF) const { return x; }
};
struct SquareAround {
  HWY_INLINE VF operator()(VF x, VF center) const {
    const VF apart = hn::Sub(x, center);
    return hn::Mul(apart, apart);
  }
};

template <class Map, class T>
double SumRow(const T* x, int64_t count, float center_value) {
  const F32 d;
  const Map map;
  const VF center = hn::Set(d, center_value);
  VF total = hn::Zero(d);
  int64_t i = 0;
  while (i + 4 * kLanes <= count) {
    const int64_t stop =
        std::min(count - 4 * kLanes, i + (kVectorsPerSum - 4) * kLanes);
    VF a = hn::Zero(d), b = a, c = a, e = a;
    for (; i <= stop; i += 4 * kLanes) {
      a = hn::Add(a, map(LoadFloat(x + i), center));
      b = hn::Add(b, map(LoadFloat(x + i + kLanes), center));
      c = hn::Add(c, map(LoadFloat(x + i + 2 * kLanes), center));
      e = hn::Add(e, map(LoadFloat(x + i + 3 * kLanes), center));
    }
    total = hn::Add(total, hn::Add(hn::Add(a, b), hn::Add(c, e)));
  }
  for (; i + kLanes <= count; i += kLanes) {
    total = hn::Add(total, map(LoadFloat(x + i), center));
  }
  if (i < count) {
    const VF rest = map(LoadFirst(x + i, count - i), center);
    total = hn::Add(total, hn::IfThenElseZero(First(count - i), rest));
  }
  return SumOfLanes(total);
}

template <class T>
Moments MomentsOfRow(const T* x, int64_t count, float shift_value) {
  const F32 d;
  const VF shift = hn::Set(d, shift_value);
  VF sum = hn::Zero(d), squares = hn::Zero(d);
  int64_t i = 0;
  while (i + 2 * kLanes <= count) {
    const int64_t stop =
        std::min(count - 2 * kLanes, i + (kVectorsPerSum - 2) * kLanes);
    VF s1 = hn::Zero(d), s2 = s1, q1 = s1, q2 = s1;
    for (; i <= stop; i += 2 * kLanes) {
      const VF a = hn::Sub(LoadFloat(x + i), shift);
      const VF b = hn::Sub(LoadFloat(x + i + kLanes), shift);
      s1 = hn::Add(s1, a);
      s2 = hn::Add(s2, b);
      q1 = hn::MulAdd(a, a, q1);
      q2 = hn::MulAdd(b, b, q2);
    }
    sum = hn::Add(sum, hn::Add(s1, s2));
    squares = hn::Add(squares, hn::Add(q1, q2));
  }
  for (; i < count; i += kLanes) {
    const int64_t here = std::min(kLanes, count - i);
    const VF apart =
        hn::IfThenElseZero(First(here), hn::Sub(LoadFirst(x + i, here), shift));
    sum = hn::Add(sum, apart);
    squares = hn::MulAdd(apart, apart, squares);
  }
  return {SumOfLanes(sum), SumOfLanes(squares)};
}

// Both keep NaN.
struct Larger {
  HWY_INLINE VF operator()(VF x, VF y) const {
    return FloatLanesMath().Max(x, y);
  }
  float operator()(float x, float y) const {
    return std::isnan(x) || x > y ? x : y;
  }
};
struct Smaller {
  HWY_INLINE VF operator()(VF x, VF y) const {
    return FloatLanesMath().Min(x, y);
  }
  float operator()(float x, float y) const {
    return std::isnan(x) || x < y ? x : y;
  }
};

template <class Pick, class T>
float ExtremeOfRow(const T* x, int64_t count) {
  const Pick pick;
  VF a = LoadFirst(x, std::min(count, kLanes));
  if (count < kLanes) {  // pad with the first element
    alignas(64) T lanes[kLanes];
    std::fill_n(lanes, kLanes, x[0]);
    std::copy_n(x, count, lanes);
    a = LoadFloat(lanes);
  }
  VF b = a;
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    a = pick(LoadFloat(x + i), a);
    b = pick(LoadFloat(x + i + kLanes), b);
  }
  a = pick(a, b);
  if (count >= kLanes) {  // again some of those before: no matter
    if (i + kLanes <= count) a = pick(LoadFloat(x + i), a);
    a = pick(LoadFloat(x + count - kLanes), a);
  }
  alignas(64) float lanes[kLanes];
  hn::Store(a, F32(), lanes);
  float extreme = lanes[0];
  for (float lane : lanes) extreme = pick(lane, extreme);
  return extreme;
}

template <class T>
int64_t FindInRow(const T* x, int64_t count, float value) {
  const F32 d;
  const VF wanted = hn::Set(d, value);
  const bool nan = std::isnan(value);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t here = std::min(kLanes, count - i);
    const VF v = here == kLanes ? LoadFloat(x + i) : LoadFirst(x + i, here);
    const auto hit =
        hn::And(nan ? hn::IsNaN(v) : hn::Eq(v, wanted), First(here));
    const intptr_t first = hn::FindFirstTrue(d, hit);
    if (first >= 0) return i + first;
  }
  return -1;
}

// Calls f(vector, column, lanes in use) for every vector of one row.
template <class T, class F>
HWY_INLINE void ForRow(const T* row, int64_t columns, F f) {
  int64_t i = 0;
  for (; i + kLanes <= columns; i += kLanes) f(LoadFloat(row + i), i, kLanes);
  if (i < columns) f(LoadFirst(row + i, columns - i), i, columns - i);
}

HWY_INLINE VF LoadPart(const float* from, int64_t lanes) {
  return lanes == kLanes ? LoadFloat(from) : LoadFirst(from, lanes);
}
HWY_INLINE void StorePart(VF v, float* to, int64_t lanes) {
  if (lanes == kLanes) {
    StoreFloat(v, to);
  } else {
    StoreFirst(v, to, lanes);
  }
}

template <class Map, class T>
void AddColumnsOf(const Columns& x, const float* centers, float* sums) {
  const Map map;
  const T* data = reinterpret_cast<const T*>(x.data);
  for (int64_t row = 0; row < x.rows; ++row) {
    ForRow(data + row * x.stride, x.count,
           [&](VF v, int64_t i, int64_t lanes) HWY_ATTR {
             const VF center = centers == nullptr
                                   ? hn::Zero(F32())
                                   : LoadPart(centers + i, lanes);
             const VF sum = LoadPart(sums + i, lanes);
             StorePart(hn::Add(sum, map(v, center)), sums + i, lanes);
           });
  }
}

template <class Pick, class T>
void PickColumnsOf(const Columns& x, float* extremes) {
  const Pick pick;
  const T* data = reinterpret_cast<const T*>(x.data);
  for (int64_t row = 0; row < x.rows; ++row) {
    ForRow(data + row * x.stride, x.count,
           [&](VF v, int64_t i, int64_t lanes) HWY_ATTR {
             const VF before = LoadPart(extremes + i, lanes);
             StorePart(pick(v, before), extremes + i, lanes);
           });
  }
}

double Sum(const Stretch& s) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return SumRow<Plain>(x, s.count, 0);
  });
}
double Squares(const Stretch& s, float center) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return SumRow<SquareAround>(x, s.count, center);
  });
}
Moments MomentsOf(const Stretch& s, float shift) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return MomentsOfRow(x, s.count, shift);
  });
}
float Largest(const Stretch& s) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return ExtremeOfRow<Larger>(x, s.count);
  });
}
float Smallest(const Stretch& s) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return ExtremeOfRow<Smaller>(x, s.count);
  });
}
int64_t Find(const Stretch& s, float value) {
  return WithElements(s.dtype, s.data, [&](const auto* x) HWY_ATTR {
    return FindInRow(x, s.count, value);
  });
}

template <class T>
using Element = std::remove_const_t<std::remove_pointer_t<T>>;

void AddColumns(const Columns& c, float* sums) {
  WithElements(c.dtype, c.data, [&](const auto* x) HWY_ATTR {
    AddColumnsOf<Plain, Element<decltype(x)>>(c, nullptr, sums);
  });
}
void AddColumnSquares(const Columns& c, const float* centers, float* sums) {
  WithElements(c.dtype, c.data, [&](const auto* x) HWY_ATTR {
    AddColumnsOf<SquareAround, Element<decltype(x)>>(c, centers, sums);
  });
}
void RaiseColumns(const Columns& c, float* extremes) {
  WithElements(c.dtype, c.data, [&](const auto* x) HWY_ATTR {
    PickColumnsOf<Larger, Element<decltype(x)>>(c, extremes);
  });
}
void LowerColumns(const Columns& c, float* extremes) {
  WithElements(c.dtype, c.data, [&](const auto* x) HWY_ATTR {
    PickColumnsOf<Smaller, Element<decltype(x)>>(c, extremes);
  });
}

}  // namespace

const ReduceLoops* ReduceLoopsOfTarget() {
  static constexpr ReduceLoops kLoops = {
      Sum,  Squares,    MomentsOf,        Largest,      Smallest,
      Find, AddColumns, AddColumnSquares, RaiseColumns, LowerColumns};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(ReduceLoopsOfTarget);

const ReduceLoops& GetReduceLoops() {
  return *HWY_DYNAMIC_DISPATCH(ReduceLoopsOfTarget)();
}

}  // namespace tl::cpu
#endif  // HWY_ONCE
