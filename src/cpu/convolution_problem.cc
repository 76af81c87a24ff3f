#include "cpu/convolution_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/half.h"
#include "base/parallel.h"

namespace tl::cpu {
namespace {

// A vector's: what a copied row runs over, and a tile reads behind a channel.
constexpr int64_t kSlack = 16;
// Floats of any target's tiles divide this.
constexpr int64_t kStep = 64;

float At(const View& view, int64_t i) {
  return view.dtype == DType::F16 ? HalfToFloat(view.as<uint16_t>()[i])
                                  : view.as<float>()[i];
}

int64_t CeilDiv(int64_t n, int64_t step) { return (n + step - 1) / step; }

// As large a part of `size` as `most` allows, if all parts are to be alike.
int64_t EvenPart(int64_t size, int64_t most, int64_t step) {
  const int64_t parts = CeilDiv(size, std::max<int64_t>(most, 1));
  return CeilDiv(CeilDiv(size, parts), step) * step;
}

// A kernel of one element looks at each place by itself: a plane is one row.
bool IsPointwise(const WindowProblem& problem) {
  for (int axis = 0; axis < WindowProblem::kAxes; ++axis) {
    const WindowAxis& window = problem.window[axis];
    const bool plain = window.kernel == 1 && window.stride == 1 &&
                       window.pad_before == 0 &&
                       problem.from[axis] == problem.to[axis];
    if (!plain) return false;
  }
  return true;
}

// What x holds under a band stays in the second-level cache, a block's results
// in the first-level one.
void CutBands(ConvolutionProblem& problem) {
  constexpr int64_t kCached = 128 << 10, kResults = 8 << 10;  // floats
  const auto& [deep, down, across] = problem.window.window;
  Band& band = problem.band;
  band.across = std::min(across.stride, across.span());
  band.down = std::min(down.stride, down.span());
  const int64_t more_rows = (down.span() - 1) / down.stride;
  const int64_t more_places = (across.span() - 1) / across.stride;
  const int64_t planes =
      problem.weights->ins * deep.kernel * band.across * band.down;
  const int64_t phase = kCached / std::max<int64_t>(planes, 1);
  const int64_t run = kResults / problem.weights->lanes();
  const int64_t width = problem.window.to[2], height = problem.window.to[1];
  const int64_t pitch = width + more_places;
  const int64_t rows = std::min(phase / pitch - more_rows, run / pitch);
  if (rows >= 1) {
    band.rows = EvenPart(height, rows, 1);
    band.places = width;
  } else {
    const int64_t most = std::min(phase / (1 + more_rows), run);
    band.rows = 1;
    band.places = EvenPart(width, std::max(most / kStep * kStep, kStep), kStep);
  }
  band.pitch = band.places + more_places;
  band.phase_rows = band.rows + more_rows;
  problem.bands = CeilDiv(height, band.rows);
  problem.chunks = CeilDiv(width, band.places);
}

void PlaceTaps(ConvolutionProblem& problem) {
  const auto& [deep, down, across] = problem.window.window;
  Band& band = problem.band;
  // Read where it lies, a channel is a plane of x.
  band.phase = problem.in_place ? problem.window.from_plane()
                                : band.phase_rows * band.pitch;
  band.slice = band.across * band.down * band.phase;
  band.channel =
      problem.in_place ? band.phase : deep.kernel * band.slice + kSlack;
  std::vector<int64_t> taps;  // of one channel
  for (int64_t u = 0; u < deep.kernel; ++u) {
    for (int64_t v = 0; v < down.kernel; ++v) {
      const int64_t row = v * down.dilation;
      for (int64_t k = 0; k < across.kernel; ++k) {
        const int64_t place = k * across.dilation;
        const int64_t phase =
            row % down.stride * band.across + place % across.stride;
        taps.push_back(u * band.slice + phase * band.phase +
                       row / down.stride * band.pitch +
                       place / across.stride);
      }
    }
  }
  band.taps.resize(static_cast<size_t>(problem.weights->taps()));
  int64_t* to = band.taps.data();
  for (int64_t in = 0; in < problem.weights->ins; ++in) {
    for (int64_t tap : taps) *to++ = in * band.channel + tap;
  }
}

// A number that every element is compared with, if it may be before rounding:
// that keeps order, so it must leave the number alone.
std::optional<float> BoundOf(const View& view, DType rounded_to) {
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.dims[axis] != 1 && view.strides[axis] != 0) return std::nullopt;
  }
  if (view.dtype != DType::F32 && view.dtype != DType::F16) return std::nullopt;
  const float number = At(view, 0);
  const bool exact = rounded_to == DType::F32 ||
                     HalfToFloat(FloatToHalf(number)) == number;
  return exact && !std::isnan(number) ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<Bounds> BoundsOf(const KernelArgs& args) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  if (args.program == nullptr) return std::nullopt;
  const ElementwiseProgram& program = *args.program;
  const std::span<const View> more =
      args.inputs.subspan(args.inputs.size() - (program.inputs - 1));
  Bounds bounds = {-kInf, kInf};
  int value = 0;  // what the next instruction must go on with
  int result = program.inputs;
  for (const ElementwiseProgram::Instruction& step : program.instructions) {
    const auto number = [&](int operand) {
      const int of = step.operand[operand];
      return of == 0 || of >= program.inputs
                 ? std::nullopt
                 : BoundOf(more[of - 1], args.dtype);
    };
    if (step.operand[0] != value || step.dtype != args.dtype) {
      return std::nullopt;
    }
    std::optional<float> low = -kInf, high = kInf;
    if (step.op == OpId::Relu) {
      low = 0;
    } else if (step.op == OpId::Maximum) {
      low = number(1);
    } else if (step.op == OpId::Minimum) {
      high = number(1);
    } else if (step.op == OpId::Clamp) {
      low = number(1);
      high = number(2);
    } else {
      return std::nullopt;
    }
    // What is clamped from below after it was clamped from above is another
    // function.
    if (!low || !high || (bounds.high < kInf && *low > -kInf)) {
      return std::nullopt;
    }
    bounds = {std::max(bounds.low, *low), std::min(bounds.high, *high)};
    value = result++;
  }
  if (program.outputs.size() != 1 || program.outputs[0] != value) {
    return std::nullopt;
  }
  return bounds;
}

