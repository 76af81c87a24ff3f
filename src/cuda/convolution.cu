// Convolutions: where a group has many channels, products of its weights with
// columns that hold what is under the window at each place; else every result by
// itself. All in f32, rounded once.
#include <algorithm>

#include "cuda/dense_product.h"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/epilogue.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "exec/window_problem.h"

namespace tl::cuda {
namespace {

constexpr int kThreads = 256;

struct Shape {
  WindowProblem window;
  int64_t images, groups;
  int64_t outs, ins;  // channels of a group
  int64_t from_plane, to_plane;
  int64_t kernel;     // elements

  int64_t taps() const { return ins * kernel; }
  int64_t places() const { return images * to_plane; }
};

// Where a window at one place begins, on each axis of x.
struct Corner {
  int64_t at[3];
};

TL_DEVICE Corner CornerOf(const WindowProblem& p, int64_t place) {
  Corner corner;
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    const int64_t rest = axis > 0 ? place / p.to[axis] : 0;
    corner.at[axis] = (place - rest * p.to[axis]) * p.window[axis].stride -
                      p.window[axis].pad_before;
    place = rest;
  }
  return corner;
}

// The element of a plane of x under kernel element (u, v, k), or -1.
TL_DEVICE int64_t Under(const WindowProblem& p, const Corner& corner, int64_t u,
                        int64_t v, int64_t k) {
  const int64_t z = corner.at[0] + u * p.window[0].dilation;
  const int64_t y = corner.at[1] + v * p.window[1].dilation;
  const int64_t x = corner.at[2] + k * p.window[2].dilation;
  const bool inside = z >= 0 && z < p.from[0] && y >= 0 && y < p.from[1] &&
                      x >= 0 && x < p.from[2];
  return inside ? (z * p.from[1] + y) * p.from[2] + x : -1;
}

template <class B>
TL_DEVICE float BiasOf(const B* bias, int64_t channel) {
  return bias == nullptr ? 0.0f : ToFloat(bias[channel]);
}

// A thread for each result.
template <class X, class W, class B, class Y>
__global__ void __launch_bounds__(kThreads)
    DirectKernel(const __grid_constant__ Shape s, const X* x, const W* w,
                 const B* bias, Y* y) {
  const int64_t size = s.images * s.groups * s.outs * s.to_plane;
  const WindowProblem& p = s.window;
  const int64_t step = GridThreads();
  for (int64_t i = GridThread(); i < size; i += step) {
    const int64_t plane = i / s.to_plane;
    const int64_t channel = plane % (s.groups * s.outs);
    const Corner corner = CornerOf(p, i % s.to_plane);
    const X* from = x + (plane / (s.groups * s.outs) * s.groups +
                         channel / s.outs) * s.ins * s.from_plane;
    const W* weight = w + channel * s.ins * s.kernel;
    float sum = BiasOf(bias, channel);
    for (int64_t in = 0; in < s.ins; ++in, from += s.from_plane) {
      for (int64_t u = 0; u < p.window[0].kernel; ++u) {
        for (int64_t v = 0; v < p.window[1].kernel; ++v) {
          for (int64_t k = 0; k < p.window[2].kernel; ++k, ++weight) {
            const int64_t at = Under(p, corner, u, v, k);
            if (at >= 0) sum = fmaf(ToFloat(from[at]), ToFloat(*weight), sum);
          }
        }
      }
    }
    FromFloat(sum, y[i]);
  }
}

// Columns first .. first + count - 1 of all groups: [group, tap, column], rows
// `pitch` apart. Column c is place c % to_plane of image c / to_plane.
template <class X, class T>
__global__ void __launch_bounds__(kThreads)
    ColumnsKernel(const __grid_constant__ Shape s, const X* x, int64_t first,
                  int64_t count, int64_t pitch, T* columns) {
  const int64_t i = GridThread();
  if (i >= count) return;
  const WindowProblem& p = s.window;
  const int64_t image = (first + i) / s.to_plane;
  const Corner corner = CornerOf(p, (first + i) % s.to_plane);
  const int64_t rows = s.groups * s.ins * s.kernel;
  const X* from = x + image * s.groups * s.ins * s.from_plane;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const int64_t channel = row / s.kernel, tap = row % s.kernel;
    const int64_t across = p.window[2].kernel, down = p.window[1].kernel;
    const int64_t at = Under(p, corner, tap / across / down,
                             tap / across % down, tap % across);
    const float value =
        at >= 0 ? ToFloat(from[channel * s.from_plane + at]) : 0.0f;
    FromFloat(value, columns[row * pitch + i]);
  }
}

// Products [group, out, column] to results, with their bias.
template <class B, class Y>
__global__ void __launch_bounds__(kThreads)
    FinishKernel(const __grid_constant__ Shape s, const float* products,
                 int64_t first, int64_t count, int64_t pitch, const B* bias,
                 Y* y) {
  const int64_t i = GridThread();
  if (i >= count) return;
  const int64_t channels = s.groups * s.outs;
  const int64_t image = (first + i) / s.to_plane;
  const int64_t place = (first + i) % s.to_plane;
  for (int64_t channel = blockIdx.y; channel < channels; channel += gridDim.y) {
    const float sum = products[channel * pitch + i] + BiasOf(bias, channel);
    FromFloat(sum, y[(image * channels + channel) * s.to_plane + place]);
  }
}

// Rows of columns begin at multiples of 16 bytes.
int64_t PitchOf(int64_t columns) { return CeilDiv(columns, 8) * 8; }

