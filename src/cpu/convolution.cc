// Convolution without a matrix in between: the rows of x that a row of results
// needs are decoded once, taken apart by stride, and each weight multiplies a
// contiguous run of them. A block of output channels and vectors of results
// stays in registers while all weights go by. All in f32, rounded once.
#include <algorithm>
#include <optional>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "cpu/elementwise.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"
#include "cpu/window_problem.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/convolution.cc"
#include "hwy/foreach_target.h"
#include "cpu/float_rows-inl.h"
#include "cpu/phases-inl.h"
// clang-format on

#ifndef TL_CPU_CONVOLUTION_ONCE_
#define TL_CPU_CONVOLUTION_ONCE_
namespace tl::cpu {
namespace {

// The weights in f32: for each group and each block of `lanes` of its output
// channels, the weights of all of them for kernel element 0 of channel 0, then
// for the next one. A block that is not full is filled up with zeros.
struct PackedWeights {
  int64_t outs, ins, kernel;  // output and input channels of a group
  int64_t lanes;
  std::vector<float> values;

  int64_t blocks() const { return (outs + lanes - 1) / lanes; }
  const float* Block(int64_t group, int64_t block) const {
    return values.data() + (group * blocks() + block) * ins * kernel * lanes;
  }
};

struct ConvolutionProblem {
  WindowProblem window;
  int64_t images, groups;
  View x, y;
  DType dtype;  // of a result, before the epilogue
  PackedWeights weights;
  std::vector<float> bias;  // one for each output channel
  const ElementwiseGroup* epilogue;

  // Work is cut by shape alone: into chunks of a row's places, and of a group's
  // blocks where the rows are few.
  int64_t chunk, chunks;
  int64_t part, parts;

  int64_t tasks() const {
    return images * groups * window.to[0] * window.to[1] * chunks * parts;
  }
};

}  // namespace
}  // namespace tl::cpu
#endif  // TL_CPU_CONVOLUTION_ONCE_

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

// Vectors of results in registers beside a block of output channels.
constexpr int kVectors = hn::MaxLanes(F32()) == 16 ? 4 : 2;

// A row of x under the window, and its weights' place in a block.
struct Tap {
  const float* phases;
  int64_t weight;
};

class DirectConvolution {
 public:
  DirectConvolution(const ConvolutionProblem& problem, Scratch& scratch)
      : p_(problem), across_(problem.window.window[2]), scratch_(scratch) {}

  void Task(int64_t task) {
    const int64_t part = task % p_.parts;
    task /= p_.parts;
    first_ = task % p_.chunks * p_.chunk;
    task /= p_.chunks;
    count_ = std::min(p_.chunk, p_.window.to[2] - first_);
    const int64_t y = task % p_.window.to[1];
    task /= p_.window.to[1];
    const int64_t z = task % p_.window.to[0];
    task /= p_.window.to[0];
    group_ = task % p_.groups;
    image_ = task / p_.groups;
    row_ = z * p_.window.to[1] + y;
    ReadRows(z, y);
    const int64_t begin = part * p_.part;
    const int64_t end = std::min(begin + p_.part, p_.weights.blocks());
    for (int64_t block = begin; block < end; ++block) {
      if (p_.weights.lanes == 1) {
        Block<1>(block);
      } else {
        Block<4>(block);
      }
    }
  }

 private:
  // Decodes what places first_ .. first_ + count_ - 1 of this row look at.
  void ReadRows(int64_t z, int64_t y) {
    const WindowAxis &deep = p_.window.window[0], &down = p_.window.window[1];
    const int64_t width = p_.window.from[2];
    const int64_t start = first_ * across_.stride - across_.pad_before;
    const int64_t from = std::clamp<int64_t>(start, 0, width);
    const int64_t to = std::clamp<int64_t>(
        start + (count_ - 1) * across_.stride + across_.span(), from, width);
    WindowAxis window = across_;
    window.pad_before = from - start;
    phases_.emplace(window, count_);
    const int64_t rows = p_.weights.ins * deep.kernel * down.kernel;
    float* to_phases =
        scratch_.Get(RoundUpToVector(to - from) + rows * phases_->floats());
    float* loaded = to_phases + rows * phases_->floats();
    const Inside in_z = InsideOf(deep, p_.window.from[0], z);
    const Inside in_y = InsideOf(down, p_.window.from[1], y);
    taps_.clear();
    for (int64_t in = 0; in < p_.weights.ins; ++in) {
      const int64_t plane =
          (image_ * p_.groups + group_) * p_.weights.ins + in;
      for (int64_t u = in_z.first; u < in_z.last; ++u) {
        const int64_t slice =
            plane * p_.window.from[0] + in_z.start + u * deep.dilation;
        for (int64_t v = in_y.first; v < in_y.last; ++v) {
          const int64_t row =
              slice * p_.window.from[1] + in_y.start + v * down.dilation;
          Load(row * width + from, to - from, loaded);
          phases_->Split(loaded, to - from, 0, to_phases);
          const int64_t weight =
              ((in * deep.kernel + u) * down.kernel + v) * across_.kernel;
          taps_.push_back({to_phases, weight});
          to_phases += phases_->floats();
        }
      }
    }
  }

