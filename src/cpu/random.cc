// Arange, Rand and Randn: tensors made from numbers alone. base/random.h says
// what a random number is.
#include "base/random.h"

#include <algorithm>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "cpu/half_rows.h"
#include "cpu/kernels.h"
#include "ops/run_checks.h"

namespace tl::cpu {
namespace {

// Elements a task makes, some microseconds of work, and of them those made at
// once; both whole blocks of four.
constexpr int64_t kGrain = 16 * 1024;
constexpr int64_t kPiece = 1024;

// Elements first .. first + count - 1, where `first` starts a block and `make`
// turns its words into four numbers.
template <class Make>
void DrawPiece(float* to, int64_t first, int64_t count, PhiloxKey key,
               Make make) {
  for (int64_t i = 0; i < count; i += 4) {
    const std::array<float, 4> drawn = make(PhiloxBlock((first + i) / 4, key));
    std::copy_n(drawn.begin(), std::min<int64_t>(4, count - i), to + i);
  }
}

template <class Make>
void Draw(const KernelArgs& args, Make make) {
  const View& result = args.outputs[0];
  const PhiloxKey key = {static_cast<uint32_t>(args.numbers[0]),
                         static_cast<uint32_t>(args.numbers[1])};
  ParallelFor(result.size(), kGrain, [&](int64_t begin, int64_t end) {
    if (result.dtype == DType::F32) {
      DrawPiece(result.as<float>() + begin, begin, end - begin, key, make);
      return;
    }
    float piece[kPiece];
    for (int64_t first = begin; first < end; first += kPiece) {
      const int64_t count = std::min(kPiece, end - first);
      DrawPiece(piece, first, count, key, make);
      FloatsToHalves(piece, result.as<uint16_t>() + first, count);
    }
  });
}

}  // namespace

// start + step * i in f64, rounded once.
void Arange(const KernelArgs& args) {
  const View& result = args.outputs[0];
  const double start = args.numbers[0];
  const double step = args.numbers[1];
  const int64_t count = result.size();
  const auto fill = [&]<class T>(T* to, auto convert) {
    ParallelFor(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        to[i] = convert(start + step * static_cast<double>(i));
      }
    });
  };
  if (result.dtype == DType::F16) {
    fill(result.as<uint16_t>(), DoubleToHalf);
  } else if (result.dtype == DType::F32) {
    fill(result.as<float>(), [](double x) { return static_cast<float>(x); });
  } else {
    TL_CHECK(result.dtype == DType::I32);
    CheckArange(start, step, count);
    fill(result.as<int32_t>(),
         [](double x) { return static_cast<int32_t>(x); });
  }
}

void Rand(const KernelArgs& args) {
  const auto draw = [&](auto uniform) {
    Draw(args, [uniform](const PhiloxCounter& words) -> std::array<float, 4> {
      return {uniform(words[0]), uniform(words[1]), uniform(words[2]),
              uniform(words[3])};
    });
  };
  if (args.outputs[0].dtype == DType::F32) return draw(UniformFloat);
  TL_CHECK(args.outputs[0].dtype == DType::F16);
  draw(UniformHalf);
}

void Randn(const KernelArgs& args) {
  TL_CHECK(args.outputs[0].dtype == DType::F16 ||
           args.outputs[0].dtype == DType::F32);
  Draw(args, [](const PhiloxCounter& words) -> std::array<float, 4> {
    const auto [a, b] = NormalPair(words[0], words[1]);
    const auto [c, d] = NormalPair(words[2], words[3]);
    return {a, b, c, d};
  });
}

}  // namespace tl::cpu
