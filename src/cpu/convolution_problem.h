// A convolution as its kernel sees it: weights packed into blocks of channels,
// and the result cut into bands that share what they read of x. Knows shapes
// and where things lie, computes nothing: see convolution.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cpu/elementwise.h"
#include "exec/window_problem.h"

namespace tl::cpu {

// w[out, ins, kernel ..] in f32. A group's output channels are cut into blocks;
// of a block, the weights of all its channels for one tap (an element of the
// kernel, of one input channel) lie side by side, tap after tap. A last block
// is filled up with zeros.
struct ConvolutionWeights {
  // What one pass over x multiplies; a last block may have 4 or 8.
  static constexpr int64_t kLanes = 12;
  // Floats behind the last ones that may be read.
  static constexpr int64_t kSlack = 16;

  int64_t outs, ins;  // output and input channels of a group
  int64_t kernel;     // elements
  bool flat;          // along one or two axes
  std::vector<float> values;

  // Each channel is a group.
  bool depthwise() const { return outs == 1 && ins == 1 && flat; }
  int64_t taps() const { return ins * kernel; }
  // Of few channels each is a block.
  int64_t lanes() const { return outs < 4 ? 1 : kLanes; }
  int64_t blocks() const { return (outs + lanes() - 1) / lanes(); }
  int64_t LanesOf(int64_t block) const;
  int64_t GroupLanes() const;  // of all blocks of a group
  // Where the weights of output channel `out` begin, and how far one tap's is
  // from the next one's.
  std::pair<int64_t, int64_t> PlaceOf(int64_t out) const;
  const float* Block(int64_t group, int64_t block) const {
    return values.data() +
           (group * GroupLanes() + block * lanes()) * taps();
  }
};

std::shared_ptr<const ConvolutionWeights> PackConvolution(const View& w,
                                                          int64_t groups);

// A piece of the result: `rows` rows of `places` places each, more than one row
// only where they are whole. What x holds under it is laid out so that for each
// tap all places of the band are one run of floats, rows `pitch` apart: between
// them lie some that belong to no place. To that end rows and columns of x are
// taken apart by stride into phases.
struct Band {
  int64_t rows, places;
  int64_t pitch;       // floats from a row of a phase to the next
  int64_t phase_rows;
  int64_t phase;       // floats of a phase
  int64_t across, down;  // phases that the window touches
  int64_t slice;       // floats of all phases under one slice of the kernel
  int64_t channel;     // floats from a channel to the next
  std::vector<int64_t> taps;  // where each tap meets the first place

  int64_t run(int64_t row_count, int64_t place_count) const {
    return (row_count - 1) * pitch + place_count;
  }
};

// Where a band lies.
struct BandPlace {
  int64_t image, group;
  int64_t plane;        // of x: the first of its input channels
  int64_t z, y, place;  // its first place
  int64_t rows, places;
};

struct Bounds {
  float low, high;
};

struct ConvolutionProblem {
  WindowProblem window;
  int64_t images, groups;
  View x, y;
  DType dtype;  // of a result, before the epilogue
  const ConvolutionWeights* weights;
  std::vector<float> bias;  // one for each output channel
  // After a sum: clamped, or handed to a chain of operations, or neither.
  std::optional<Bounds> bounds;
  const ElementwiseGroup* epilogue;

  Band band;
  int64_t bands, chunks;  // down and across a slice of the result

  int64_t band_count() const {
    return images * groups * window.to[0] * bands * chunks;
  }
  BandPlace PlaceOf(int64_t band) const;
  // The kernel looks at each place by itself, and x is f32: read where it lies.
  bool in_place = false;
};

// The epilogue as bounds that a result is clamped to before it is rounded,
// where that gives the same bits.
std::optional<Bounds> BoundsOf(const KernelArgs& args);

ConvolutionProblem ConvolutionProblemOf(const KernelArgs& args,
                                        const ConvolutionWeights& weights);

}  // namespace tl::cpu
