// Convolution, pooling and resampling beside references in double that walk
// every element of every window.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernel_tests/kernel_test.h"
#include "ops/interpolate.h"
#include "ops/window.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// x of these sizes under a window; weights have `out` channels.
struct Case {
  Dims x;
  Window window;
  int64_t out = 1, groups = 1;
};

Window WindowOf(Dims kernel, Dims stride, Dims dilation, Dims before,
                Dims after) {
  return {kernel, stride, dilation, before, after};
}

// Each an awkward shape: a kernel larger than x, a stride larger than the
// kernel, dilation, uneven padding, one pixel, no image, widths around a
// vector's, rows so long that they are cut, one and three axes.
std::vector<Case> Cases() {
  const Window three = WindowOf({3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1});
  return {
      {{1, 1, 1, 1}, PlainWindow(Dims{1, 1})},
      {{2, 4, 5, 17}, three, 6, 2},
      {{1, 6, 7, 33}, WindowOf({3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}), 6, 6},
      {{1, 2, 6, 31}, WindowOf({3, 3}, {2, 3}, {1, 1}, {0, 1}, {1, 0}), 4, 2},
      {{1, 3, 2, 2}, WindowOf({5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}), 2},
      {{2, 3, 9, 16}, WindowOf({2, 2}, {3, 4}, {1, 1}, {0, 0}, {0, 0}), 5},
      {{1, 2, 9, 20}, WindowOf({3, 2}, {1, 2}, {2, 5}, {2, 0}, {0, 3}), 3},
      {{0, 2, 4, 4}, three, 3},
      {{2, 5, 6, 50}, PlainWindow(Dims{1, 1}), 9},
      {{1, 2, 5, 7}, WindowOf({1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}), 40},
      {{1, 3, 1300}, WindowOf({3}, {2}, {1}, {1}, {1}), 5},
      {{3, 5, 40}, WindowOf({4}, {2}, {3}, {5}, {4}), 7},
      // Depthwise: channels beside a vector's, one row, kernels of all sizes.
      {{1, 20, 13, 19}, three, 20, 20},
      {{2, 35, 9, 31}, WindowOf({3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}), 35,
       35},
      {{1, 18, 8, 7}, WindowOf({5, 4}, {1, 2}, {1, 1}, {2, 1}, {2, 2}), 18, 18},
      {{1, 17, 4, 5}, WindowOf({3, 3}, {1, 1}, {2, 3}, {3, 3}, {1, 3}), 17, 17},
      {{1, 3, 2300}, WindowOf({5}, {2}, {1}, {2}, {2}), 3, 3},
      {{1, 6, 5, 5}, three, 12, 6},
      {{1, 3, 3, 4, 5},
       WindowOf({1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}), 3, 3},
      // Blocks of channels and remainders of places.
      {{1, 33, 14, 14}, PlainWindow(Dims{1, 1}), 29},
      {{2, 9, 7, 7}, PlainWindow(Dims{1, 1}), 20},
      {{1, 3, 70, 66}, WindowOf({3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}), 16},
      {{1, 5, 1700}, PlainWindow(Dims{1}), 8},
      {{1, 5, 9, 11}, PlainWindow(Dims{1, 1}), 2},
      {{1, 0, 4, 4}, PlainWindow(Dims{1, 1}), 8},
      {{1, 2, 3, 4, 5},
       WindowOf({2, 3, 2}, {1, 2, 1}, {1, 1, 2}, {1, 0, 1}, {0, 1, 1}), 4, 2},
  };
}

Dims PlacesOf(const Case& c) {
  Dims places;
  for (int axis = 0; axis < c.window.axes(); ++axis) {
    const int64_t span =
        (c.window.kernel[axis] - 1) * c.window.dilation[axis] + 1;
    places.push_back((c.x[axis + 2] + c.window.pad_before[axis] +
                      c.window.pad_after[axis] - span) /
                         c.window.stride[axis] +
                     1);
  }
  return places;
}