int64_t ConvolutionWeights::LanesOf(int64_t block) const {
  if (lanes() == 1) return 1;
  return CeilDiv(std::min(kLanes, outs - block * kLanes), 4) * 4;
}

int64_t ConvolutionWeights::GroupLanes() const {
  return (blocks() - 1) * lanes() + LanesOf(blocks() - 1);
}

std::pair<int64_t, int64_t> ConvolutionWeights::PlaceOf(int64_t out) const {
  const int64_t group = out / outs, block = out % outs / lanes();
  return {(group * GroupLanes() + block * lanes()) * taps() +
              out % outs % lanes(),
          LanesOf(block)};
}

std::shared_ptr<const ConvolutionWeights> PackConvolution(const View& w,
                                                          int64_t groups) {
  auto packed = std::make_shared<ConvolutionWeights>();
  packed->outs = w.dims[0] / groups;
  packed->ins = w.dims[1];
  packed->kernel = 1;
  for (int axis = 2; axis < w.rank; ++axis) packed->kernel *= w.dims[axis];
  packed->flat = w.rank <= 4;
  const int64_t taps = packed->taps();
  packed->values.assign(
      groups * packed->GroupLanes() * taps + ConvolutionWeights::kSlack, 0);
  const int64_t grain = std::max<int64_t>((16 << 10) / (taps + 1), 1);
  ParallelFor(w.dims[0], grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const auto [to, step] = packed->PlaceOf(o);
      for (int64_t i = 0; i < taps; ++i) {
        packed->values[to + i * step] = At(w, o * taps + i);
      }
    }
  });
  return packed;
}

BandPlace ConvolutionProblem::PlaceOf(int64_t number) const {
  const auto next = [&](int64_t count) {
    const int64_t digit = number % count;
    number /= count;
    return digit;
  };
  BandPlace at;
  at.place = next(chunks) * band.places;
  at.y = next(bands) * band.rows;
  at.z = next(window.to[0]);
  at.group = next(groups);
  at.image = number;
  at.plane = (at.image * groups + at.group) * weights->ins;
  at.rows = std::min(band.rows, window.to[1] - at.y);
  at.places = std::min(band.places, window.to[2] - at.place);
  return at;
}

ConvolutionProblem ConvolutionProblemOf(const KernelArgs& args,
                                        const ConvolutionWeights& weights) {
  const View& x = args.inputs[0];
  const size_t more = args.program == nullptr ? 0 : args.program->inputs - 1;
  ConvolutionProblem problem;
  problem.window = WindowProblemOf(x, args.outputs[0], args.ints);
  problem.images = x.dims[0];
  problem.groups = args.ints[0];
  problem.x = x;
  problem.y = args.outputs[0];
  problem.dtype = args.dtype;
  problem.weights = &weights;
  problem.bounds = BoundsOf(args);
  problem.epilogue = nullptr;
  const int64_t channels = problem.groups * problem.weights->outs;
  // A block of channels is read as a whole.
  problem.bias.assign(channels + ConvolutionWeights::kSlack, 0);
  const bool biased = args.inputs.size() - more > 2;
  if (biased && args.inputs[2].dtype == DType::F32) {
    std::copy_n(args.inputs[2].as<float>(), channels, problem.bias.data());
  } else if (biased) {
    for (int64_t o = 0; o < channels; ++o) {
      problem.bias[o] = At(args.inputs[2], o);
    }
  }
  if (IsPointwise(problem.window)) {
    const int64_t plane = problem.window.from_plane();
    problem.window.from = problem.window.to = {1, 1, plane};
    // A block of one channel is computed in whole tiles, which would read past
    // the end of x.
    problem.in_place = x.dtype == DType::F32 && weights.lanes() > 1;
  }
  CutBands(problem);
  PlaceTaps(problem);
  return problem;
}

}  // namespace tl::cpu
