// Arange, Rand and Randn: tensors made from numbers alone. base/random.h says
// what a random number is; it is compiled without contraction
// (cmake/cuda.cmake), so that the bits are those of every other device.
#include "base/random.h"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "ops/run_checks.h"

namespace tl::cuda {
namespace {

constexpr int kBlock = 4;  // elements that the words of a counter make

enum class Draw { kUniform, kNormal };

TL_DEVICE float Uniform(uint32_t word, uint16_t) { return UniformHalf(word); }
TL_DEVICE float Uniform(uint32_t word, float) { return UniformFloat(word); }

template <class To>
TL_DEVICE void DrawBlock(const PhiloxCounter& words, Draw draw,
                         float (&drawn)[kBlock]) {
  if (draw == Draw::kUniform) {
    for (int i = 0; i < kBlock; ++i) drawn[i] = Uniform(words[i], To{});
    return;
  }
  for (int i = 0; i < kBlock; i += 2) {
    const float radius = __fsqrt_rn(NormalRadiusSquared(words[i]));
    const CosSin angle = CosSinOfTurn(words[i + 1] >> 8);
    drawn[i] = __fmul_rn(radius, angle.cos);
    drawn[i + 1] = __fmul_rn(radius, angle.sin);
  }
}

template <class To>
__global__ void RandomKernel(To* to, int64_t size, bool aligned, uint32_t low,
                             uint32_t high, Draw draw) {
  const int64_t step = GridThreads() * kBlock;
  for (int64_t at = GridThread() * kBlock; at < size; at += step) {
    float drawn[kBlock];
    DrawBlock<To>(PhiloxBlock(static_cast<uint64_t>(at / kBlock), {low, high}),
                  draw, drawn);
    Pack<To, kBlock> pack;
#pragma unroll
    for (int i = 0; i < kBlock; ++i) FromFloat(drawn[i], pack.at[i]);
    if (aligned && at + kBlock <= size) {
      StorePack(pack, to + at);
      continue;
    }
#pragma unroll
    for (int i = 0; i < kBlock; ++i) {
      if (at + i < size) to[at + i] = pack.at[i];
    }
  }
}

void RunRandom(const KernelArgs& args, Draw draw) {
  const View& result = args.outputs[0];
  const int64_t size = result.size();
  if (size == 0) return;
  WithFloats(result.dtype, [&]<class To>(To) {
    Launch(RandomKernel<To>, ShapeFor(CeilDiv(size, kBlock)), result.as<To>(),
           size, IsAligned(result.data), static_cast<uint32_t>(args.numbers[0]),
           static_cast<uint32_t>(args.numbers[1]), draw);
  });
}

TL_DEVICE void FromDouble(double x, uint16_t& to) { to = ToHalfFromDouble(x); }
TL_DEVICE void FromDouble(double x, float& to) { to = static_cast<float>(x); }
TL_DEVICE void FromDouble(double x, int32_t& to) {
  to = static_cast<int32_t>(x);
}

// start + step * i in f64, rounded once.
template <class To>
__global__ void ArangeKernel(To* to, int64_t size, double start, double step) {
  for (int64_t i = GridThread(); i < size; i += GridThreads()) {
    FromDouble(start + step * static_cast<double>(i), to[i]);
  }
}

}  // namespace

void Arange(const KernelArgs& args) {
  const View& result = args.outputs[0];
  const double start = args.numbers[0], step = args.numbers[1];
  const int64_t size = result.size();
  if (result.dtype == DType::I32) CheckArange(start, step, size);
  if (size == 0) return;
  WithElements(result.dtype, [&]<class To>(To) {
    Launch(ArangeKernel<To>, ShapeFor(size), result.as<To>(), size, start,
           step);
  });
}

void Rand(const KernelArgs& args) { RunRandom(args, Draw::kUniform); }
void Randn(const KernelArgs& args) { RunRandom(args, Draw::kNormal); }

}  // namespace tl::cuda
