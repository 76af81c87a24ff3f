// Reading what x holds under a band of a convolution's result: decoded, padded
// and taken apart by stride, as convolution_problem.h lays it out.
#if defined(TL_CPU_BAND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_BAND_INL_H_
#undef TL_CPU_BAND_INL_H_
#else
#define TL_CPU_BAND_INL_H_
#endif

#include <algorithm>

#include "cpu/convolution_problem.h"
#include "cpu/float_rows-inl.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// `count` elements `stride` apart. Of what follows them, `readable` elements
// from `from` on may be read, and `to` written up to a whole vector.
template <class T>
HWY_INLINE void CopyEvery(const T* from, int64_t stride, int64_t count,
                          int64_t readable, float* to) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  int64_t i = 0;
  if (stride == 1) {
    for (; i < count && i + kLanes <= readable; i += kLanes) {
      StoreFloat(LoadFloat(from + i), to + i);
    }
  } else if (stride == 2) {
    for (; i < count && 2 * (i + kLanes) <= readable; i += kLanes) {
      const VF low = LoadFloat(from + 2 * i);
      const VF high = LoadFloat(from + 2 * i + kLanes);
      StoreFloat(hn::ConcatEven(F32(), high, low), to + i);
    }
  }
  for (; i < count; ++i) to[i] = OneFloat(from[i * stride]);
}

// Zeros, up to a whole vector further than asked.
inline void ClearAhead(float* to, int64_t count) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  // Padding mostly is one vector; a loop alone would become a call of memset.
  StoreFloat(hn::Zero(F32()), to);
  for (int64_t i = kLanes; i < count; i += kLanes) {
    StoreFloat(hn::Zero(F32()), to + i);
  }
}

template <class T>
class BandReader {
 public:
  explicit BandReader(const ConvolutionProblem& problem)
      : p_(problem), x_(problem.x.as<T>()), size_(problem.x.size()) {}

  // Input channels [begin, end) of a band of which `to` is the first one's.
  // Floats are written in order: what a vector runs over is written again, or
  // is a channel's slack.
  void Read(const BandPlace& at, int64_t begin, int64_t end, float* to) const {
    const auto& [deep, down, across] = p_.window.window;
    const auto& [depth, height, width] = p_.window.from;
    const Band& band = p_.band;
    const int64_t row_count = at.rows + band.phase_rows - band.rows;
    const int64_t count = at.places + band.pitch - band.places;
    const int64_t top = at.y * down.stride - down.pad_before;
    const int64_t left = at.place * across.stride - across.pad_before;
    const auto read_phase = [&](int64_t plane, int64_t phase, float* rows) {
      const Columns columns =
          ColumnsOf(left + phase % band.across, across.stride, width, count);
      const int64_t first_row = top + phase / band.across;
      for (int64_t j = 0; j < row_count; ++j) {
        const int64_t row = first_row + j * down.stride;
        const bool exists = plane >= 0 && row >= 0 && row < height;
        ReadRow(exists ? (plane * height + row) * width : -1, columns,
                across.stride, count, rows + j * band.pitch);
      }
    };
    for (int64_t in = begin; in < end; ++in) {
      float* phases = to + in * band.channel;
      for (int64_t u = 0; u < deep.kernel; ++u) {
        const int64_t d =
            at.z * deep.stride - deep.pad_before + u * deep.dilation;
        const bool exists = d >= 0 && d < depth;
        for (int64_t phase = 0; phase < band.down * band.across; ++phase) {
          read_phase(exists ? (at.plane + in) * depth + d : -1, phase, phases);
          phases += band.phase;
        }
      }
    }
  }

 private:
  // Elements [first, last) of a row of a phase are x's, from column `from` on.
  struct Columns {
    int64_t first, last, from;
  };

  static Columns ColumnsOf(int64_t start, int64_t stride, int64_t width,
                           int64_t count) {
    // Of elements start, start + stride .. those before `at`.
    const auto before = [&](int64_t at) {
      const int64_t distance = at - start;
      return distance <= 0 ? 0 : (distance + stride - 1) / stride;
    };
    const int64_t first = std::min(before(0), count);
    return {first, std::clamp(before(width), first, count),
            start + first * stride};
  }

  // `at`: where the row begins in x, or -1 outside of it.
  HWY_INLINE void ReadRow(int64_t at, const Columns& columns, int64_t stride,
                          int64_t count, float* to) const {
    if (at < 0) return ClearAhead(to, count);
    const auto [first, last, column] = columns;
    if (first > 0) ClearAhead(to, first);
    if (first < last) {
      const int64_t from = at + column;
      CopyEvery(x_ + from, stride, last - first, size_ - from, to + first);
    }
    if (last < count) ClearAhead(to + last, count - last);
  }

  const ConvolutionProblem& p_;
  const T* x_;
  int64_t size_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_BAND_INL_H_