// The i-th of all index vectors below `sizes`.
Dims IndexOf(int64_t i, const Dims& sizes) {
  Dims index(sizes.size());
  for (size_t axis = sizes.size(); axis-- > 0; i /= sizes[axis]) {
    index[axis] = i % sizes[axis];
  }
  return index;
}

// visit(element of the window, element of the plane or -1 in the padding).
void VisitWindow(const Case& c, const Dims& place,
                 const std::function<void(int64_t, int64_t)>& visit) {
  for (int64_t k = 0; k < ElementCount(c.window.kernel); ++k) {
    const Dims in_kernel = IndexOf(k, c.window.kernel);
    int64_t at = 0;
    for (size_t axis = 0; axis < place.size(); ++axis) {
      const int64_t i = place[axis] * c.window.stride[axis] +
                        in_kernel[axis] * c.window.dilation[axis] -
                        c.window.pad_before[axis];
      const int64_t size = c.x[axis + 2];
      at = at < 0 || i < 0 || i >= size ? -1 : at * size + i;
    }
    visit(k, at);
  }
}

Dims ResultDims(const Case& c, int64_t channels) {
  Dims dims = {c.x[0], channels};
  for (int64_t places : PlacesOf(c)) dims.push_back(places);
  return dims;
}

int64_t PlaneOf(const Case& c) {
  return ElementCount(Dims(c.x.begin() + 2, c.x.end()));
}

std::vector<double> Convolved(const Case& c, const std::vector<double>& x,
                              const std::vector<double>& w,
                              const std::vector<double>& bias) {
  const Dims places = PlacesOf(c);
  const int64_t ins = c.x[1] / c.groups, outs = c.out / c.groups;
  const int64_t kernel = ElementCount(c.window.kernel);
  std::vector<double> y;
  for (int64_t image = 0; image < c.x[0]; ++image) {
    for (int64_t o = 0; o < c.out; ++o) {
      for (int64_t p = 0; p < ElementCount(places); ++p) {
        double sum = bias.empty() ? 0 : bias[o];
        VisitWindow(c, IndexOf(p, places), [&](int64_t k, int64_t at) {
          for (int64_t i = 0; at >= 0 && i < ins; ++i) {
            const int64_t channel = image * c.x[1] + o / outs * ins + i;
            sum += x[channel * PlaneOf(c) + at] * w[(o * ins + i) * kernel + k];
          }
        });
        y.push_back(sum);
      }
    }
  }
  return y;
}

// One value for each window of each plane.
std::vector<double> Pooled(
    const Case& c, const std::vector<double>& x,
    const std::function<double(const std::vector<double>&, int64_t)>& pool) {
  const Dims places = PlacesOf(c);
  std::vector<double> y;
  for (int64_t plane = 0; plane < c.x[0] * c.x[1]; ++plane) {
    for (int64_t p = 0; p < ElementCount(places); ++p) {
      std::vector<double> inside;
      int64_t all = 0;
      VisitWindow(c, IndexOf(p, places), [&](int64_t, int64_t at) {
        ++all;
        if (at >= 0) inside.push_back(x[plane * PlaneOf(c) + at]);
      });
      y.push_back(pool(inside, all));
    }
  }
  return y;
}

// Positive numbers: nothing cancels, so a sum's error is that of its additions.
TEST(Windows, ConvolutionMatchesTheReference) {
  ForEachTarget([] {
    for (const Case& c : Cases()) {
      for (DType dtype : {DType::F16, DType::F32}) {
        SCOPED_TRACE(ElementCount(c.x));
        Dims weights = {c.out, c.x[1] / c.groups};
        for (int64_t size : c.window.kernel) weights.push_back(size);
        const TestArray x = RandomArray(dtype, c.x, 1, 0, 1);
        const TestArray w = RandomArray(dtype, weights, 2, 0, 1);
        const TestArray bias = RandomArray(dtype, {c.out}, 3, 0, 1);
        const TestArray y = Poisoned(dtype, ResultDims(c, c.out));
        const auto ints = WindowInts("convolution", c.groups, c.window);
        const double steps = dtype == DType::F16 ? 1 : 16;
        Call(Convolution, {x, w, bias}, {y}, ints);
        ExpectClose(y, Convolved(c, x.Values(), w.Values(), bias.Values()),
                    steps);
        const TestArray plain = Poisoned(dtype, ResultDims(c, c.out));
        Call(Convolution, {x, w}, {plain}, ints);
        ExpectClose(plain, Convolved(c, x.Values(), w.Values(), {}), steps);
      }
    }
  });
}

