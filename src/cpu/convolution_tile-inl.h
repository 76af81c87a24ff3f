// The inner loops of a convolution: sums of a block of output channels and some
// vectors of places that stay in registers while all taps go by. What lies
// where is convolution_problem.h's business, what is cut how convolution.cc's.
#if defined(TL_CPU_CONVOLUTION_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_CONVOLUTION_TILE_INL_H_
#undef TL_CPU_CONVOLUTION_TILE_INL_H_
#else
#define TL_CPU_CONVOLUTION_TILE_INL_H_
#endif

#include <algorithm>
#include <optional>
#include <vector>

#include "cpu/clamp-inl.h"
#include "cpu/convolution_problem.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Vectors beside a block of one channel, enough for the latency of a sum.
constexpr int kSingleVectors = 4;

// One run of places: element i of tap t lies at x[taps[t] + i].
struct Run {
  const float* x = nullptr;
  const std::vector<int64_t>* taps = nullptr;
  int64_t places = 0;
};

struct BlockWeights {
  const float* values;
  int64_t step;  // from a tap's weights to the next one's
  const float* bias;
  const std::optional<Bounds>& bounds;
  int64_t ahead;  // from a tap's weights to those that will be wanted later
};

// c[R, V vectors] = bias + what R channels' weights make of the places from x
// on, clamped and rounded.
template <int R, int V, class T>
HWY_NOINLINE void MultiplyTaps(const BlockWeights& w, const Run& run,
                               int64_t place, T* HWY_RESTRICT c,
                               int64_t c_stride) {
  const F32 d;
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  const float* HWY_RESTRICT x = run.x + place;
  const float* HWY_RESTRICT weights = w.values;
  VF sum[R][V];
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Set(d, w.bias[r]);
  }
  for (const int64_t tap : *run.taps) {
    VF values[V];
    HWY_UNROLL(16)
    for (int v = 0; v < V; ++v) values[v] = LoadFloat(x + tap + v * kLanes);
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const VF weight = hn::Set(d, weights[r]);
      HWY_UNROLL(16)
      for (int v = 0; v < V; ++v) {
        sum[r][v] = hn::MulAdd(weight, values[v], sum[r][v]);
      }
    }
    // The next block's: the processor cannot know that this one comes again
    // before it.
    if (R > 4) __builtin_prefetch(weights + w.ahead, 0, 2);
    weights += w.step;
  }
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < V; ++v) {
      StoreFloat(Clamped(sum[r][v], w.bounds), c + r * c_stride + v * kLanes);
    }
  }
}

// The same for kFew places or fewer that are left over: channels fill a vector
// instead, and a place's taps are broadcast.
constexpr int kFew = 4;
template <class T>
HWY_NOINLINE void MultiplyFew(int64_t lanes, const BlockWeights& w,
                              const Run& run, int64_t place, int64_t places,
                              T* HWY_RESTRICT c, int64_t c_stride) {
  const F32 d;
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  for (int64_t o = 0; o < lanes; o += kLanes) {
    const float* HWY_RESTRICT x = run.x + place;
    const float* HWY_RESTRICT weights = w.values + o;
    VF sum[kFew];
    for (int i = 0; i < kFew; ++i) sum[i] = LoadFloat(w.bias + o);
    for (const int64_t tap : *run.taps) {
      const VF weight = LoadFloat(weights);
      for (int i = 0; i < kFew; ++i) {
        sum[i] = hn::MulAdd(weight, hn::Set(d, x[tap + i]), sum[i]);
      }
      weights += w.step;
    }
    for (int i = 0; i < places; ++i) {
      alignas(64) T channels[kLanes];
      StoreFloat(Clamped(sum[i], w.bounds), channels);
      const int64_t count = std::min(kLanes, lanes - o);
      for (int64_t r = 0; r < count; ++r) {
        c[(o + r) * c_stride + i] = channels[r];
      }
    }
  }
}

// As many channels at a time as the registers hold.
template <int V, class T>
void MultiplyChannels(int64_t lanes, BlockWeights w, const Run& run,
                      int64_t place, T* c, int64_t c_stride) {
  if (kTileRows == 12 && lanes == 12) {
    return MultiplyTaps<kTileRows, V>(w, run, place, c, c_stride);
  }
  if (kTileRows == 12 && lanes == 8) {
    return MultiplyTaps<kTileRows * 2 / 3, V>(w, run, place, c, c_stride);
  }
  for (; lanes > 0; lanes -= 4) {
    MultiplyTaps<4, V>(w, run, place, c, c_stride);
    w.values += 4;
    w.bias += 4;
    c += 4 * c_stride;
  }
}

// Places [begin, end) of a run, in whole vectors; c is where `begin` goes.
template <class T>
void MultiplyRun(int64_t lanes, const BlockWeights& w, const Run& run,
                 int64_t begin, int64_t end, T* c, int64_t c_stride) {
  constexpr int64_t kVector = hn::MaxLanes(F32());
  if (lanes == 1) {
    // Whole tiles alone: a vector by itself waits for its sum, tap after tap.
    for (; begin < end; begin += kSingleVectors * kVector) {
      MultiplyTaps<1, kSingleVectors>(w, run, begin, c, c_stride);
      c += kSingleVectors * kVector;
    }
    return;
  }
  for (; begin + (kTileVectors - 1) * kVector < end - kFew;
       begin += kTileVectors * kVector) {
    MultiplyChannels<kTileVectors>(lanes, w, run, begin, c, c_stride);
    c += kTileVectors * kVector;
  }
  for (; begin + kFew < end; begin += kVector) {
    MultiplyChannels<1>(lanes, w, run, begin, c, c_stride);
    c += kVector;
  }
  if (begin < end) {
    MultiplyFew(lanes, w, run, begin, end - begin, c, c_stride);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_CONVOLUTION_TILE_INL_H_
