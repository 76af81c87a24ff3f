// Convolution as a matrix product without the matrix: what x holds under a band
// of places is laid out so that each weight meets all of them in one contiguous
// run, and convolution_tile-inl.h multiplies. All in f32, rounded once.
#include <algorithm>
#include <optional>
#include <vector>

#include "base/parallel.h"
#include "cpu/convolution_problem.h"
#include "cpu/elementwise.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/convolution.cc"
#include "hwy/foreach_target.h"
#include "cpu/band-inl.h"
#include "cpu/convolution_tile-inl.h"
#include "cpu/depthwise-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

// One band and all blocks of channels. T: the type of a result before the
// epilogue.
template <class T>
class BandConvolution {
 public:
  // What the blocks read is made at `read`, FloatsOf(problem) of them.
  BandConvolution(const ConvolutionProblem& problem, int64_t band, float* read)
      : p_(problem),
        w_(*problem.weights),
        at_(problem.PlaceOf(band)),
        read_(read) {
    const int64_t places = p_.band.run(at_.rows, at_.places);
    main_ = {read_, &p_.band.taps, places};
    if (!p_.in_place) return;
    // Whole vectors of places are read where they lie, the others copied.
    main_.x = p_.x.as<float>() + at_.plane * p_.band.channel + at_.place;
    main_.places = places / kVector * kVector;
    if (main_.places == places) return;
    for (int64_t in = 0; in < w_.ins; ++in) tail_taps_.push_back(in * kVector);
    tail_ = {read_, &tail_taps_, places - main_.places};
  }

  static int64_t FloatsOf(const ConvolutionProblem& problem) {
    return problem.weights->ins *
               (problem.in_place ? kVector : problem.band.channel) +
           kSlack;
  }

  // Makes what the blocks read, for input channels [begin, end).
  void Read(int64_t begin, int64_t end) {
    if (!p_.in_place) {
      if (p_.x.dtype == DType::F16) {
        BandReader<uint16_t>(p_).Read(at_, begin, end, read_);
      } else {
        BandReader<float>(p_).Read(at_, begin, end, read_);
      }
      return;
    }
    for (int64_t in = begin; in < end && tail_.places > 0; ++in) {
      const float* from = main_.x + in * p_.band.channel + main_.places;
      StoreFloat(LoadFirst(from, static_cast<size_t>(tail_.places)),
                 read_ + in * kVector);
    }
  }

  // Where its rows follow one another in the result as they do here, tiles are
  // stored there.
  void Block(int64_t block) const {
    const int64_t lanes = w_.LanesOf(block);
    const int64_t in_group = block * w_.lanes();
    const int64_t channels = std::min(lanes, w_.outs - in_group);
    const int64_t channel = at_.group * w_.outs + in_group;
    const BlockWeights weights = {w_.Block(at_.group, block), lanes,
                                  p_.bias.data() + channel, p_.bounds,
                                  lanes * w_.taps()};
    const bool joined = at_.rows == 1 || p_.band.pitch == at_.places;
    if (joined && p_.epilogue == nullptr && channels == lanes) {
      InPlace(lanes, weights, channel);
    } else {
      Aside(lanes, channels, weights, channel);
    }
  }

 private:
  static constexpr int64_t kVector = hn::MaxLanes(F32());
  // What a tile, or a copy of a row, reads on behind the last place.
  static constexpr int64_t kSlack = 64;

  void InPlace(int64_t lanes, const BlockWeights& weights,
               int64_t channel) const {
    const int64_t plane = p_.window.to_plane();
    const int64_t tile = lanes == 1 ? kSingleVectors * kVector : kVector;
    const int64_t whole = main_.places / tile * tile;
    const int64_t rest = main_.places - whole + tail_.places;
    T* y = p_.y.as<T>() + ResultOf(channel);
    MultiplyRun(lanes, weights, main_, 0, whole, y, plane);
    if (rest == 0) return;
    T* c = Room(lanes * kSlack);
    MultiplyRun(lanes, weights, main_, whole, main_.places, c, kSlack);
    MultiplyRun(lanes, weights, tail_, 0, tail_.places,
                c + main_.places - whole, kSlack);
    for (int64_t o = 0; o < lanes; ++o) {
      std::copy_n(c + o * kSlack, rest, y + o * plane + whole);
    }
  }

  void Aside(int64_t lanes, int64_t channels, const BlockWeights& weights,
             int64_t channel) const {
    const int64_t pitch = RoundUp(main_.places + tail_.places, 64);
    T* c = Room(lanes * pitch + kSlack);
    MultiplyRun(lanes, weights, main_, 0, main_.places, c, pitch);
    MultiplyRun(lanes, weights, tail_, 0, tail_.places, c + main_.places,
                pitch);
    for (int64_t o = 0; o < channels; ++o) {
      Deliver(c + o * pitch, ResultOf(channel + o));
    }
  }

  static T* Room(int64_t count) {
    thread_local Scratch scratch;
    return reinterpret_cast<T*>(scratch.Get(count));
  }

  // The element of the result where this band of a channel begins.
  int64_t ResultOf(int64_t channel) const {
    const int64_t plane = at_.image * p_.groups * w_.outs + channel;
    return ((plane * p_.window.to[0] + at_.z) * p_.window.to[1] + at_.y) *
               p_.window.to[2] +
           at_.place;
  }

