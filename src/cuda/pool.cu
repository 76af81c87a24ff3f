// Max and average pooling: a thread a result, in f32, rounded once.
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "exec/window_problem.h"

namespace tl::cuda {
namespace {

struct Largest {
  TL_DEVICE static float Nothing() { return -INFINITY; }
  // NaN wins.
  TL_DEVICE static float Join(float a, float b) {
    return a != a || a > b ? a : b;
  }
};

struct Total {
  TL_DEVICE static float Nothing() { return 0; }
  TL_DEVICE static float Join(float a, float b) { return a + b; }
};

// What a mean divides by.
enum class Divisor { kNone, kInside, kPadded };

// How many elements of a window along one axis are counted.
TL_DEVICE int64_t Counted(const WindowAxis& window, int64_t size, int64_t place,
                          const Inside& inside, Divisor divisor) {
  if (divisor == Divisor::kInside) return inside.last - inside.first;
  // As if the padding were part of the axis.
  WindowAxis whole = window;
  whole.pad_before = 0;
  const Inside counted =
      InsideOf(whole, size + window.pad_before + window.pad_after, place);
  return counted.last - counted.first;
}

template <class Combine, class T, class To>
__global__ void PoolKernel(const T* x, To* to, int64_t planes,
                           const __grid_constant__ WindowProblem shape,
                           Divisor divisor) {
  const int64_t size = planes * shape.to[0] * shape.to[1] * shape.to[2];
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    int64_t rest = at;
    Inside inside[3];
    int64_t counted = 1;
#pragma unroll
    for (int axis = 2; axis >= 0; --axis) {
      const int64_t place = rest % shape.to[axis];
      rest /= shape.to[axis];
      const WindowAxis& window = shape.window[axis];
      inside[axis] = InsideOf(window, shape.from[axis], place);
      if (divisor != Divisor::kNone) {
        counted *=
            Counted(window, shape.from[axis], place, inside[axis], divisor);
      }
    }
    float result = Combine::Nothing();
    for (int64_t a = inside[0].first; a < inside[0].last; ++a) {
      const int64_t z =
          rest * shape.from[0] + inside[0].start + a * shape.window[0].dilation;
      for (int64_t b = inside[1].first; b < inside[1].last; ++b) {
        const int64_t y =
            z * shape.from[1] + inside[1].start + b * shape.window[1].dilation;
        for (int64_t c = inside[2].first; c < inside[2].last; ++c) {
          const int64_t from = y * shape.from[2] + inside[2].start +
                               c * shape.window[2].dilation;
          result = Combine::Join(result, ToFloat(x[from]));
        }
      }
    }
    // A window without any element has the mean 0.
    if (divisor != Divisor::kNone) {
      result /= static_cast<float>(counted > 1 ? counted : 1);
    }
    FromFloat(result, to[at]);
  }
}

template <class Combine>
void RunPool(const KernelArgs& args, Divisor divisor) {
  const View& x = args.inputs[0];
  const View& y = args.outputs[0];
  if (y.size() == 0) return;
  const WindowProblem shape = WindowProblemOf(x, y, args.ints);
  WithFloats(x.dtype, [&]<class T>(T) {
    WithFloats(y.dtype, [&]<class To>(To) {
      Launch(PoolKernel<Combine, T, To>, ShapeFor(y.size()), x.as<const T>(),
             y.as<To>(), y.dims[0] * y.dims[1], shape, divisor);
    });
  });
}

}  // namespace

void MaxPool(const KernelArgs& args) { RunPool<Largest>(args, Divisor::kNone); }

void AveragePool(const KernelArgs& args) {
  RunPool<Total>(args, args.ints[0] == 1 ? Divisor::kPadded : Divisor::kInside);
}

}  // namespace tl::cuda
