// Rope: pairs (a, b) of a head turned by the position's angles,
//   a' = a cos - b sin,  b' = b cos + a sin,
// in f32 with every product and sum rounded, as on every other device.
#include <limits>

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

// Pairs a thread turns where they are aligned.
constexpr int kPairs = 4;

struct RopeShape {
  int64_t pairs;  // of all heads
  int64_t heads, seq, half;
  bool halves;  // b is half a head behind a, else beside it
};

template <class T>
TL_DEVICE void Turn(T& a, T& b, float cos, float sin) {
  const float x = ToFloat(a), y = ToFloat(b);
  FromFloat(__fsub_rn(__fmul_rn(x, cos), __fmul_rn(y, sin)), a);
  FromFloat(__fadd_rn(__fmul_rn(y, cos), __fmul_rn(x, sin)), b);
}

// Index: 32 bits where they are enough, since division takes most of the time.
template <class T, int kCount, class Index>
__global__ void RopeKernel(const T* x, const float* cos, const float* sin,
                           T* to, RopeShape shape) {
  const int64_t step = GridThreads() * kCount;
  for (int64_t i = GridThread() * kCount; i < shape.pairs; i += step) {
    const auto half = static_cast<Index>(shape.half);
    const Index head = static_cast<Index>(i) / half;
    const int64_t pair = static_cast<Index>(i) - head * half;
    const Index position =
        head / static_cast<Index>(shape.heads) % static_cast<Index>(shape.seq);
    const int64_t angle = int64_t{position} * shape.half + pair;
    const Pack<float, kCount> c = LoadPack<kCount>(cos + angle);
    const Pack<float, kCount> s = LoadPack<kCount>(sin + angle);
    if (shape.halves) {
      const int64_t at = 2 * i - pair;
      Pack<T, kCount> a = LoadPack<kCount>(x + at);
      Pack<T, kCount> b = LoadPack<kCount>(x + at + shape.half);
#pragma unroll
      for (int k = 0; k < kCount; ++k) Turn(a.at[k], b.at[k], c.at[k], s.at[k]);
      StorePack(a, to + at);
      StorePack(b, to + at + shape.half);
    } else {
      Pack<T, kCount> packs[2];
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        packs[k] = LoadPack<kCount>(x + 2 * i + k * kCount);
      }
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        Turn(packs[2 * k / kCount].at[2 * k % kCount],
             packs[(2 * k + 1) / kCount].at[(2 * k + 1) % kCount], c.at[k],
             s.at[k]);
      }
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        StorePack(packs[k], to + 2 * i + k * kCount);
      }
    }
  }
}

}  // namespace

void Rope(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& cos = args.inputs[1];
  const View& sin = args.inputs[2];
  const View& to = args.outputs[0];
  TL_CHECK(x.rank >= 3 && x.dims[x.rank - 1] % 2 == 0 && x.dtype == to.dtype);
  TL_CHECK(cos.dtype == DType::F32 && sin.dtype == DType::F32);
  const RopeShape shape = {x.size() / 2, x.dims[x.rank - 2], x.dims[x.rank - 3],
                           x.dims[x.rank - 1] / 2, args.ints[0] == 1};
  if (shape.pairs == 0) return;
  const bool aligned = IsAligned(x.data) && IsAligned(to.data) &&
                       IsAligned(cos.data) && IsAligned(sin.data) &&
                       shape.half % kPairs == 0;
  WithFloats(x.dtype, [&]<class T>(T) {
    auto* kernel = RopeKernel<T, 1, int64_t>;
    if (aligned) {
      kernel = shape.pairs <= std::numeric_limits<int32_t>::max()
                   ? RopeKernel<T, kPairs, uint32_t>
                   : RopeKernel<T, kPairs, int64_t>;
    }
    Launch(kernel, ShapeFor(CeilDiv(shape.pairs, aligned ? kPairs : 1)),
           x.as<const T>(), cos.as<const float>(), sin.as<const float>(),
           to.as<T>(), shape);
  });
}

}  // namespace tl::cuda
