// Layer and rms norm: f32 inside a row, rounded once. Sums come from
// reduce_loops.cc; a row of a few thousand
// elements stays in the first-level cache from the first pass to the last.
#include <algorithm>
#include <cmath>
#include <memory>

#include "base/parallel.h"
#include "cpu/half_rows.h"
#include "cpu/kernels.h"
#include "cpu/reduce_loops.h"
#include "tensor/tensor.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/norm.cc"
#include "hwy/foreach_target.h"
#include "cpu/simd-inl.h"
// clang-format on

#ifndef TL_CPU_NORM_ONCE_
#define TL_CPU_NORM_ONCE_
namespace tl::cpu {
namespace {

// (x - center) * scale * weight + bias over part of a row.
struct NormPart {
  DType from_type;
  const std::byte* from;
  DType to_type;
  std::byte* to;
  int64_t count;
  float center;
  float scale;
  const float* weight;
  const float* bias;      // null: none
  const std::byte* next;  // the same part of a later row
  bool stream;
};

// Results wait here for their way past the caches.
constexpr int64_t kPartElements = 1024;

}  // namespace
}  // namespace tl::cpu
#endif  // TL_CPU_NORM_ONCE_

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

template <bool has_bias, class From, class To>
void NormElements(const NormPart& part, const From* from, To* to) {
  constexpr int64_t kLanes = hn::MaxLanes(F32());
  const VF center = hn::Set(F32(), part.center);
  const VF scale = hn::Set(F32(), part.scale);
  const auto apply = [&](VF x, VF weight, VF bias) HWY_ATTR {
    const VF y = hn::Mul(hn::Sub(x, center), scale);
    return has_bias ? hn::MulAdd(y, weight, bias) : hn::Mul(y, weight);
  };
  const auto at = [&](int64_t i) HWY_ATTR {
    const VF weight = LoadFloat(part.weight + i);
    const VF bias = has_bias ? LoadFloat(part.bias + i) : weight;
    return apply(LoadFloat(from + i), weight, bias);
  };
  int64_t i = 0;
  for (; i + 2 * kLanes <= part.count; i += 2 * kLanes) {
    // Into the second-level cache: the sums before this left memory idle.
    __builtin_prefetch(reinterpret_cast<const From*>(part.next) + i, 0, 2);
    const VF first = at(i), second = at(i + kLanes);
    StoreFloat(first, to + i);
    StoreFloat(second, to + i + kLanes);
  }
  if (i + kLanes <= part.count) {
    StoreFloat(at(i), to + i);
    i += kLanes;
  }
  if (i < part.count) {
    const size_t rest = static_cast<size_t>(part.count - i);
    const VF weight = LoadFirst(part.weight + i, rest);
    const VF bias = has_bias ? LoadFirst(part.bias + i, rest) : weight;
    StoreFirst(apply(LoadFirst(from + i, rest), weight, bias), to + i, rest);
  }
}

template <class To>
void NormTo(const NormPart& part, To* to) {
  WithElements(part.from_type, part.from, [&](const auto* from) HWY_ATTR {
    if (part.bias != nullptr) {
      NormElements<true>(part, from, to);
    } else {
      NormElements<false>(part, from, to);
    }
  });
}

}  // namespace

void NormPartOfTarget(const NormPart& part) {
  alignas(64) std::byte buffer[kPartElements * sizeof(float)];
  std::byte* to = part.stream ? buffer : part.to;
  const bool half = part.to_type == DType::F16;
  if (half) {
    NormTo(part, reinterpret_cast<uint16_t*>(to));
  } else {
    NormTo(part, reinterpret_cast<float*>(to));
  }
  if (part.stream) StreamCopy(part.to, to, part.count * (half ? 2 : 4));
}

void NormFenceOfTarget() { StreamFence(); }

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(NormPartOfTarget);
HWY_EXPORT(NormFenceOfTarget);

namespace {

constexpr int64_t kChunkElements = 32 << 10;
constexpr int64_t kStreamBytes = 16 << 20;

// One f32 per element of a row, at a cache line's start: a vector that crosses
// lines costs two loads.
class RowFloats {
 public:
  RowFloats() = default;
  // A weight or bias, shared by all rows.
  explicit RowFloats(const View& view) : RowFloats(view.size()) {
    const int64_t n = view.size();
    if (view.dtype == DType::F16) {
      HalvesToFloats(view.as<uint16_t>(), get(), n);
    } else if (view.dtype == DType::F32) {
      std::copy_n(view.as<float>(), n, get());
    } else {
      std::copy_n(view.as<int32_t>(), n, get());
    }
  }
  static RowFloats Ones(int64_t n) {
    RowFloats ones(n);
    std::fill_n(ones.get(), n, 1.0f);
    return ones;
  }
  float* get() const { return reinterpret_cast<float*>(block_.get()); }

