// Depthwise convolution: each channel's plane by itself, read where it lies. A
// vector of places in a few rows is computed at once, so that what is loaded of
// a row serves all windows that it lies under. Loads that reach out of a row
// take zeros for what is not there.
#if defined(TL_CPU_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_DEPTHWISE_INL_H_
#undef TL_CPU_DEPTHWISE_INL_H_
#else
#define TL_CPU_DEPTHWISE_INL_H_
#endif

#include <algorithm>
#include <type_traits>
#include <vector>

#include "base/parallel.h"
#include "cpu/clamp-inl.h"
#include "cpu/convolution_problem.h"
#include "cpu/float_rows-inl.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Loads from a row at one offset, whichever row: elements start, start + 1 .. of
// `width`, zeros outside of them.
template <class X>
class Span {
 public:
  Span(int64_t start, int64_t width)
      : start_(start),
        first_(std::clamp<int64_t>(-start, 0, kLanes)),
        last_(std::clamp<int64_t>(width - start, first_, kLanes)) {
#if HWY_TARGET <= HWY_AVX3
    mask_ = hn::AndNot(hn::FirstN(D(), static_cast<size_t>(first_)),
                       hn::FirstN(D(), static_cast<size_t>(last_)));
#endif
  }

  bool whole() const { return first_ == 0 && last_ == kLanes; }

  HWY_INLINE VF Load(const X* row) const {
#if HWY_TARGET <= HWY_AVX3
    // Lanes that are masked out are not read.
    const auto lanes = hn::MaskedLoad(mask_, D(), row + start_);
    if constexpr (std::is_same_v<X, float>) {
      return lanes;
    } else {
      return HalfBitsToFloat(lanes);
    }
#else
    if (whole()) return LoadWhole(row);
    alignas(64) X lanes[kLanes] = {};
    std::copy(row + start_ + first_, row + start_ + last_, lanes + first_);
    return LoadFloat(lanes);
#endif
  }
  HWY_INLINE VF LoadWhole(const X* row) const {
    return LoadFloat(row + start_);
  }

 private:
  static constexpr int64_t kLanes = hn::MaxLanes(F32());
  using D = std::conditional_t<std::is_same_v<X, float>, F32, U16Lanes>;

  int64_t start_, first_, last_;
#if HWY_TARGET <= HWY_AVX3
  hn::Mask<D> mask_;
#endif
};

// Elements start, start + stride .., zeros outside of the row.
template <class X>
VF LoadEvery(const X* row, int64_t start, int64_t stride, int64_t width) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  if (stride == 1) return Span<X>(start, width).Load(row);
  alignas(64) float lanes[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    const int64_t at = start + i * stride;
    lanes[i] = at < 0 || at >= width ? 0 : OneFloat(row[at]);
  }
  return LoadFloat(lanes);
}

// What three neighbouring taps meet of a row, for a vector of places from one
// on, S elements apart.
template <class X, int S>
class Columns {
 public:
  Columns(int64_t start, int64_t width)
      : spans_{{start, width},
               {start + (S == 1 ? 1 : kLanes), width},
               {start + 2, width},
               {start + 2 + (S == 1 ? 0 : kLanes), width}} {
    for (const Span<X>& span : spans_) whole_ = whole_ && span.whole();
  }

  bool whole() const { return whole_; }

  template <bool kWhole>
  HWY_INLINE void Load(const X* row, VF* taps) const {
    const auto load = [&](int i) HWY_ATTR {
      return kWhole ? spans_[i].LoadWhole(row) : spans_[i].Load(row);
    };
    if constexpr (S == 1) {
      for (int k = 0; k < 3; ++k) taps[k] = load(k);
    } else {
      const F32 d;
      const VF low = load(0), high = load(1);
      taps[0] = hn::ConcatEven(d, high, low);
      taps[1] = hn::ConcatOdd(d, high, low);
      taps[2] = hn::ConcatEven(d, load(3), load(2));
    }
  }

 private:
  static constexpr int64_t kLanes = hn::MaxLanes(F32());