TEST(Windows, ConvolutionGivesTheSameBitsOnAnyThreads) {
  const Case c = {{2, 4, 9, 11},
                  WindowOf({3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}), 8, 2};
  const TestArray x = RandomArray(DType::F16, c.x, 1);
  const TestArray w = RandomArray(DType::F16, {8, 2, 3, 3}, 2);
  const TestArray y = Poisoned(DType::F16, ResultDims(c, c.out));
  ExpectSameBitsOnAnyThreads(y, [&] {
    Call(Convolution, {x, w}, {y}, WindowInts("convolution", 2, c.window));
  });
}

// What follows a convolution: clamping, which is done to its sums, and anything
// else, which is handed on.
std::vector<ElementwiseProgram> Epilogues(DType dtype) {
  const auto program = [&](int inputs,
                           std::vector<ElementwiseProgram::Instruction> steps) {
    ElementwiseProgram made;
    made.inputs = inputs;
    made.input_dtypes.assign(inputs, dtype);
    made.outputs = {static_cast<uint8_t>(inputs + steps.size() - 1)};
    made.instructions = std::move(steps);
    return made;
  };
  return {program(1, {{OpId::Relu, dtype, false, {0}}}),
          program(3, {{OpId::Clamp, dtype, false, {0, 1, 2}}}),
          program(3, {{OpId::Maximum, dtype, false, {0, 1}},
                      {OpId::Minimum, dtype, false, {3, 2}}}),
          program(3, {{OpId::Minimum, dtype, false, {0, 1}},
                      {OpId::Maximum, dtype, false, {3, 2}}}),
          program(2, {{OpId::Add, dtype, false, {0, 1}},
                      {OpId::Relu, dtype, false, {2}}})};
}

void RunConvolution(const std::vector<TestArray>& inputs, const TestArray& y,
                    const Case& c, const ElementwiseProgram* program) {
  Call(Convolution, inputs, {y}, WindowInts("convolution", c.groups, c.window),
       {}, program);
}

// `program` behind a convolution of x and w, whose result alone is y.
void CheckEpilogue(const Case& c, const TestArray& x, const TestArray& w,
                   const TestArray& y, ElementwiseProgram program,
                   const std::vector<TestArray>& bounds) {
  std::vector<TestArray> inputs = {x, w};
  std::vector<TestArray> separate = {y};
  for (int i = 1; i < program.inputs; ++i) {
    program.input_dtypes[i] = DType::F32;
    inputs.push_back(BroadcastTo(bounds[i - 1], y.dims));
    separate.push_back(inputs.back());
  }
  const TestArray fused = Poisoned(y.dtype, y.dims);
  RunConvolution(inputs, fused, c, &program);
  const TestArray apart = Poisoned(y.dtype, y.dims);
  Call(Elementwise, separate, {apart}, {}, {}, &program);
  ExpectClose(fused, apart.Values(), 0);
}