  // Hands the band of one channel on, its rows one after the other.
  void Deliver(const T* result, int64_t at) const {
    if (p_.epilogue == nullptr) {
      return JoinRows(result, p_.y.as<T>() + at);
    }
    const int64_t count = at_.rows * at_.places;
    if (at_.rows > 1 && p_.band.pitch != at_.places) {
      thread_local std::vector<T> joined;
      joined.resize(static_cast<size_t>(count));
      JoinRows(result, joined.data());
      result = joined.data();
    }
    p_.epilogue->RunFrom(reinterpret_cast<const std::byte*>(result), at,
                         at + count);
  }

  // What a vector runs over is written again by the next row, as long as there
  // is room for it.
  void JoinRows(const T* from, T* to) const {
    constexpr int64_t kLanes = kVector * sizeof(float) / sizeof(T);
    const hn::ScalableTag<T> d;
    const T* end = to + at_.rows * at_.places;
    for (int64_t row = 0; row < at_.rows; ++row) {
      int64_t i = 0;
      for (; i < at_.places && to + i + kLanes <= end; i += kLanes) {
        hn::StoreU(hn::LoadU(d, from + i), d, to + i);
      }
      for (; i < at_.places; ++i) to[i] = from[i];
      from += p_.band.pitch;
      to += at_.places;
    }
  }

  const ConvolutionProblem& p_;
  const ConvolutionWeights& w_;
  const BandPlace at_;
  float* read_ = nullptr;
  Run main_, tail_;
  std::vector<int64_t> tail_taps_;
};

// Some microseconds of work for each piece that a thread takes.
int64_t GrainOf(int64_t multiplications) {
  constexpr int64_t kGrain = 256 << 10;
  return std::max<int64_t>(kGrain / std::max<int64_t>(multiplications, 1), 1);
}

// Bands enough for all threads, each a task with a copy of its own.
template <class T>
void ConvolveBands(const ConvolutionProblem& problem, int64_t each) {
  const int64_t blocks = problem.weights->blocks();
  ParallelFor(problem.band_count(), GrainOf(each * blocks),
              [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* read = scratch.Get(BandConvolution<T>::FloatsOf(problem));
    for (int64_t i = begin; i < end; ++i) {
      BandConvolution<T> band(problem, i, read);
      band.Read(0, problem.weights->ins);
      for (int64_t block = 0; block < blocks; ++block) band.Block(block);
    }
  });
}

// A few bands: threads read them together, then share their blocks.
template <class T>
void ConvolveBlocks(const ConvolutionProblem& problem, int64_t each) {
  const int64_t bands = problem.band_count();
  const int64_t ins = problem.weights->ins, blocks = problem.weights->blocks();
  const int64_t floats = BandConvolution<T>::FloatsOf(problem);
  thread_local Scratch scratch;
  float* read = scratch.Get(bands * floats);
  std::vector<BandConvolution<T>> work;
  work.reserve(static_cast<size_t>(bands));
  for (int64_t i = 0; i < bands; ++i) {
    work.emplace_back(problem, i, read + i * floats);
  }
  // What little there is to read in place is no work to share.
  constexpr int64_t kReadGrain = 16 << 10;
  const int64_t grain =
      problem.in_place ? bands * ins : kReadGrain * ins / floats;
  ParallelFor(bands * ins, std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      work[i / ins].Read(i % ins, i % ins + 1);
    }
  });
  ParallelFor(bands * blocks, GrainOf(each), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work[i / blocks].Block(i % blocks);
  });
}

template <class T>
void Convolve(const ConvolutionProblem& problem) {
  constexpr int64_t kManyBands = 16;
  const ConvolutionWeights& w = *problem.weights;
  const int64_t each =
      w.lanes() * problem.band.rows * problem.band.places * w.taps();
  if (problem.band_count() >= kManyBands) {
    ConvolveBands<T>(problem, each);
  } else {
    ConvolveBlocks<T>(problem, each);
  }
}

template <class T>
void ConvolveInto(const ConvolutionProblem& problem) {
  if (!problem.weights->depthwise()) {
    Convolve<T>(problem);
  } else if (problem.x.dtype == DType::F16) {
    ConvolveDepthwise<uint16_t, T>(problem);
  } else {
    ConvolveDepthwise<float, T>(problem);
  }
}

}  // namespace

void ConvolutionOfTarget(const ConvolutionProblem& problem) {
  if (problem.dtype == DType::F16) {
    ConvolveInto<uint16_t>(problem);
  } else {
    ConvolveInto<float>(problem);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(ConvolutionOfTarget);

std::shared_ptr<const void> PrepareConvolution(const View& weights,
                                               std::span<const int64_t> ints) {
  return PackConvolution(weights, ints[0]);
}

void Convolution(const KernelArgs& args) {
  std::shared_ptr<const ConvolutionWeights> packed;
  if (args.prepared == nullptr) {
    packed = PackConvolution(args.inputs[1], args.ints[0]);
  }
  const auto* weights = static_cast<const ConvolutionWeights*>(args.prepared);
  ConvolutionProblem problem =
      ConvolutionProblemOf(args, packed ? *packed : *weights);
  std::optional<ElementwiseGroup> epilogue;
  if (args.program != nullptr && !problem.bounds) {
    const size_t more = args.program->inputs - 1;
    epilogue.emplace(*args.program,
                     args.inputs.subspan(args.inputs.size() - more),
                     args.outputs);
    problem.epilogue = &*epilogue;
  }
  HWY_DYNAMIC_DISPATCH(ConvolutionOfTarget)(problem);
}

}  // namespace tl::cpu
#endif