 private:
  explicit RowFloats(int64_t n)
      : block_(AllocateHost(n * int64_t{sizeof(float)})) {}
  std::shared_ptr<std::byte> block_;
};

struct Spread {
  double mean;
  double variance;
};

// One pass around the mean of the first few elements. Only where that was far
// off, so that a difference of large sums would be left, a second one.
Spread SpreadOf(const ReduceLoops& loops, const Stretch& x) {
  constexpr int64_t kFirst = 16;
  const double n = static_cast<double>(x.count);
  const int64_t first = std::min(kFirst, x.count);
  const float shift = static_cast<float>(loops.sum({x.dtype, x.data, first}) /
                                         static_cast<double>(first));
  const Moments moments = loops.moments(x, shift);
  const double offset = moments.sum / n;
  const double mean = shift + offset;
  const double variance = moments.squares / n - offset * offset;
  if (offset * offset <= 4 * variance) return {mean, variance};
  return {mean, loops.squares(x, static_cast<float>(mean)) / n};
}

struct RowNorm {
  const View& x;
  const View& y;
  int64_t row;  // elements normalised together
  double eps;
  bool around_mean;
  const float* weight;
  const float* bias;

  void Rows(int64_t first, int64_t last, bool stream) const {
    for (int64_t i = first; i < last; i += kRowsTogether) {
      RowsTogether(i, std::min(kRowsTogether, last - i), last, stream);
    }
    if (stream) HWY_DYNAMIC_DISPATCH(NormFenceOfTarget)();
  }

 private:
  // Weight and bias in f32 take four times the room of a row of f16: a part of
  // them serves so many rows before the next part comes in.
  static constexpr int64_t kRowsTogether = 4;

  void RowsTogether(int64_t first, int64_t count, int64_t last,
                    bool stream) const {
    const ReduceLoops& loops = GetReduceLoops();
    const int64_t from_bytes = ElementBytes(x.dtype);
    const int64_t to_bytes = ElementBytes(y.dtype);
    Spread spreads[kRowsTogether];
    for (int64_t i = 0; i < count; ++i) {
      spreads[i] = SpreadOfRow(loops, first + i);
    }
    for (int64_t at = 0; at < row; at += kPartElements) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t place = (first + i) * row + at;
        const int64_t step = first + i + count < last ? count * row : 0;
        HWY_DYNAMIC_DISPATCH(NormPartOfTarget)
        ({x.dtype, x.data + place * from_bytes, y.dtype,
          y.data + place * to_bytes, std::min(kPartElements, row - at),
          static_cast<float>(spreads[i].mean),
          static_cast<float>(1 / std::sqrt(spreads[i].variance + eps)),
          weight + at, bias == nullptr ? nullptr : bias + at,
          x.data + (place + step) * from_bytes, stream});
      }
    }
  }

  Spread SpreadOfRow(const ReduceLoops& loops, int64_t i) const {
    const Stretch stretch = {x.dtype, x.data + i * row * ElementBytes(x.dtype),
                             row};
    if (around_mean) return SpreadOf(loops, stretch);
    return {0, loops.squares(stretch, 0) / static_cast<double>(row)};
  }
};

void RunNorm(const RowNorm& norm) {
  const int64_t size = norm.y.size();
  if (size == 0) return;
  const bool stream = size * ElementBytes(norm.y.dtype) >= kStreamBytes;
  const int64_t grain = std::max<int64_t>(1, kChunkElements / norm.row);
  ParallelFor(size / norm.row, grain, [&](int64_t first, int64_t last) {
    norm.Rows(first, last, stream);
  });
}

}  // namespace

void LayerNorm(const KernelArgs& args) {
  const View& x = args.inputs[0];
  int64_t row = 1;
  for (int64_t i = 0; i < args.ints[0]; ++i) row *= x.dims[x.rank - 1 - i];
  const bool has_weight = args.ints[1] & 1, has_bias = args.ints[1] & 2;
  const auto weight =
      has_weight ? RowFloats(args.inputs[1]) : RowFloats::Ones(row);
  const auto bias =
      has_bias ? RowFloats(args.inputs[has_weight ? 2 : 1]) : RowFloats();
  RunNorm({x, args.outputs[0], row, args.numbers[0], true, weight.get(),
           bias.get()});
}

void RmsNorm(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const int64_t row = x.dims[x.rank - 1];
  const auto weight =
      args.inputs.size() > 1 ? RowFloats(args.inputs[1]) : RowFloats::Ones(row);
  RunNorm(
      {x, args.outputs[0], row, args.numbers[0], false, weight.get(), nullptr});
}

}  // namespace tl::cpu
#endif  // HWY_ONCE
