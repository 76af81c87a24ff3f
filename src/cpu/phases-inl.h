// A padded row taken apart by stride, so that a window's element k meets all its
// places in one contiguous run: elements p, p + stride, p + 2 * stride.. are
// phase p, and element k of the windows is phase k * dilation % stride from
// k * dilation / stride on.
#if defined(TL_CPU_PHASES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_PHASES_INL_H_
#undef TL_CPU_PHASES_INL_H_
#else
#define TL_CPU_PHASES_INL_H_
#endif

#include <algorithm>

#include "cpu/simd-inl.h"
#include "ops/window.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

inline int64_t RoundUpToVector(int64_t n) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  return (n + kLanes - 1) / kLanes * kLanes;
}

class Phases {
 public:
  Phases(const WindowAxis& window, int64_t places)
      : window_(window),
        used_(std::min(window.stride, window.span())),
        length_(places + (window.span() - 1) / window.stride),
        pitch_(RoundUpToVector(length_) + int64_t{hn::MaxLanes(F32())}) {}

  int64_t length() const { return length_; }  // of a phase
  int64_t pitch() const { return pitch_; }    // from a phase to the next
  int64_t floats() const { return used_ * pitch_; }

  // Where element k of the window at place 0 is. Whole vectors may be read at
  // any place.
  const float* At(const float* phases, int64_t k) const {
    return phases + OffsetOf(k);
  }
  int64_t OffsetOf(int64_t k) const {
    const int64_t at = k * window_.dilation;
    return at % window_.stride * pitch_ + at / window_.stride;
  }

  // `row` has `size` elements; where there are none, `nothing` is written.
  void Split(const float* row, int64_t size, float nothing,
             float* phases) const {
    for (int64_t p = 0; p < used_; ++p) {
      SplitPhase(row, size, p, nothing, phases + p * pitch_);
    }
  }

 private:
  void SplitPhase(const float* row, int64_t size, int64_t p, float nothing,
                  float* to) const {
    const int64_t stride = window_.stride, before = window_.pad_before;
    // Element i is row[i * stride + p - before].
    const auto ceil_div = [&](int64_t n) {
      return n <= 0 ? 0 : (n + stride - 1) / stride;
    };
    const int64_t first = std::min(ceil_div(before - p), length_);
    const int64_t last =
        std::clamp(ceil_div(size + before - p), first, length_);
    std::fill(to, to + first, nothing);
    std::fill(to + last, to + pitch_, nothing);
    const float* from = row + first * stride + p - before;
    CopyEvery(from, last - first, to + first);
  }

  void CopyEvery(const float* from, int64_t count, float* to) const {
    const int64_t stride = window_.stride;
    if (stride == 1) {
      std::copy_n(from, count, to);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
    }
  }

  WindowAxis window_;
  int64_t used_;    // phases that the window touches
  int64_t length_;
  int64_t pitch_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_PHASES_INL_H_
