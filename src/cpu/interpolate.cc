// Reading images at other points: the rows around a point are mixed into one
// row first, then that row's elements, both in f32. Which elements, and how much
// of each, is worked out once per axis.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"
#include "ops/interpolate.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/interpolate.cc"
#include "hwy/foreach_target.h"
#include "cpu/float_rows-inl.h"
#include "cpu/phases-inl.h"
// clang-format on

#ifndef TL_CPU_INTERPOLATE_ONCE_
#define TL_CPU_INTERPOLATE_ONCE_
namespace tl::cpu {
namespace {

// For each result element of an axis the same number of elements of x and what
// each counts for: tap t of element i is at [t * pitch + i].
struct Taps {
  int64_t from = 1;
  int64_t to = 1;
  int64_t count = 1;
  int64_t pitch = 1;  // whole vectors may be read
  std::vector<int32_t> index = {0};
  std::vector<float> weight = {1};
};

struct ResampleProblem {
  static constexpr int kAxes = 3;
  std::array<Taps, kAxes> axes;
};

}  // namespace
}  // namespace tl::cpu
#endif  // TL_CPU_INTERPOLATE_ONCE_

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

class Resampler {
 public:
  Resampler(const ResampleProblem& problem, const KernelArgs& args)
      : deep_(problem.axes[0]),
        down_(problem.axes[1]),
        across_(problem.axes[2]),
        x_(args.inputs[0]),
        y_(args.outputs[0]) {}

  // Rows [begin, end) of the result, numbered through all planes.
  void Rows(int64_t begin, int64_t end) const {
    thread_local Scratch scratch;
    float* mixed = scratch.Get(RoundUpToVector(across_.from) +
                               RoundUpToVector(across_.to));
    float* result = mixed + RoundUpToVector(across_.from);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t y = i % down_.to, z = i / down_.to % deep_.to;
      MixRows(i / down_.to / deep_.to, z, y, mixed);
      MixColumns(mixed, result);
      if (y_.dtype == DType::F16) {
        StoreRow(result, across_.to, y_.as<uint16_t>() + i * across_.to);
      } else {
        StoreRow(result, across_.to, y_.as<float>() + i * across_.to);
      }
    }
  }

 private:
  void MixRows(int64_t plane, int64_t z, int64_t y, float* mixed) const {
    bool first = true;
    for (int64_t a = 0; a < deep_.count; ++a) {
      const int64_t slice =
          plane * deep_.from + deep_.index[a * deep_.pitch + z];
      for (int64_t b = 0; b < down_.count; ++b) {
        const int64_t row = slice * down_.from + down_.index[b * down_.pitch + y];
        const float weight = deep_.weight[a * deep_.pitch + z] *
                             down_.weight[b * down_.pitch + y];
        AddRow(row * across_.from, weight, first, mixed);
        first = false;
      }
    }
  }

  void AddRow(int64_t at, float weight, bool first, float* mixed) const {
    if (x_.dtype == DType::F16) {
      AddRowOf(x_.as<uint16_t>() + at, weight, first, mixed);
    } else {
      AddRowOf(x_.as<float>() + at, weight, first, mixed);
    }
  }

  template <class T>
  void AddRowOf(const T* from, float weight, bool first, float* mixed) const {
    const int64_t count = across_.from;
    if (first && weight == 1) return DecodeRowOf(from, 1, count, count, mixed);
    // What counts for nothing must not turn infinities into NaN.
    if (weight == 0) {
      if (first) std::fill_n(mixed, count, 0.0f);
      return;
    }
    constexpr int64_t kLanes = hn::MaxLanes(F32());
    const VF w = hn::Set(F32(), weight);
    const auto add = [&](VF x, int64_t i) HWY_ATTR {
      const VF sum = first ? hn::Zero(F32()) : LoadFloat(mixed + i);
      StoreFloat(hn::MulAdd(x, w, sum), mixed + i);
    };
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) add(LoadFloat(from + i), i);
    if (i < count) add(LoadFirst(from + i, size_t(count - i)), i);
  }

  void MixColumns(const float* mixed, float* result) const {
    const I32Lanes di;
    constexpr int64_t kLanes = hn::MaxLanes(F32());
    for (int64_t i = 0; i < across_.to; i += kLanes) {
      VF sum = hn::Zero(F32());
      for (int64_t t = 0; t < across_.count; ++t) {
        const int64_t at = t * across_.pitch + i;
        const VI index = hn::LoadU(di, across_.index.data() + at);
        const VF weight = LoadFloat(across_.weight.data() + at);
        const VF x = hn::GatherIndex(F32(), mixed, index);
        const VF term = hn::IfThenZeroElse(
            hn::Eq(weight, hn::Zero(F32())), hn::Mul(x, weight));
        sum = t == 0 ? term : hn::Add(sum, term);
      }
      StoreFloat(sum, result + i);
    }
  }

  const Taps& deep_;
  const Taps& down_;
  const Taps& across_;
  const View& x_;
  const View& y_;
};

}  // namespace

