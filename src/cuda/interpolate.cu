// Reading images at other points: a thread a result mixes the elements around
// its point, first those of neighbouring rows, then along the row, in f32.
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "ops/interpolate.h"

namespace tl::cuda {
namespace {

constexpr int kAxes = 3;
constexpr int kMostTaps = 4;

// Result element i of an axis lies at (i + shift_out) * scale + shift_in.
struct ResampleShape {
  struct Axis {
    int64_t from, to;
    int taps;
    float scale, shift_out, shift_in;
  };
  Axis axes[kAxes];
  Resampling how;
};

// The elements around a point and what each counts for.
struct Taps {
  int64_t index[kMostTaps];
  float weight[kMostTaps];
};

TL_DEVICE double Clamped(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

// Keys (1981), cubic convolution: `t` from the second of four elements on.
TL_DEVICE void CubicWeights(double t, float (&weight)[kMostTaps]) {
  constexpr double a = -0.75;
  const auto near = [](double x) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  };
  const auto far = [](double x) {
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  };
  weight[0] = static_cast<float>(far(1 + t));
  weight[1] = static_cast<float>(near(t));
  weight[2] = static_cast<float>(near(1 - t));
  weight[3] = static_cast<float>(far(2 - t));
}

// Points are float32, every step rounded, as PyTorch has them: which element is
// nearest may depend on it.
TL_DEVICE Taps TapsOf(const ResampleShape::Axis& axis, Resampling how,
                      int64_t i) {
  Taps taps = {{0}, {1}};
  if (axis.taps == 0) return taps;  // not an axis of x
  const float point = __fadd_rn(
      __fmul_rn(__fadd_rn(static_cast<float>(i), axis.shift_out), axis.scale),
      axis.shift_in);
  // Far points all read the edge: a bound keeps them integers.
  const double inside = Clamped(point, -1, static_cast<double>(axis.from));
  double below = floor(inside);
  if (how == Resampling::kLinear) {
    taps.weight[0] = static_cast<float>(1 - (inside - below));
    taps.weight[1] = static_cast<float>(inside - below);
  } else if (how == Resampling::kCubic) {
    below = floor(Clamped(point, -4, static_cast<double>(axis.from) + 4));
    CubicWeights(point - floor(static_cast<double>(point)), taps.weight);
    below -= 1;
  }
#pragma unroll
  for (int t = 0; t < kMostTaps; ++t) {
    const double at = Clamped(below + t, 0, static_cast<double>(axis.from - 1));
    taps.index[t] = static_cast<int64_t>(at);
  }
  return taps;
}

TL_DEVICE int TapCount(const ResampleShape::Axis& axis) {
  return axis.taps == 0 ? 1 : axis.taps;
}

// What counts for nothing must not turn infinities into NaN.
TL_DEVICE float AddTerm(float sum, float weight, float x) {
  return weight == 0 ? sum : fmaf(x, weight, sum);
}

template <class T, class To>
__global__ void InterpolateKernel(const T* x, To* to, int64_t planes,
                                  const __grid_constant__ ResampleShape shape) {
  const ResampleShape::Axis &deep = shape.axes[0], &down = shape.axes[1],
                            &across = shape.axes[2];
  const int64_t size = planes * deep.to * down.to * across.to;
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    int64_t rest = at;
    Taps taps[kAxes];
#pragma unroll
    for (int axis = kAxes - 1; axis >= 0; --axis) {
      taps[axis] =
          TapsOf(shape.axes[axis], shape.how, rest % shape.axes[axis].to);
      rest /= shape.axes[axis].to;
    }
    float result = 0;
    for (int c = 0; c < TapCount(across); ++c) {
      float mixed = 0;
      for (int a = 0; a < TapCount(deep); ++a) {
        const int64_t slice = rest * deep.from + taps[0].index[a];
        for (int b = 0; b < TapCount(down); ++b) {
          const int64_t row = slice * down.from + taps[1].index[b];
          mixed = AddTerm(mixed, taps[0].weight[a] * taps[1].weight[b],
                          ToFloat(x[row * across.from + taps[2].index[c]]));
        }
      }
      result = AddTerm(result, taps[2].weight[c], mixed);
    }
    FromFloat(result, to[at]);
  }
}

int TapsOf(Resampling how) {
  switch (how) {
    case Resampling::kNearest:
      return 1;
    case Resampling::kLinear:
      return 2;
    case Resampling::kCubic:
      return 4;
  }
  return 0;
}

}  // namespace

void Interpolate(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& y = args.outputs[0];
  if (y.size() == 0) return;
  ResampleShape shape;
  shape.how = Resampling(args.ints[0]);
  const int axes = x.rank - 2;
  TL_CHECK(axes >= 1 && axes <= kAxes);
  for (int axis = 0; axis < kAxes; ++axis) {
    const int own = axis - (kAxes - axes);
    if (own < 0) {
      shape.axes[axis] = {1, 1, 0, 1, 0, 0};
      continue;
    }
    const auto numbers = args.numbers.subspan(3 * own, 3);
    shape.axes[axis] = {x.dims[own + 2],
                        y.dims[own + 2],
                        TapsOf(shape.how),
                        static_cast<float>(numbers[0]),
                        static_cast<float>(numbers[1]),
                        static_cast<float>(numbers[2])};
  }
  WithFloats(x.dtype, [&]<class T>(T) {
    WithFloats(y.dtype, [&]<class To>(To) {
      Launch(InterpolateKernel<T, To>, ShapeFor(y.size()), x.as<const T>(),
             y.as<To>(), y.dims[0] * y.dims[1], shape);
    });
  });
}

}  // namespace tl::cuda