  Span<X> spans_[4];
  bool whole_ = true;
};

// Rows of planes of the result. X and T: the types of x and of a result before
// the epilogue.
template <class X, class T>
class DepthwiseRows {
 public:
  explicit DepthwiseRows(const ConvolutionProblem& problem)
      : p_(problem),
        down_(problem.window.window[1]),
        across_(problem.window.window[2]),
        height_(problem.window.from[1]),
        width_(problem.window.from[2]),
        to_width_(problem.window.to[2]) {}

 protected:
  static constexpr int64_t kLanes = hn::MaxLanes(F32());

  const X* PlaneOf(int64_t plane) const {
    return p_.x.as<X>() + plane * height_ * width_;
  }
  const float* WeightsOf(int64_t plane) const {
    return p_.weights->values.data() +
           plane % p_.groups * p_.weights->kernel;
  }
  float BiasOf(int64_t plane) const { return p_.bias[plane % p_.groups]; }

  template <int R>
  HWY_INLINE void Store(const VF* sum, int64_t place, T* out) const {
    const int64_t count = to_width_ - place;
    HWY_UNROLL(4)
    for (int o = 0; o < R; ++o) {
      T* to = out + o * to_width_ + place;
      const VF value = Clamped(sum[o], p_.bounds);
      if (count >= kLanes) {
        StoreFloat(value, to);
      } else {
        StoreFirst(value, to, static_cast<size_t>(count));
      }
    }
  }

  const ConvolutionProblem& p_;
  const WindowAxis &down_, &across_;
  const int64_t height_, width_, to_width_;
};

// Any kernel.
template <class X, class T>
class DepthwiseAny : DepthwiseRows<X, T> {
  using Base = DepthwiseRows<X, T>;

 public:
  using Base::Base;

  // Rows y to y + count - 1 of a plane.
  void Run(int64_t plane, int64_t y, int64_t count, T* out) const {
    const float* weights = this->WeightsOf(plane);
    const int64_t kernel = this->across_.kernel;
    for (int64_t row = y; row < y + count; ++row, out += this->to_width_) {
      const Inside rows = InsideOf(this->down_, this->height_, row);
      for (int64_t place = 0; place < this->to_width_; place += Base::kLanes) {
        const int64_t start =
            place * this->across_.stride - this->across_.pad_before;
        VF sum = hn::Set(F32(), this->BiasOf(plane));
        for (int64_t v = rows.first; v < rows.last; ++v) {
          const X* from = this->PlaneOf(plane) +
                          (rows.start + v * this->down_.dilation) *
                              this->width_;
          for (int64_t k = 0; k < kernel; ++k) {
            const VF values =
                LoadEvery(from, start + k * this->across_.dilation,
                          this->across_.stride, this->width_);
            sum = hn::MulAdd(hn::Set(F32(), weights[v * kernel + k]), values,
                             sum);
          }
        }
        this->template Store<1>(&sum, place, out);
      }
    }
  }
};

// 3 x 3 without dilation, of stride S both ways.
template <class X, class T, int S>
class Depthwise3x3 : DepthwiseRows<X, T> {
  using Base = DepthwiseRows<X, T>;

 public:
  explicit Depthwise3x3(const ConvolutionProblem& problem) : Base(problem) {
    for (int64_t place = 0; place < this->to_width_; place += Base::kLanes) {
      columns_.emplace_back(place * S - this->across_.pad_before,
                            this->width_);
    }
  }

  HWY_NOINLINE void Run(int64_t plane, int64_t y, int64_t count,
                        T* out) const {
    VF weights[9];
    HWY_UNROLL(9)
    for (int i = 0; i < 9; ++i) {
      weights[i] = hn::Set(F32(), this->WeightsOf(plane)[i]);
    }
    const VF bias = hn::Set(F32(), this->BiasOf(plane));
    const X* x = this->PlaneOf(plane);
    const int64_t end = y + count;
    for (; end - y >= 4; y += 4, out += 4 * this->to_width_) {
      Rows<4>(x, y, weights, bias, out);
    }
    for (; end - y >= 2; y += 2, out += 2 * this->to_width_) {
      Rows<2>(x, y, weights, bias, out);
    }
    if (y < end) Rows<1>(x, y, weights, bias, out);
  }

