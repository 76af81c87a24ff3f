// Max and average pooling. The rows that a row of windows covers are first
// combined into one row, then that row's elements: each step is a loop over
// whole vectors. All in f32, rounded once.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"
#include "exec/window_problem.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool.cc"
#include "hwy/foreach_target.h"
#include "cpu/float_rows-inl.h"
#include "cpu/lanes-inl.h"
#include "cpu/phases-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

struct Largest {
  static constexpr float kNothing = -std::numeric_limits<float>::infinity();
  HWY_INLINE VF operator()(VF x, VF y) const {
    return FloatLanesMath().Max(x, y);
  }
};

struct Total {
  static constexpr float kNothing = 0;
  HWY_INLINE VF operator()(VF x, VF y) const { return hn::Add(x, y); }
};

// row[i] = combine(row[i], from[i]); both may be read up to a whole vector.
template <class Combine>
void CombineRow(const float* from, int64_t count, float* row) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  for (int64_t i = 0; i < count; i += kLanes) {
    StoreFloat(Combine()(LoadFloat(row + i), LoadFloat(from + i)), row + i);
  }
}

template <class Combine>
class Pooling {
 public:
  Pooling(const WindowProblem& problem, const KernelArgs& args)
      : problem_(problem),
        x_(args.inputs[0]),
        y_(args.outputs[0]),
        averages_(std::is_same_v<Combine, Total>),
        counts_padding_(args.ints[0] == 1),
        phases_(problem.window[2], problem.to[2]) {
    if (averages_) CountColumns();
  }

  // Rows [begin, end) of the result, numbered through all planes.
  void Rows(int64_t begin, int64_t end) const {
    thread_local Scratch scratch;
    const int64_t width = RoundUpToVector(problem_.from[2]);
    const int64_t results = RoundUpToVector(problem_.to[2]);
    float* loaded = scratch.Get(2 * width + phases_.floats() + results);
    float* combined = loaded + width;
    float* phases = combined + width;
    float* result = phases + phases_.floats();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t y = i % problem_.to[1], z = i / problem_.to[1] % problem_.to[0];
      const int64_t plane = i / problem_.to[1] / problem_.to[0];
      CombineRows(plane, z, y, loaded, combined);
      phases_.Split(combined, problem_.from[2], Combine::kNothing, phases);
      CombineColumns(phases, result);
      if (averages_) Divide(CountOf(0, z) * CountOf(1, y), result);
      Store(result, i * problem_.to[2]);
    }
  }

 private:
  // The rows of x under the row (z, y) of windows.
  void CombineRows(int64_t plane, int64_t z, int64_t y, float* loaded,
                   float* combined) const {
    const WindowAxis &deep = problem_.window[0], &down = problem_.window[1];
    const Inside in_z = InsideOf(deep, problem_.from[0], z);
    const Inside in_y = InsideOf(down, problem_.from[1], y);
    const int64_t width = problem_.from[2];
    bool first = true;
    for (int64_t a = in_z.first; a < in_z.last; ++a) {
      const int64_t slice = plane * problem_.from[0] + in_z.start + a * deep.dilation;
      for (int64_t b = in_y.first; b < in_y.last; ++b) {
        const int64_t row =
            slice * problem_.from[1] + in_y.start + b * down.dilation;
        Load(row * width, first ? combined : loaded);
        if (!first) CombineRow<Combine>(loaded, width, combined);
        first = false;
      }
    }
    if (first) std::fill_n(combined, width, Combine::kNothing);
  }

  void CombineColumns(const float* phases, float* result) const {
    const int64_t count = problem_.to[2];
    std::copy_n(phases_.At(phases, 0), count, result);
    for (int64_t k = 1; k < problem_.window[2].kernel; ++k) {
      CombineRow<Combine>(phases_.At(phases, k), count, result);
    }
  }

  void Load(int64_t at, float* to) const {
    const int64_t count = problem_.from[2];
    WithElements(x_.dtype, x_.data, [&](const auto* from) HWY_ATTR {
      if constexpr (!std::is_same_v<decltype(from), const int32_t*>) {
        DecodeRowOf(from + at, 1, count, count, to);
      }
    });
  }

  void Store(const float* result, int64_t at) const {
    if (y_.dtype == DType::F16) {
      StoreRow(result, problem_.to[2], y_.as<uint16_t>() + at);
    } else {
      StoreRow(result, problem_.to[2], y_.as<float>() + at);
    }
  }

  // Elements that a mean along one axis divides by.
  float CountOf(int axis, int64_t place) const {
    const WindowAxis& window = problem_.window[axis];
    const int64_t size = problem_.from[axis];
    const Inside inside = InsideOf(window, size, place);
    if (!counts_padding_) return float(inside.last - inside.first);
    // As if the padding were part of the axis.
    WindowAxis whole = window;
    whole.pad_before = 0;
    const Inside counted = InsideOf(
        whole, size + window.pad_before + window.pad_after, place);
    return float(counted.last - counted.first);
  }

  void CountColumns() {
    for (int64_t place = 0; place < problem_.to[2]; ++place) {
      counts_.push_back(CountOf(2, place));
    }
    counts_.resize(RoundUpToVector(problem_.to[2]), 1);
  }

  // A window without any element has the mean 0.
  void Divide(float rows, float* result) const {
    const F32 d;
    constexpr int64_t kLanes = hn::MaxLanes(F32());
    const VF one = hn::Set(d, 1);
    for (int64_t i = 0; i < problem_.to[2]; i += kLanes) {
      const VF count = hn::Mul(LoadFloat(counts_.data() + i), hn::Set(d, rows));
      StoreFloat(hn::Div(LoadFloat(result + i), hn::Max(count, one)),
                 result + i);
    }
  }

  const WindowProblem& problem_;
  const View& x_;
  const View& y_;
  const bool averages_;
  const bool counts_padding_;
  Phases phases_;
  std::vector<float> counts_;  // along the last axis
};

template <class Combine>
void Pool(const WindowProblem& problem, const KernelArgs& args) {
  const Pooling<Combine> pooling(problem, args);
  const View& y = args.outputs[0];
  const int64_t rows = y.dims[0] * y.dims[1] * problem.to[0] * problem.to[1];
  constexpr int64_t kGrain = 16 << 10;  // elements that are read
  const int64_t row = problem.window[0].kernel * problem.window[1].kernel *
                          problem.from[2] +
                      problem.window[2].kernel * problem.to[2];
  ParallelFor(rows, std::max<int64_t>(kGrain / std::max<int64_t>(row, 1), 1),
              [&](int64_t begin, int64_t end) { pooling.Rows(begin, end); });
}

}  // namespace

void MaxPoolOfTarget(const WindowProblem& problem, const KernelArgs& args) {
  Pool<Largest>(problem, args);
}
void AveragePoolOfTarget(const WindowProblem& problem, const KernelArgs& args) {
  Pool<Total>(problem, args);
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(MaxPoolOfTarget);
HWY_EXPORT(AveragePoolOfTarget);

void MaxPool(const KernelArgs& args) {
  const WindowProblem problem =
      WindowProblemOf(args.inputs[0], args.outputs[0], args.ints);
  HWY_DYNAMIC_DISPATCH(MaxPoolOfTarget)(problem, args);
}

void AveragePool(const KernelArgs& args) {
  const WindowProblem problem =
      WindowProblemOf(args.inputs[0], args.outputs[0], args.ints);
  HWY_DYNAMIC_DISPATCH(AveragePoolOfTarget)(problem, args);
}

}  // namespace tl::cpu
#endif
