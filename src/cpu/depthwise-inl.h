// Depthwise convolution: each channel by itself, so a vector holds a place of
// as many channels. Planes are transposed on the way in and on the way out; in
// between every tap of every place is one multiply-add, whatever the width of
// the image.
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
#include "cpu/matmul_pack-inl.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/scratch.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// X and T: the types of x and of a result before the epilogue.
template <class X, class T>
class DepthwiseConvolution {
 public:
  explicit DepthwiseConvolution(const ConvolutionProblem& problem)
      : p_(problem),
        down_(problem.window.window[1]),
        across_(problem.window.window[2]),
        width_(problem.window.from[2]),
        to_width_(problem.window.to[2]) {
    // Places whose windows lie inside the rows.
    const auto inside = [&](int64_t place) {
      const Inside columns = InsideOf(across_, width_, place);
      return columns.last - columns.first == across_.kernel;
    };
    while (first_ < to_width_ && !inside(first_)) ++first_;
    last_ = first_;
    while (last_ < to_width_ && inside(last_)) ++last_;
    for (int64_t place = 0; place < to_width_; ++place) {
      if (place == first_) place = last_;
      if (place < to_width_) {
        edges_.push_back(InsideOf(across_, width_, place));
      }
    }
  }

  void Run() {
    const int64_t height = p_.window.to[1];
    const int64_t rows = RowsOfTask(), places = PlacesOfTask();
    const int64_t bands = CeilDiv(height, rows);
    const int64_t chunks = CeilDiv(to_width_, places);
    const int64_t blocks = CeilDiv(p_.groups, kLanes);
    constexpr int64_t kGrain = 64 << 10;  // multiplications
    const int64_t each = rows * places * kLanes * p_.weights->taps();
    ParallelFor(p_.images * blocks * bands * chunks,
                std::max<int64_t>(kGrain / each, 1),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t place = i % chunks * places;
                    const int64_t row = i / chunks % bands * rows;
                    const int64_t block = i / chunks / bands;
                    Task(block / blocks, block % blocks * kLanes,
                         {row, std::min(row + rows, height), place,
                          std::min(place + places, to_width_)});
                  }
                });
  }

 private:
  static constexpr int64_t kLanes = hn::MaxLanes(F32());
  // Transposed back at once, from the first-level cache; a multiple of 4.
  static constexpr int64_t kRows = 4;

  // Rows [top, bottom) of places [left, right).
  struct Area {
    int64_t top, bottom, left, right;
    int64_t places() const { return (bottom - top) * (right - left); }
  };

  // What x holds under the rows of a task stays in the second-level cache.
  int64_t RowsOfTask() const {
    constexpr int64_t kFloats = 12 << 10;
    const int64_t rows = kFloats / (width_ * kLanes);
    const int64_t most = std::max<int64_t>(
        (rows - down_.span()) / down_.stride + 1, 1);
    const int64_t height = p_.window.to[1];
    return CeilDiv(height, CeilDiv(height, most));
  }

  // A row is cut only where it is all there is: a sequence.
  int64_t PlacesOfTask() const {
    constexpr int64_t kPlaces = 1024;
    return p_.window.from[1] == 1 ? std::min(kPlaces, to_width_) : to_width_;
  }

  // What x holds under an area.
  Area Under(const Area& area) const {
    const bool whole = area.right - area.left == to_width_;
    const auto begin = [](const WindowAxis& window, int64_t size, int64_t at) {
      return std::clamp<int64_t>(at * window.stride - window.pad_before, 0,
                                 size);
    };
    const auto end = [](const WindowAxis& window, int64_t size, int64_t at) {
      return std::clamp<int64_t>(
          (at - 1) * window.stride - window.pad_before + window.span(), 0,
          size);
    };
    const int64_t height = p_.window.from[1];
    const int64_t top = begin(down_, height, area.top);
    const int64_t left = whole ? 0 : begin(across_, width_, area.left);
    return {top, std::max(top, end(down_, height, area.bottom)), left,
            whole ? width_ : std::max(left, end(across_, width_, area.right))};
  }

  // An area of channels `channel` to channel + kLanes - 1, or fewer.
  void Task(int64_t image, int64_t channel, const Area& area) const {
    thread_local Scratch scratch;
    const Area under = Under(area);
    const int64_t places = area.places(), width = area.right - area.left;
    const int64_t read = RoundUp(under.places(), kLanes);
    const int64_t pitch = RoundUp(places, kLanes);
    float* panel =
        scratch.Get((read + pitch + RoundUp(kRows * width, kLanes)) * kLanes);
    float* channels = panel + read * kLanes;
    float* result = channels + pitch * kLanes;
    const int64_t count = std::min(kLanes, p_.groups - channel);
    const int64_t plane = image * p_.groups + channel;
    Gather(plane, count, under, panel);
    const float* origin = panel - (under.top * width_ + under.left) * kLanes;
    for (int64_t top = area.top; top < area.bottom; top += kRows) {
      const int64_t bottom = std::min(top + kRows, area.bottom);
      float* to = result;
      for (int64_t row = top; row < bottom; ++row) {
        to = Row(channel, row, area.left, area.right, origin, to);
      }
      Scatter(result, (bottom - top) * width,
              channels + (top - area.top) * width, pitch);
    }
    for (int64_t o = 0; o < count; ++o) {
      Deliver(channels + o * pitch, places,
              ((plane + o) * p_.window.to[1] + area.top) * to_width_ +
                  area.left);
    }
  }

  // panel[place, channel] of `count` planes; an area is one run of x. Channels
  // that are not there take part with what the memory held.
  void Gather(int64_t plane, int64_t count, const Area& area,
              float* panel) const {
    const int64_t pitch = p_.window.from_plane();
    const X* x = p_.x.as<X>() + plane * pitch + area.top * width_ + area.left;
    const int64_t places = area.places();
    for (int64_t c = 0; c < count; c += 4) {
      const auto row = [&](int64_t r) {
        return x + std::min(c + r, count - 1) * pitch;
      };
      const auto gather = [&](int64_t i, auto load) HWY_ATTR {
        StoreTransposed4(F32(), load(row(0) + i), load(row(1) + i),
                         load(row(2) + i), load(row(3) + i),
                         panel + i * kLanes + c, kLanes);
      };
      int64_t i = 0;
      for (; i + kLanes <= places; i += kLanes) {
        gather(i, [](const X* p) HWY_ATTR { return LoadFloat(p); });
      }
      if (i < places) {
        gather(i, [&](const X* p) HWY_ATTR {
          return LoadFirst(p, static_cast<size_t>(places - i));
        });
      }
    }
  }

  // channels[channel, place] of result[place, channel].
  void Scatter(const float* result, int64_t places, float* channels,
               int64_t pitch) const {
    for (int64_t i = 0; i < places; i += 4) {
      const float* from = result + i * kLanes;
      StoreTransposed4(F32(), LoadFloat(from), LoadFloat(from + kLanes),
                       LoadFloat(from + 2 * kLanes),
                       LoadFloat(from + 3 * kLanes), channels + i, pitch);
    }
  }

  // Places [place, end) of row `row`; `panel` is where x would begin. Gives
  // where the next row goes.
  float* Row(int64_t channel, int64_t row, int64_t place, int64_t end,
             const float* panel, float* result) const {
    const Inside rows = InsideOf(down_, p_.window.from[1], row);
    const auto edges = [&](int64_t stop) {
      for (; place < std::min(stop, end); ++place, result += kLanes) {
        Places<1>(channel, rows, EdgeAt(place), panel, result);
      }
    };
    edges(first_);
    const int64_t whole = std::min(last_, end);
    if (place < whole && across_.kernel == 3 && rows.last - rows.first == 3) {
      const int64_t count = whole - place;
      result = Inner3x3(channel, rows, place, count, panel, result);
      place = whole;
    }
    const auto places = [&]<int kCount>() HWY_ATTR {
      Places<kCount>(channel, rows, {0, across_.kernel, StartOf(place)}, panel,
                     result);
      place += kCount;
      result += kCount * kLanes;
    };
    while (place + 4 <= whole) places.template operator()<4>();
    while (place < whole) places.template operator()<1>();
    edges(end);
    return result;
  }

  // The usual kernel at `count` places where all of it lies inside: its weights
  // stay in registers. Gives where the next place goes.
  float* Inner3x3(int64_t channel, const Inside& rows, int64_t place,
                  int64_t count, const float* panel, float* result) const {
    const float* from = p_.weights->Channels(channel);
    VF weights[9];
    HWY_UNROLL(9)
    for (int i = 0; i < 9; ++i) {
      weights[i] = LoadFloat(from + i * ConvolutionWeights::kDepthwiseLanes);
    }
    const VF bias = LoadFloat(p_.bias.data() + channel);
    const float* x =
        panel + ((rows.start + rows.first * down_.dilation) * width_ +
                 StartOf(place)) * kLanes;
    const int64_t down = down_.dilation * width_ * kLanes;
    const int64_t across = across_.dilation * kLanes;
    const int64_t step = across_.stride * kLanes;
    const auto places = [&]<int kCount>() HWY_ATTR {
      VF sum[kCount];
      HWY_UNROLL(4)
      for (int i = 0; i < kCount; ++i) sum[i] = bias;
      HWY_UNROLL(9)
      for (int tap = 0; tap < 9; ++tap) {
        const float* at = x + tap / 3 * down + tap % 3 * across;
        HWY_UNROLL(4)
        for (int i = 0; i < kCount; ++i) {
          sum[i] = hn::MulAdd(weights[tap], LoadFloat(at + i * step), sum[i]);
        }
      }
      HWY_UNROLL(4)
      for (int i = 0; i < kCount; ++i) {
        StoreFloat(Clamped(sum[i], p_.bounds), result + i * kLanes);
      }
      x += kCount * step;
      result += kCount * kLanes;
    };
    for (; count >= 4; count -= 4) places.template operator()<4>();
    for (; count > 0; --count) places.template operator()<1>();
    return result;
  }

  const Inside& EdgeAt(int64_t place) const {
    return edges_[place < first_ ? place : place - (last_ - first_)];
  }

  int64_t StartOf(int64_t place) const {
    return place * across_.stride - across_.pad_before;
  }

  // kCount neighbouring places under the same elements of the window.
  template <int kCount>
  HWY_INLINE void Places(int64_t channel, const Inside& rows,
                         const Inside& columns, const float* panel,
                         float* result) const {
    VF sum[kCount];
    HWY_UNROLL(8)
    for (int i = 0; i < kCount; ++i) {
      sum[i] = LoadFloat(p_.bias.data() + channel);
    }
    const float* weights = p_.weights->Channels(channel);
    const int64_t step = across_.stride * kLanes;
    for (int64_t v = rows.first; v < rows.last; ++v) {
      const float* row =
          panel + ((rows.start + v * down_.dilation) * width_ + columns.start) *
                      kLanes;
      for (int64_t k = columns.first; k < columns.last; ++k) {
        const VF weight =
            LoadFloat(weights + (v * across_.kernel + k) *
                                    ConvolutionWeights::kDepthwiseLanes);
        const float* x = row + k * across_.dilation * kLanes;
        HWY_UNROLL(8)
        for (int i = 0; i < kCount; ++i) {
          sum[i] = hn::MulAdd(weight, LoadFloat(x + i * step), sum[i]);
        }
      }
    }
    HWY_UNROLL(8)
    for (int i = 0; i < kCount; ++i) {
      StoreFloat(Clamped(sum[i], p_.bounds), result + i * kLanes);
    }
  }

  // Rounds `count` places of a channel and hands them on.
  void Deliver(const float* from, int64_t count, int64_t at) const {
    if (p_.epilogue == nullptr) {
      return StoreRow(from, count, p_.y.as<T>() + at);
    }
    const void* first = from;
    if constexpr (std::is_same_v<T, uint16_t>) {
      thread_local std::vector<T> rounded;
      rounded.resize(static_cast<size_t>(count));
      StoreRow(from, count, rounded.data());
      first = rounded.data();
    }
    p_.epilogue->RunFrom(static_cast<const std::byte*>(first), at, at + count);
  }

  const ConvolutionProblem& p_;
  const WindowAxis &down_, &across_;
  const int64_t width_, to_width_;
  int64_t first_ = 0, last_ = 0;
  std::vector<Inside> edges_;  // of the places before and after those
};

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_DEPTHWISE_INL_H_
