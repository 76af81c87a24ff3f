// Rope: pairs (a, b) of a head turned by the position's angles,
//   a' = a cos - b sin,  b' = b cos + a sin,
// in f32 with every product and sum rounded, so all targets give the same bits.
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/rope.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// x * cos + partner * sin, where `sin` has the sign of the element's side.
HWY_INLINE VF Turn(VF x, VF partner, const float* cos, const float* sin) {
  return hn::Add(hn::Mul(x, LoadFloat(cos)), hn::Mul(partner, LoadFloat(sin)));
}

// The partner of an element is its neighbour. Tables hold an entry an element.
template <class T>
void TurnPairs(const T* from, T* to, const float* cos, const float* sin,
               size_t dim) {
  const F32 d;
  const size_t lanes = FloatLanes();
  size_t i = 0;
  for (; i + lanes <= dim; i += lanes) {
    const VF x = LoadFloat(from + i);
    StoreFloat(Turn(x, hn::Reverse2(d, x), cos + i, sin + i), to + i);
  }
  if (i == dim) return;
  const VF x = LoadFirst(from + i, dim - i);
  StoreFirst(Turn(x, hn::Reverse2(d, x), cos + i, sin + i), to + i, dim - i);
}

// The partner of an element is as far along the other half.
template <class T>
void TurnHalves(const T* from, T* to, const float* cos, const float* sin,
                size_t dim) {
  const size_t lanes = FloatLanes();
  const size_t half = dim / 2;
  size_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const VF a = LoadFloat(from + i), b = LoadFloat(from + half + i);
    StoreFloat(Turn(a, b, cos + i, sin + i), to + i);
    StoreFloat(Turn(b, a, cos + half + i, sin + half + i), to + half + i);
  }
  if (i == half) return;
  const size_t rest = half - i;
  const VF a = LoadFirst(from + i, rest), b = LoadFirst(from + half + i, rest);
  StoreFirst(Turn(a, b, cos + i, sin + i), to + i, rest);
  StoreFirst(Turn(b, a, cos + half + i, sin + half + i), to + half + i, rest);
}

// cos and sin of one position, an entry for every element of a head, and a
// vector more so that the last one may be loaded whole.
struct Angles {
  explicit Angles(int64_t dim)
      : cos(dim + kMaxFloatLanes), sin(dim + kMaxFloatLanes) {}

  std::vector<float> cos;
  std::vector<float> sin;
};

// `step` is from an element to its partner, `next` from pair to pair.
void Spread(const float* cos, const float* sin, int64_t half, int64_t step,
            int64_t next, Angles& angles) {
  for (int64_t pair = 0; pair < half; ++pair) {
    const int64_t a = pair * next, b = a + step;
    angles.cos[a] = angles.cos[b] = cos[pair];
    angles.sin[a] = -sin[pair];
    angles.sin[b] = sin[pair];
  }
}

template <class T>
void RopeOf(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const int64_t dim = x.dims[x.rank - 1];
  const int64_t heads = x.dims[x.rank - 2];
  const int64_t seq = x.dims[x.rank - 3];
  const int64_t half = dim / 2;
  const bool halves = args.ints[0] == 1;
  if (x.size() == 0) return;
  // A task turns some microseconds' worth of elements.
  const int64_t grain = std::max<int64_t>(1, 16 * 1024 / (heads * dim));
  const int64_t positions = x.size() / (heads * dim);
  ParallelFor(positions, grain, [&](int64_t begin, int64_t end) {
    Angles angles(dim);
    for (int64_t position = begin; position < end; ++position) {
      const int64_t row = position % seq * half;
      Spread(args.inputs[1].as<float>() + row, args.inputs[2].as<float>() + row,
             half, halves ? half : 1, halves ? 1 : 2, angles);
      for (int64_t head = 0; head < heads; ++head) {
        const int64_t at = (position * heads + head) * dim;
        const auto turn = halves ? &TurnHalves<T> : &TurnPairs<T>;
        turn(x.as<T>() + at, args.outputs[0].as<T>() + at, angles.cos.data(),
             angles.sin.data(), dim);
      }
    }
  });
}

void RopeOfTarget(const KernelArgs& args) {
  if (args.inputs[0].dtype == DType::F16) {
    RopeOf<uint16_t>(args);
  } else {
    RopeOf<float>(args);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(RopeOfTarget);

void Rope(const KernelArgs& args) {
  const View& x = args.inputs[0];
  TL_CHECK(x.rank >= 3 && x.dims[x.rank - 1] % 2 == 0 &&
           x.dtype == args.outputs[0].dtype &&
           (x.dtype == DType::F16 || x.dtype == DType::F32));
  for (const View& table : args.inputs.subspan(1)) {
    TL_CHECK(table.dtype == DType::F32 &&
             table.size() == x.dims[x.rank - 3] * x.dims[x.rank - 1] / 2);
  }
  HWY_DYNAMIC_DISPATCH(RopeOfTarget)(args);
}

}  // namespace tl::cpu
#endif