  void Load(int64_t at, int64_t count, float* to) const {
    if (p_.x.dtype == DType::F16) {
      DecodeRowOf(p_.x.as<uint16_t>() + at, 1, count, count, to);
    } else {
      DecodeRowOf(p_.x.as<float>() + at, 1, count, count, to);
    }
  }

  // The chunk of this row of kLanes output channels.
  template <int kLanes>
  void Block(int64_t block) {
    constexpr int64_t kVector = hn::MaxLanes(F32());
    const int64_t channel = group_ * p_.weights.outs + block * kLanes;
    const int64_t channels =
        std::min<int64_t>(kLanes, p_.weights.outs - block * kLanes);
    const int64_t pitch = RoundUpToVector(count_);
    result_.resize(static_cast<size_t>(kLanes * pitch));
    float bias[kLanes] = {};
    std::copy_n(p_.bias.data() + channel, channels, bias);
    const float* weights = p_.weights.Block(group_, block);
    for (int64_t i = 0; i < count_;) {
      float* to = result_.data() + i;
      const int64_t left = (count_ - i + kVector - 1) / kVector;
      if (left >= kVectors) {
        Multiply<kLanes, kVectors>(weights, i, bias, pitch, to);
        i += kVectors * kVector;
      } else {
        Multiply<kLanes, 1>(weights, i, bias, pitch, to);
        i += kVector;
      }
    }
    for (int64_t o = 0; o < channels; ++o) {
      Store(result_.data() + o * pitch, channel + o);
    }
  }

  template <int kLanes, int kCount>
  HWY_INLINE void Multiply(const float* weights, int64_t place,
                           const float* bias, int64_t pitch,
                           float* to) const {
    const F32 d;
    constexpr int64_t kVector = hn::MaxLanes(F32());
    VF sums[kLanes][kCount];
    for (int o = 0; o < kLanes; ++o) {
      for (int j = 0; j < kCount; ++j) sums[o][j] = hn::Set(d, bias[o]);
    }
    for (const Tap& tap : taps_) {
      const float* w = weights + tap.weight * kLanes;
      for (int64_t k = 0; k < across_.kernel; ++k, w += kLanes) {
        const float* x = phases_->At(tap.phases, k) + place;
        VF values[kCount];
        for (int j = 0; j < kCount; ++j) values[j] = LoadFloat(x + j * kVector);
        for (int o = 0; o < kLanes; ++o) {
          const VF weight = hn::Set(d, w[o]);
          for (int j = 0; j < kCount; ++j) {
            sums[o][j] = hn::MulAdd(values[j], weight, sums[o][j]);
          }
        }
      }
    }
    for (int o = 0; o < kLanes; ++o) {
      for (int j = 0; j < kCount; ++j) {
        StoreFloat(sums[o][j], to + o * pitch + j * kVector);
      }
    }
  }

  void Store(const float* result, int64_t channel) {
    const int64_t plane = image_ * p_.groups * p_.weights.outs + channel;
    const int64_t at = (plane * p_.window.to[0] * p_.window.to[1] + row_) *
                           p_.window.to[2] +
                       first_;
    if (p_.epilogue == nullptr) {
      if (p_.y.dtype == DType::F16) {
        StoreRow(result, count_, p_.y.as<uint16_t>() + at);
      } else {
        StoreRow(result, count_, p_.y.as<float>() + at);
      }
    } else if (p_.dtype == DType::F16) {
      halves_.resize(static_cast<size_t>(count_));
      StoreRow(result, count_, halves_.data());
      p_.epilogue->RunFrom(reinterpret_cast<const std::byte*>(halves_.data()),
                           at, at + count_);
    } else {
      p_.epilogue->RunFrom(reinterpret_cast<const std::byte*>(result), at,
                           at + count_);
    }
  }

  const ConvolutionProblem& p_;
  const WindowAxis across_;
  Scratch& scratch_;
  std::vector<Tap> taps_;
  std::vector<float> result_;
  std::vector<uint16_t> halves_;
  std::optional<Phases> phases_;  // of this chunk's rows
  int64_t image_ = 0, group_ = 0, row_ = 0, first_ = 0, count_ = 0;
};

}  // namespace