TEST(Windows, AnEpilogueOfAConvolutionEqualsSeparateSteps) {
  const Window three = WindowOf({3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1});
  const Case cases[] = {{{1, 4, 7, 9}, three, 16},
                        {{1, 18, 7, 9}, three, 18, 18},
                        {{1, 6, 5, 7}, PlainWindow(Dims{1, 1}), 8}};
  const TestArray low = ArrayOf(DType::F32, {1}, {-0.25});
  // One that f16 has, and one that it has not.
  const TestArray highs[] = {ArrayOf(DType::F32, {1}, {0.5}),
                             ArrayOf(DType::F32, {1}, {0.3})};
  ForEachTarget([&] {
    for (const Case& c : cases) {
      for (DType dtype : {DType::F16, DType::F32}) {
        Dims weights = {c.out, c.x[1] / c.groups};
        for (int64_t size : c.window.kernel) weights.push_back(size);
        const TestArray x = RandomArray(dtype, c.x, 11);
        const TestArray w = RandomArray(dtype, weights, 12);
        x.Set(3, kNaN);
        x.Set(20, kInf);
        const TestArray y = Poisoned(dtype, ResultDims(c, c.out));
        RunConvolution({x, w}, y, c, nullptr);
        for (const ElementwiseProgram& program : Epilogues(dtype)) {
          for (const TestArray& high : highs) {
            CheckEpilogue(c, x, w, y, program, {low, high});
          }
        }
      }
    }
  });
}

TEST(Windows, PoolingMatchesTheReference) {
  const auto largest = [](const std::vector<double>& inside, int64_t) {
    double top = -kInf;
    for (double value : inside) top = std::max(top, value);
    return top;
  };
  const auto mean = [](const std::vector<double>& inside, int64_t all) {
    double sum = 0;
    for (double value : inside) sum += value;
    return sum / double(std::max<int64_t>(all, 1));
  };
  const auto mean_inside = [&](const std::vector<double>& inside, int64_t) {
    return mean(inside, static_cast<int64_t>(inside.size()));
  };
  ForEachTarget([&] {
    for (const Case& c : Cases()) {
      for (DType dtype : {DType::F16, DType::F32}) {
        SCOPED_TRACE(ElementCount(c.x));
        const TestArray x = RandomArray(dtype, c.x, 1, 0, 1);
        const Dims dims = ResultDims(c, c.x[1]);
        const double steps = dtype == DType::F16 ? 1 : 8;
        const TestArray top = Poisoned(dtype, dims);
        Call(MaxPool, {x}, {top}, WindowInts("max_pool", 0, c.window));
        ExpectClose(top, Pooled(c, x.Values(), largest), 0);
        const TestArray all = Poisoned(dtype, dims);
        Call(AveragePool, {x}, {all}, WindowInts("average_pool", 1, c.window));
        ExpectClose(all, Pooled(c, x.Values(), mean), steps);
        const TestArray in = Poisoned(dtype, dims);
        Call(AveragePool, {x}, {in}, WindowInts("average_pool", 0, c.window));
        ExpectClose(in, Pooled(c, x.Values(), mean_inside), steps);
      }
    }
  });
}

TEST(Windows, TheLargestElementIsNaNWhereOneIs) {
  ForEachTarget([] {
    const TestArray x = ArrayOf(DType::F16, {1, 1, 4}, {1, kNaN, -kInf, -kInf});
    const TestArray y = Poisoned(DType::F16, {1, 1, 2});
    Window window = PlainWindow(Dims{2});
    window.stride = {2};
    Call(MaxPool, {x}, {y}, WindowInts("max_pool", 0, window));
    EXPECT_TRUE(std::isnan(y.Get(0)));
    EXPECT_EQ(y.Get(1), -kInf);
  });
}

// The overhang of a mean is never counted, the padding is if that is asked for.
TEST(Windows, AMeanDoesNotCountWhereTheLastWindowReachesOut) {
  ForEachTarget([] {
    const TestArray x = ArrayOf(DType::F32, {1, 1, 5}, {1, 2, 3, 4, 5});
    Window window = PlainWindow(Dims{2});
    window.stride = {2};
    window.overhang = {1};
    const TestArray y = Poisoned(DType::F32, {1, 1, 3});
    Call(AveragePool, {x}, {y}, WindowInts("average_pool", 1, window));
    EXPECT_EQ(y.Values(), (std::vector<double>{1.5, 3.5, 5}));
  });
}

