// Softmax and its logarithm over the last axis: f32 inside a row, rounded once.
// The largest element is taken off first, so nothing overflows; the sum of a
// row's exponentials is at least 1.
#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/reduce_loops.h"
#include "tensor/tensor.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/softmax.cc"
#include "hwy/foreach_target.h"
#include "cpu/math-inl.h"
// clang-format on

#ifndef TL_CPU_SOFTMAX_ONCE_
#define TL_CPU_SOFTMAX_ONCE_
namespace tl::cpu {
namespace {

struct SoftmaxRow {
  Stretch x;
  float largest;
  DType to_type;
  std::byte* to;
  float* exponentials;  // a row of working memory
  bool log;
  bool stream;
  const std::byte* next;  // row, or this one where it is the last
};

// Results wait here for their way past the caches.
constexpr int64_t kPartElements = 1024;

}  // namespace
}  // namespace tl::cpu
#endif  // TL_CPU_SOFTMAX_ONCE_

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kLanes = hn::MaxLanes(F32());

HWY_INLINE float SumOfLanes(VF v) {
  alignas(64) float lanes[kLanes];
  hn::Store(v, F32(), lanes);
  double sum = 0;
  for (float lane : lanes) sum += lane;
  return static_cast<float>(sum);
}

// Stores e^(x - largest) and returns their sum. Sums of 64 vectors are added up
// before they grow large beside what is added.
template <class ExpOf, class T>
float Exponentiate(const T* x, int64_t count, float largest, const T* next,
                   float* to) {
  const F32 d;
  const ExpOf exp;
  const VF top = hn::Set(d, largest);
  VF total = hn::Zero(d);
  int64_t i = 0;
  while (i + 2 * kLanes <= count) {
    const int64_t stop = std::min(count - 2 * kLanes, i + 62 * kLanes);
    VF a = hn::Zero(d), b = hn::Zero(d);
    for (; i <= stop; i += 2 * kLanes) {
      __builtin_prefetch(next + i, 0, 2);  // memory would rest during exp
      const VF first = exp(hn::Sub(LoadFloat(x + i), top));
      const VF second = exp(hn::Sub(LoadFloat(x + i + kLanes), top));
      StoreFloat(first, to + i);
      StoreFloat(second, to + i + kLanes);
      a = hn::Add(a, first);
      b = hn::Add(b, second);
    }
    total = hn::Add(total, hn::Add(a, b));
  }
  for (; i < count; i += kLanes) {
    const int64_t here = std::min(kLanes, count - i);
    VF e = exp(hn::Sub(LoadFirst(x + i, here), top));
    e = hn::IfThenElseZero(hn::FirstN(d, here), e);
    StoreFirst(e, to + i, here);
    total = hn::Add(total, e);
  }
  return SumOfLanes(total);
}

// What an exponential becomes, or for the logarithm an element. There in two
// subtractions: `largest` may be large beside the logarithm and the result.
struct Scaled {
  float scale;
  HWY_INLINE VF operator()(VF v) const {
    return hn::Mul(v, hn::Set(F32(), scale));
  }
};
struct Lowered {
  float largest;
  float log_sum;
  HWY_INLINE VF operator()(VF v) const {
    const F32 d;
    return hn::Sub(hn::Sub(v, hn::Set(d, largest)), hn::Set(d, log_sum));
  }
};

template <class From, class Change, class To>
void ChangeAll(const From* from, int64_t count, const Change& change, To* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    StoreFloat(change(LoadFloat(from + i)), to + i);
  }
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StoreFirst(change(LoadFirst(from + i, rest)), to + i, rest);
  }
}

template <class To, class From, class Change>
void StoreParts(const SoftmaxRow& row, const From* from, const Change& change) {
  alignas(64) To buffer[kPartElements];
  To* to = reinterpret_cast<To*>(row.to);
  for (int64_t at = 0; at < row.x.count; at += kPartElements) {
    const int64_t count = std::min(kPartElements, row.x.count - at);
    To* part = row.stream ? buffer : to + at;
    ChangeAll(from + at, count, change, part);
    if (!row.stream) continue;
    StreamCopy(reinterpret_cast<std::byte*>(to + at),
               reinterpret_cast<const std::byte*>(part), count * sizeof(To));
  }
}

template <class From, class Change>
void StoreRow(const SoftmaxRow& row, const From* from, const Change& change) {
  if (row.to_type == DType::F16) {
    StoreParts<uint16_t>(row, from, change);
  } else {
    StoreParts<float>(row, from, change);
  }
}

}  // namespace

void SoftmaxRowOfTarget(const SoftmaxRow& row) {
  WithElements(row.x.dtype, row.x.data, [&](const auto* x) HWY_ATTR {
    const auto* next = reinterpret_cast<decltype(x)>(row.next);
    const float sum =
        row.to_type == DType::F16
            ? Exponentiate<HalfExp>(x, row.x.count, row.largest, next,
                                    row.exponentials)
            : Exponentiate<PreciseExp>(x, row.x.count, row.largest, next,
                                       row.exponentials);
    if (row.log) {
      StoreRow(row, x, Lowered{row.largest, std::log(sum)});
    } else {
      StoreRow(row, row.exponentials, Scaled{1 / sum});
    }
  });
}

void SoftmaxFenceOfTarget() { StreamFence(); }

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(SoftmaxRowOfTarget);
HWY_EXPORT(SoftmaxFenceOfTarget);

namespace {

constexpr int64_t kChunkElements = 32 << 10;
constexpr int64_t kStreamBytes = 16 << 20;

void RunSoftmax(const KernelArgs& args, bool log) {
  const View& x = args.inputs[0];
  const View& y = args.outputs[0];
  const int64_t count = x.dims[x.rank - 1];
  const int64_t size = y.size();
  if (size == 0) return;
  const bool stream = size * ElementBytes(y.dtype) >= kStreamBytes;
  const int64_t grain = std::max<int64_t>(1, kChunkElements / count);
  ParallelFor(size / count, grain, [&](int64_t first, int64_t last) {
    const ReduceLoops& loops = GetReduceLoops();
    const auto exponentials =
        AllocateHost(count * static_cast<int64_t>(sizeof(float)));
    const int64_t from_bytes = count * ElementBytes(x.dtype);
    for (int64_t i = first; i < last; ++i) {
      const Stretch row = {x.dtype, x.data + i * from_bytes, count};
      const std::byte* next = row.data + (i + 1 < last ? from_bytes : 0);
      HWY_DYNAMIC_DISPATCH(SoftmaxRowOfTarget)
      ({row, loops.largest(row), y.dtype,
        y.data + i * count * ElementBytes(y.dtype),
        reinterpret_cast<float*>(exponentials.get()), log, stream, next});
    }
    if (stream) HWY_DYNAMIC_DISPATCH(SoftmaxFenceOfTarget)();
  });
}

}  // namespace

void Softmax(const KernelArgs& args) { RunSoftmax(args, false); }
void LogSoftmax(const KernelArgs& args) { RunSoftmax(args, true); }

}  // namespace tl::cpu
#endif  // HWY_ONCE