 private:
  template <int R>
  HWY_INLINE void Rows(const X* x, int64_t y, const VF* weights, VF bias,
                       T* out) const {
    const int64_t top = y * S - this->down_.pad_before;
    int64_t place = 0;
    for (const Columns<X, S>& columns : columns_) {
      VF sum[R];
      HWY_UNROLL(4)
      for (int o = 0; o < R; ++o) sum[o] = bias;
      if (columns.whole()) {
        Add<R, true>(columns, x, top, weights, sum);
      } else {
        Add<R, false>(columns, x, top, weights, sum);
      }
      this->template Store<R>(sum, place, out);
      place += Base::kLanes;
    }
  }

  // To the sums of R rows what the rows of x from `top` on give.
  template <int R, bool kWhole>
  HWY_INLINE void Add(const Columns<X, S>& columns, const X* x, int64_t top,
                      const VF* weights, VF* sum) const {
    HWY_UNROLL(9)
    for (int r = 0; r < (R - 1) * S + 3; ++r) {
      if (top + r < 0 || top + r >= this->height_) continue;
      VF taps[3];
      columns.template Load<kWhole>(x + (top + r) * this->width_, taps);
      HWY_UNROLL(4)
      for (int o = 0; o < R; ++o) {
        const int v = r - o * S;
        if (v < 0 || v > 2) continue;
        HWY_UNROLL(3)
        for (int k = 0; k < 3; ++k) {
          sum[o] = hn::MulAdd(weights[3 * v + k], taps[k], sum[o]);
        }
      }
    }
  }

  std::vector<Columns<X, S>> columns_;
};

// All planes, by `rows`, one of the classes above.
template <class T, class Rows>
void RunDepthwise(const ConvolutionProblem& problem, const Rows& rows) {
  constexpr int64_t kGrain = 64 << 10;  // multiplications
  constexpr int64_t kRowsOfTask = 64;
  const int64_t height = problem.window.to[1], width = problem.window.to[2];
  const int64_t parts = (height + kRowsOfTask - 1) / kRowsOfTask;
  const int64_t each =
      std::min(height, kRowsOfTask) * width * problem.weights->taps();
  ParallelFor(problem.images * problem.groups * parts,
              std::max<int64_t>(kGrain / each, 1),
              [&](int64_t begin, int64_t end) {
    thread_local std::vector<T> handed_over;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / parts, y = i % parts * kRowsOfTask;
      const int64_t count = std::min(kRowsOfTask, height - y);
      const int64_t at = (plane * height + y) * width;
      if (problem.epilogue == nullptr) {
        rows.Run(plane, y, count, problem.y.as<T>() + at);
        continue;
      }
      handed_over.resize(static_cast<size_t>(count * width));
      rows.Run(plane, y, count, handed_over.data());
      problem.epilogue->RunFrom(
          reinterpret_cast<const std::byte*>(handed_over.data()), at,
          at + count * width);
    }
  });
}

template <class X, class T>
void ConvolveDepthwise(const ConvolutionProblem& problem) {
  const WindowAxis &down = problem.window.window[1],
                   &across = problem.window.window[2];
  const bool small = down.kernel == 3 && across.kernel == 3 &&
                     down.dilation == 1 && across.dilation == 1 &&
                     down.stride == across.stride;
  if (small && down.stride == 1) {
    RunDepthwise<T>(problem, Depthwise3x3<X, T, 1>(problem));
  } else if (small && down.stride == 2) {
    RunDepthwise<T>(problem, Depthwise3x3<X, T, 2>(problem));
  } else {
    RunDepthwise<T>(problem, DepthwiseAny<X, T>(problem));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_DEPTHWISE_INL_H_