void InterpolateOfTarget(const ResampleProblem& problem,
                         const KernelArgs& args) {
  const Resampler resampler(problem, args);
  const auto& [deep, down, across] = problem.axes;
  const View& y = args.outputs[0];
  const int64_t rows = y.dims[0] * y.dims[1] * deep.to * down.to;
  constexpr int64_t kGrain = 16 << 10;  // elements that are read
  const int64_t row = deep.count * down.count * across.from +
                      across.count * across.to;
  ParallelFor(rows, std::max<int64_t>(kGrain / std::max<int64_t>(row, 1), 1),
              [&](int64_t begin, int64_t end) { resampler.Rows(begin, end); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(InterpolateOfTarget);

namespace {

// What the elements around a point count for.
struct Weights {
  int64_t first;  // the leftmost element
  std::array<double, 4> weight;
};

// Keys (1981), cubic convolution: `t` from the second of four elements on.
std::array<double, 4> CubicWeights(double t) {
  constexpr double a = -0.75;
  const auto near = [&](double x) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  };
  const auto far = [&](double x) {
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  };
  return {far(1 + t), near(t), near(1 - t), far(2 - t)};
}

Weights WeightsAt(double point, Resampling how) {
  const double below = std::floor(point);
  const auto first = static_cast<int64_t>(below);
  switch (how) {
    case Resampling::kNearest:
      return {first, {1}};
    case Resampling::kLinear:
      return {first, {1 - (point - below), point - below}};
    case Resampling::kCubic:
      return {first - 1, CubicWeights(point - below)};
  }
  return {};
}

int64_t TapCount(Resampling how) {
  switch (how) {
    case Resampling::kNearest:
      return 1;
    case Resampling::kLinear:
      return 2;
    case Resampling::kCubic:
      return 4;
  }
  return 0;
}

// numbers: scale, shift_out, shift_in. Points are float32, as PyTorch has them:
// which element is nearest may depend on it.
Taps TapsOf(int64_t from, int64_t to, std::span<const double> numbers,
            Resampling how) {
  Taps taps;
  taps.from = from;
  taps.to = to;
  taps.count = TapCount(how);
  taps.pitch = to + int64_t{16};  // the widest vector
  taps.index.assign(taps.count * taps.pitch, 0);
  taps.weight.assign(taps.count * taps.pitch, 0);
  const float scale = numbers[0], shift_out = numbers[1], shift_in = numbers[2];
  for (int64_t i = 0; i < to; ++i) {
    const float point = (float(i) + shift_out) * scale + shift_in;
    // Far points all read the edge: a bound keeps them integers.
    const double inside = std::clamp<double>(point, -1, double(from));
    const bool cubic = how == Resampling::kCubic;
    const Weights weights = WeightsAt(cubic ? point : inside, how);
    for (int64_t t = 0; t < taps.count; ++t) {
      const int64_t at = t * taps.pitch + i;
      taps.index[at] = static_cast<int32_t>(
          std::clamp<int64_t>(weights.first + t, 0, from - 1));
      taps.weight[at] = static_cast<float>(weights.weight[t]);
    }
  }
  return taps;
}

}  // namespace

void Interpolate(const KernelArgs& args) {
  const View &x = args.inputs[0], &y = args.outputs[0];
  const auto how = Resampling(args.ints[0]);
  ResampleProblem problem;
  const int axes = x.rank - 2;
  for (int axis = 0; axis < axes; ++axis) {
    problem.axes[ResampleProblem::kAxes - axes + axis] =
        TapsOf(x.dims[axis + 2], y.dims[axis + 2],
               args.numbers.subspan(3 * axis, 3), how);
  }
  HWY_DYNAMIC_DISPATCH(InterpolateOfTarget)(problem, args);
}

}  // namespace tl::cpu
#endif
