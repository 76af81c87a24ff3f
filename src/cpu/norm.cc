// Layer and rms norm: f32 inside a row, rounded once. Sums come from
// reduce_loops.cc, two passes for the variance; a row of a few thousand
// elements stays in the first-level cache from the first pass to the last.
#include <algorithm>
#include <cmath>
#include <memory>

#include "base/half.h"
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/reduce_loops.h"

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
  const std::byte* next;  // of the next row, to be asked for
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
    const VF y = hn::Mul(hn::Mul(hn::Sub(x, center), scale), weight);
    return has_bias ? hn::Add(y, bias) : y;
  };
  int64_t i = 0;
  for (; i + kLanes <= part.count; i += kLanes) {
    hwy::Prefetch(reinterpret_cast<const From*>(part.next) + i);
    const VF weight = LoadFloat(part.weight + i);
    const VF bias = has_bias ? LoadFloat(part.bias + i) : weight;
    StoreFloat(apply(LoadFloat(from + i), weight, bias), to + i);
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

// A weight or bias as f32, shared by all rows.
std::unique_ptr<float[]> AsFloats(const View& view) {
  const int64_t n = view.size();
  auto floats = std::make_unique<float[]>(n);
  for (int64_t i = 0; i < n; ++i) {
    floats[i] = view.dtype == DType::F16 ? HalfToFloat(view.as<uint16_t>()[i])
                : view.dtype == DType::F32
                    ? view.as<float>()[i]
                    : static_cast<float>(view.as<int32_t>()[i]);
  }
  return floats;
}

std::unique_ptr<float[]> Ones(int64_t n) {
  auto floats = std::make_unique<float[]>(n);
  std::fill_n(floats.get(), n, 1.0f);
  return floats;
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
    const ReduceLoops& loops = GetReduceLoops();
    const int64_t from_bytes = row * ElementBytes(x.dtype);
    const int64_t to_bytes = row * ElementBytes(y.dtype);
    for (int64_t i = first; i < last; ++i) {
      const std::byte* from = x.data + i * from_bytes;
      const Stretch stretch = {x.dtype, from, row};
      const double n = static_cast<double>(row);
      const double mean = around_mean ? loops.sum(stretch) / n : 0;
      const float center = static_cast<float>(mean);
      const double scale =
          1 / std::sqrt(loops.squares(stretch, center) / n + eps);
      Store(from, y.data + i * to_bytes, center, static_cast<float>(scale),
            i + 1 < last ? from_bytes : 0, stream);
    }
    if (stream) HWY_DYNAMIC_DISPATCH(NormFenceOfTarget)();
  }

 private:
  // `step` leads from this row to the next.
  void Store(const std::byte* from, std::byte* to, float center, float scale,
             int64_t step, bool stream) const {
    for (int64_t at = 0; at < row; at += kPartElements) {
      const std::byte* part = from + at * ElementBytes(x.dtype);
      HWY_DYNAMIC_DISPATCH(NormPartOfTarget)
      ({x.dtype, part, y.dtype, to + at * ElementBytes(y.dtype),
        std::min(kPartElements, row - at), center, scale, weight + at,
        bias == nullptr ? nullptr : bias + at, part + step, stream});
    }
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
  const auto weight = has_weight ? AsFloats(args.inputs[1]) : Ones(row);
  const auto bias =
      has_bias ? AsFloats(args.inputs[has_weight ? 2 : 1]) : nullptr;
  RunNorm({x, args.outputs[0], row, args.numbers[0], true, weight.get(),
           bias.get()});
}

void RmsNorm(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const int64_t row = x.dims[x.rank - 1];
  const auto weight =
      args.inputs.size() > 1 ? AsFloats(args.inputs[1]) : Ones(row);
  RunNorm(
      {x, args.outputs[0], row, args.numbers[0], false, weight.get(), nullptr});
}

}  // namespace tl::cpu
#endif  // HWY_ONCE