class Convolver {
 public:
  explicit Convolver(const KernelArgs& args)
      : epilogue_(args),
        x_(epilogue_.operands()[0]),
        w_(epilogue_.operands()[1]),
        dtype_(args.dtype) {
    s_.window = WindowProblemOf(x_, args.outputs[0], args.ints);
    s_.images = x_.dims[0];
    s_.groups = args.ints[0];
    s_.outs = w_.dims[0] / s_.groups;
    s_.ins = w_.dims[1];
    s_.from_plane = s_.window.from_plane();
    s_.to_plane = s_.window.to_plane();
    s_.kernel = 1;
    for (int axis = 2; axis < w_.rank; ++axis) s_.kernel *= w_.dims[axis];
    if (epilogue_.operands().size() > 2) bias_ = epilogue_.operands()[2];
  }

  void Run() {
    if (s_.places() * s_.groups * s_.outs == 0) return;
    // Fewer channels leave most of a product's tile empty.
    constexpr int64_t kFewChannels = 4;
    y_ = epilogue_.aside();
    if (s_.outs <= kFewChannels || s_.taps() == 0) {
      Direct();
    } else {
      Multiply();
    }
    epilogue_.Run();
  }

 private:
  // f(bias) with a pointer of its type; null where there is none.
  template <class F>
  void WithBias(F f) {
    WithFloats(bias_.data == nullptr ? DType::F32 : bias_.dtype, [&](auto zero) {
      f(reinterpret_cast<const decltype(zero)*>(bias_.data));
    });
  }

  void Direct() {
    const int64_t size = s_.places() * s_.groups * s_.outs;
    WithFloats(x_.dtype, [&](auto x) {
      WithFloats(w_.dtype, [&](auto w) {
        WithFloats(dtype_, [&](auto y) {
          WithBias([&](auto* bias) { StartDirect(x, w, bias, y, size); });
        });
      });
    });
  }
  template <class X, class W, class B, class Y>
  void StartDirect(X, W, const B* bias, Y, int64_t size) {
    Launch(DirectKernel<X, W, B, Y>, ShapeFor(size, kThreads), s_, x_.as<X>(),
           w_.as<W>(), bias, reinterpret_cast<Y*>(y_));
  }

  // A grid whose first dimension is places and whose second shares out `rows`.
  static LaunchShape ShapeOver(int64_t places, int64_t rows) {
    constexpr int64_t kMostRows = 1024;
    return {{static_cast<unsigned>(CeilDiv(places, kThreads)),
             static_cast<unsigned>(std::min(rows, kMostRows))},
            {kThreads}};
  }

  void Multiply() {
    const bool half = x_.dtype == DType::F16 && w_.dtype == DType::F16;
    in_ = half ? DType::F16 : DType::F32;
    Weights();
    const int64_t rows = s_.groups * s_.taps();
    const int64_t channels = s_.groups * s_.outs;
    constexpr int64_t kMostBytes = int64_t{128} << 20;
    const int64_t place_bytes =
        rows * ElementBytes(in_) + channels * ElementBytes(DType::F32);
    const int64_t most = std::max<int64_t>(kMostBytes / place_bytes / 128, 1) * 128;
    const int64_t pitch = PitchOf(std::min(most, s_.places()));
    const auto columns = Allocate(rows * pitch * ElementBytes(in_));
    const auto products = Allocate(channels * pitch * ElementBytes(DType::F32));
    for (int64_t first = 0; first < s_.places(); first += most) {
      const int64_t count = std::min(most, s_.places() - first);
      Columns(first, count, pitch, columns.get());
      MultiplyDense({in_, DType::F32, s_.groups, s_.outs, s_.taps(), count,
                     {weights_, s_.taps(), s_.outs * s_.taps(), false},
                     {columns.get(), pitch, s_.taps() * pitch, false},
                     products.get(), pitch, s_.outs * pitch, nullptr});
      Finish(first, count, pitch, products.get());
    }
  }

  void Weights() {
    weights_ = w_.data;
    if (w_.dtype == in_) return;
    converted_ = Allocate(w_.size() * ElementBytes(in_));
    weights_ = converted_.get();
    Convert(w_, DenseView(w_, in_, converted_.get()));
  }

  void Columns(int64_t first, int64_t count, int64_t pitch, std::byte* to) {
    const LaunchShape shape = ShapeOver(count, s_.groups * s_.taps());
    WithFloats(x_.dtype, [&](auto x) {
      WithFloats(in_, [&](auto in) {
        using X = decltype(x);
        using T = decltype(in);
        Launch(ColumnsKernel<X, T>, shape, s_, x_.as<X>(), first, count, pitch,
               reinterpret_cast<T*>(to));
      });
    });
  }

  void Finish(int64_t first, int64_t count, int64_t pitch,
              const std::byte* products) {
    const LaunchShape shape = ShapeOver(count, s_.groups * s_.outs);
    WithFloats(dtype_, [&](auto y) {
      using Y = decltype(y);
      WithBias([&](auto* bias) {
        StartFinish<Y>(shape, reinterpret_cast<const float*>(products), first,
                       count, pitch, bias);
      });
    });
  }
  template <class Y, class B>
  void StartFinish(const LaunchShape& shape, const float* products,
                   int64_t first, int64_t count, int64_t pitch, const B* bias) {
    Launch(FinishKernel<B, Y>, shape, s_, products, first, count, pitch, bias,
           reinterpret_cast<Y*>(y_));
  }

  Epilogue epilogue_;
  Shape s_;
  const View &x_, &w_;
  View bias_ = {};
  DType dtype_;
  std::byte* y_ = nullptr;
  DType in_ = DType::F16;  // of columns and weights
  const std::byte* weights_ = nullptr;
  std::shared_ptr<std::byte> converted_;
};

}  // namespace

void Convolution(const KernelArgs& args) { Convolver(args).Run(); }

}  // namespace tl::cuda