void ConvolutionOfTarget(const ConvolutionProblem& problem) {
  // Some microseconds of work for each call of the loop below.
  constexpr int64_t kGrain = 64 << 10;
  const int64_t each = problem.part * problem.weights.lanes * problem.chunk *
                       problem.weights.ins * problem.weights.kernel;
  ParallelFor(problem.tasks(),
              std::max<int64_t>(kGrain / std::max<int64_t>(each, 1), 1),
              [&](int64_t begin, int64_t end) {
                thread_local Scratch scratch;
                DirectConvolution convolution(problem, scratch);
                for (int64_t i = begin; i < end; ++i) convolution.Task(i);
              });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(ConvolutionOfTarget);

namespace {

float At(const View& view, int64_t i) {
  return view.dtype == DType::F16 ? HalfToFloat(view.as<uint16_t>()[i])
                                  : view.as<float>()[i];
}

PackedWeights Pack(const View& w, int64_t groups) {
  PackedWeights packed;
  packed.outs = w.dims[0] / groups;
  packed.ins = w.dims[1];
  packed.kernel = 1;
  for (int axis = 2; axis < w.rank; ++axis) packed.kernel *= w.dims[axis];
  packed.lanes = packed.outs >= 4 ? 4 : 1;
  const int64_t each = packed.ins * packed.kernel;
  packed.values.assign(groups * packed.blocks() * each * packed.lanes, 0);
  ParallelFor(w.dims[0], std::max<int64_t>(16384 / std::max<int64_t>(each, 1), 1),
              [&](int64_t begin, int64_t end) {
                for (int64_t o = begin; o < end; ++o) {
                  const int64_t in_group = o % packed.outs;
                  const int64_t block = o / packed.outs * packed.blocks() +
                                        in_group / packed.lanes;
                  float* to = packed.values.data() +
                              block * each * packed.lanes +
                              in_group % packed.lanes;
                  for (int64_t i = 0; i < each; ++i) {
                    to[i * packed.lanes] = At(w, o * each + i);
                  }
                }
              });
  return packed;
}

// A kernel of one element looks at each place by itself: a plane is one row.
void JoinRows(WindowProblem& problem) {
  for (int axis = 0; axis < WindowProblem::kAxes; ++axis) {
    const WindowAxis& window = problem.window[axis];
    const bool plain = window.kernel == 1 && window.stride == 1 &&
                       window.pad_before == 0 &&
                       problem.from[axis] == problem.to[axis];
    if (!plain) return;
  }
  problem.from = {1, 1, problem.from_plane()};
  problem.to = problem.from;
}

// The rows under a chunk stay in the second-level cache, and there are tasks
// for some threads.
void Cut(ConvolutionProblem& problem) {
  constexpr int64_t kCached = 64 << 10;  // floats
  constexpr int64_t kLeast = 64, kMost = 512, kTasks = 16;
  const auto& [deep, down, across] = problem.window.window;
  const int64_t rows = std::max<int64_t>(
      problem.weights.ins * deep.kernel * down.kernel * across.stride, 1);
  problem.chunk = std::clamp(kCached / rows / kLeast * kLeast, kLeast, kMost);
  problem.chunks =
      (problem.window.to[2] + problem.chunk - 1) / problem.chunk;
  problem.part = problem.weights.blocks();
  problem.parts = 1;
  const int64_t tasks = problem.tasks();
  if (tasks == 0 || tasks >= kTasks) return;
  const int64_t wanted = (kTasks + tasks - 1) / tasks;
  problem.part = std::max<int64_t>(problem.part / wanted, 4);
  problem.parts =
      (problem.weights.blocks() + problem.part - 1) / problem.part;
}

}  // namespace

void Convolution(const KernelArgs& args) {
  const View &x = args.inputs[0], &w = args.inputs[1];
  const size_t more = args.program == nullptr ? 0 : args.program->inputs - 1;
  const size_t own = args.inputs.size() - more;
  ConvolutionProblem problem;
  problem.window = WindowProblemOf(x, args.outputs[0], args.ints);
  JoinRows(problem.window);
  problem.images = x.dims[0];
  problem.groups = args.ints[0];
  problem.x = x;
  problem.y = args.outputs[0];
  problem.dtype = args.dtype;
  problem.weights = Pack(w, problem.groups);
  problem.bias.assign(w.dims[0], 0);
  for (int64_t o = 0; own > 2 && o < w.dims[0]; ++o) {
    problem.bias[o] = At(args.inputs[2], o);
  }
  std::optional<ElementwiseGroup> epilogue;
  if (args.program != nullptr) {
    epilogue.emplace(*args.program, args.inputs.subspan(own), args.outputs);
  }
  problem.epilogue = epilogue ? &*epilogue : nullptr;
  Cut(problem);
  HWY_DYNAMIC_DISPATCH(ConvolutionOfTarget)(problem);
}

}  // namespace tl::cpu
#endif