// --- Resampling --------------------------------------------------------------

double Cubic(double distance) {
  constexpr double a = -0.75;
  const double d = std::abs(distance);
  if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
  return d < 2 ? a * (d * d * d - 5 * d * d + 8 * d - 4) : 0;
}

// What element `i` of an axis counts for at `point`.
double Share(Resampling how, double point, double i) {
  switch (how) {
    case Resampling::kNearest:
      return std::floor(point) == i;
    case Resampling::kLinear:
      return std::max(0.0, 1 - std::abs(point - i));
    case Resampling::kCubic:
      return Cubic(point - i);
  }
  return 0;
}

// One axis of [outer, from, inner], elements beyond the edges being the edges.
std::vector<double> Resampled(const std::vector<double>& x, int64_t from,
                              int64_t inner, const ResampledAxis& axis,
                              Resampling how) {
  const int64_t outer = static_cast<int64_t>(x.size()) / (from * inner);
  const int64_t to = axis.size.value();
  std::vector<double> y(static_cast<size_t>(outer * to * inner), 0);
  for (int64_t n = 0; n < outer * to * inner; ++n) {
    const int64_t o = n / inner / to, t = n / inner % to, i = n % inner;
    const double point =
        (double(t) + axis.shift_out) * axis.scale + axis.shift_in;
    for (int64_t s = int64_t(std::floor(point)) - 2;
         s <= int64_t(std::floor(point)) + 3; ++s) {
      const int64_t at = std::clamp<int64_t>(s, 0, from - 1);
      y[n] += Share(how, point, double(s)) * x[(o * from + at) * inner + i];
    }
  }
  return y;
}

TEST(Windows, ResamplingMatchesTheReference) {
  // Sizes that divide, so that a point's nearest element is never in doubt.
  const struct {
    int64_t height, width, to_height, to_width;
  } sizes[] = {{1, 1, 3, 2}, {4, 17, 8, 34}, {6, 33, 3, 11}, {2, 5, 8, 5}};
  ForEachTarget([&] {
    for (const auto& s : sizes) {
      for (DType dtype : {DType::F16, DType::F32}) {
        for (Resampling how :
             {Resampling::kNearest, Resampling::kLinear, Resampling::kCubic}) {
          for (auto convention :
               {HalfPixelAxis, AsymmetricAxis, AlignedCornersAxis}) {
            const bool nearest = how == Resampling::kNearest;
            if (nearest && convention != AsymmetricAxis) continue;
            const ResampledAxis down = convention(s.height, s.to_height),
                                across = convention(s.width, s.to_width);
            const TestArray x =
                RandomArray(dtype, {2, 3, s.height, s.width}, 1, 1, 2);
            const TestArray y =
                Poisoned(dtype, {2, 3, s.to_height, s.to_width});
            Call(Interpolate, {x}, {y}, {int64_t(how), s.to_height, s.to_width},
                 {down.scale, down.shift_out, down.shift_in, across.scale,
                  across.shift_out, across.shift_in});
            const std::vector<double> rows =
                Resampled(x.Values(), s.height, s.width, down, how);
            // Points are float32: what lies between two elements moves by that.
            ExpectClose(y, Resampled(rows, s.width, 1, across, how),
                        dtype == DType::F16 ? 1 : 64);
          }
        }
      }
    }
  });
}

TEST(Windows, AnElementThatCountsForNothingDoesNotSpoilItsNeighbour) {
  ForEachTarget([] {
    const TestArray x = ArrayOf(DType::F32, {1, 1, 3}, {1, kInf, 3});
    const TestArray y = Poisoned(DType::F32, {1, 1, 3});
    Call(Interpolate, {x}, {y}, {int64_t(Resampling::kLinear), 3}, {1, 0, 0});
    EXPECT_EQ(y.Values(), (std::vector<double>{1, kInf, 3}));
  });
}

}  // namespace
}  // namespace tl::TL_KERNELS
