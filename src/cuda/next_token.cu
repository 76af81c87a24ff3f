// NextToken: which tokens are among the k best is found by all threads of a block,
// by the maxima of groups of logits; the draw among them is base/token_draw.h. This
// file is compiled without contraction (cmake/cuda.cmake), so that the token is that
// of every other device.
#include <limits>

#include "base/philox.h"
#include "base/token_draw.h"
#include "cuda/block_reduce.cuh"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/sort_key.cuh"

namespace tl::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kGroup = static_cast<int>(kLogitsPerMaximum);
static_assert(kGroup == kWarpSize);

struct Choice {
  bool greedy;
  int64_t k;
  TokenCuts cuts;
  float uniform;
};

// Room for all of a row, in case that all of it equals the k-th.
struct Room {
  double* sums;
  float* maxima;
  float* scores;
  float* weights;
  int32_t* tokens;
};

// --- Maxima ---------------------------------------------------------------------

// Of each group; NaN where there is one.
template <class T>
__global__ void FindMaxima(const T* logits, int64_t n, float* maxima) {
  const int64_t groups = (n + kGroup - 1) / kGroup;
  for (int64_t group = GridThread() / kWarpSize; group < groups;
       group += GridThreads() / kWarpSize) {
    const int64_t at = group * kGroup + Lane();
    const T logit = logits[at < n ? at : group * kGroup];
    const uint32_t best =
        WarpReduce(SortKey(logit), [](uint32_t a, uint32_t b) {
          return a > b ? a : b;
        });
    // Equal keys are equal numbers, or NaN: it does not matter who writes.
    if (SortKey(logit) == best) maxima[group] = ToFloat(logit);
  }
}

// The largest maximum, NaN above all, and the first group that has it.
TL_DEVICE int64_t GroupOfLargest(const float* maxima, int64_t groups) {
  unsigned long long best = 0;
  for (int64_t g = threadIdx.x; g < groups; g += kThreads) {
    const unsigned long long number =
        static_cast<unsigned long long>(SortKey(maxima[g])) << 32 |
        ~static_cast<uint32_t>(g);
    best = number > best ? number : best;
  }
  best = BlockReduce(best, [](unsigned long long a, unsigned long long b) {
    return a > b ? a : b;
  });
  return ~static_cast<uint32_t>(best);
}

template <class T>
TL_DEVICE int32_t FirstInGroup(const T* logits, int64_t n, int64_t group,
                               float largest) {
  for (int64_t i = group * kGroup; i < n; ++i) {
    if (ToFloat(logits[i]) == largest) return static_cast<int32_t>(i);
  }
  return -1;
}

// --- The k-th -------------------------------------------------------------------

struct Counts {
  unsigned of[3];
};

// The key of the k-th largest of x[0..n): the largest that k of them reach. Two of
// its bits are found at a time.
TL_DEVICE uint32_t KeyOfKth(const float* x, int64_t n, int64_t k) {
  uint32_t key = 0;
  for (int shift = 30; shift >= 0; shift -= 2) {
    Counts counts = {};
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      const uint32_t own = SortKey(x[i]);
#pragma unroll
      for (uint32_t digit = 1; digit < 4; ++digit) {
        counts.of[digit - 1] += own >= (key | digit << shift);
      }
    }
    counts = BlockReduce(counts, [](const Counts& a, const Counts& b) {
      return Counts{{a.of[0] + b.of[0], a.of[1] + b.of[1], a.of[2] + b.of[2]}};
    });
    for (uint32_t digit = 3; digit > 0; --digit) {
      if (counts.of[digit - 1] < k) continue;
      key |= digit << shift;
      break;
    }
  }
  return key;
}

// --- In the order of tokens -------------------------------------------------------

// Of the threads before this one; `total` of all.
TL_DEVICE int SumBefore(int value, int& total) {
  __shared__ int sums[kThreads / kWarpSize];
  int sum = value;
  for (int delta = 1; delta < kWarpSize; delta *= 2) {
    const int below = __shfl_up_sync(kFullWarp, sum, delta);
    if (Lane() >= delta) sum += below;
  }
  if (Lane() == kWarpSize - 1) sums[WarpOf()] = sum;
  __syncthreads();
  int before = 0;
  total = 0;
  for (int warp = 0; warp < kThreads / kWarpSize; ++warp) {
    if (warp < WarpOf()) before += sums[warp];
    total += sums[warp];
  }
  __syncthreads();
  return before + sum - value;
}

// Logits that reach the bound, and their tokens.
template <class T>
TL_DEVICE int64_t Gather(const T* logits, int64_t n, const float* maxima,
                         int64_t groups, uint32_t bound, const Room& to) {
  int64_t gathered = 0;
  for (int64_t first = 0; first < groups; first += kThreads) {
    const int64_t group = first + threadIdx.x;
    const int64_t begin = group * kGroup;
    int64_t end = begin + kGroup < n ? begin + kGroup : n;
    if (group >= groups || SortKey(maxima[group]) < bound) end = begin;
    int count = 0;
    for (int64_t i = begin; i < end; ++i) {
      count += SortKey(ToFloat(logits[i])) >= bound;
    }
    int total = 0;
    int64_t at = gathered + SumBefore(count, total);
    for (int64_t i = begin; i < end; ++i) {
      const float logit = ToFloat(logits[i]);
      if (SortKey(logit) < bound) continue;
      to.scores[at] = logit;
      to.tokens[at++] = static_cast<int32_t>(i);
    }
    gathered += total;
  }
  __syncthreads();
  return gathered;
}

TL_DEVICE int64_t CountReaching(const float* scores, int64_t n, uint32_t bound) {
  unsigned count = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    count += SortKey(scores[i]) >= bound;
  }
  return BlockReduce(count, Plus{});
}

// Of n logits those that reach the k-th, as scores, with weights. To the same place
// or to another.
TL_DEVICE void KeepReaching(const Room& from, int64_t n, uint32_t bound,
                            float largest, float temperature,
                            const TokenCandidates& to) {
  int64_t kept = 0;
  for (int64_t first = 0; first < n; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const float logit = i < n ? from.scores[i] : 0.0f;
    const int32_t token = i < n ? from.tokens[i] : 0;
    const bool keeps = i < n && SortKey(logit) >= bound;
    int total = 0;
    const int64_t at = kept + SumBefore(keeps, total);
    if (keeps) {
      const float score = (logit - largest) / temperature;
      to.tokens[at] = token;
      to.scores[at] = score;
      to.weights[at] = ExpOfNegative(score);
    }
    kept += total;
  }
  __syncthreads();
}

// Places of candidates above the lowest, by how many come before each.
TL_DEVICE int64_t Order(const TokenCandidates& c, int32_t* order) {
  unsigned above = 0;
  for (int64_t i = threadIdx.x; i < c.count; i += kThreads) {
    const float own = c.scores[i];
    if (own == c.lowest) continue;
    ++above;
    int64_t rank = 0;
    for (int64_t j = 0; j < c.count; ++j) {
      const float other = c.scores[j];
      rank += other > own || (other == own && j > i);
    }
    order[rank] = static_cast<int32_t>(i);
  }
  return BlockReduce(above, Plus{});
}

// --- The choice -----------------------------------------------------------------

TL_DEVICE float LowestOf(const float* scores, int64_t n) {
  float lowest = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    lowest = scores[i] < lowest ? scores[i] : lowest;
  }
  return BlockReduce(lowest, [](float a, float b) { return a < b ? a : b; });
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    ChooseToken(const T* logits, int64_t n, Room room, Choice choice,
                int32_t* token) {
  __shared__ float scores[kMostTopK], weights[kMostTopK];
  __shared__ int32_t tokens[kMostTopK], order[kMostTopK];
  const float infinity = std::numeric_limits<float>::infinity();
  const int64_t groups = (n + kGroup - 1) / kGroup;
  const int64_t best = GroupOfLargest(room.maxima, groups);
  const float largest = room.maxima[best];
  const bool finite = largest < infinity;  // NaN is not
  const bool some = choice.greedy ? largest <= infinity : finite;
  if (choice.greedy || !some || largest == -infinity) {
    if (threadIdx.x != 0) return;
    *token = some && largest > -infinity
                 ? FirstInGroup(logits, n, best, largest)
                 : -1;
    return;
  }
  const int64_t k = choice.k < n ? choice.k : n;
  const uint32_t bound = k <= groups ? KeyOfKth(room.maxima, groups, k) : 0;
  const int64_t gathered =
      Gather(logits, n, room.maxima, groups, bound, room);
  const uint32_t kth = KeyOfKth(room.scores, gathered, k);
  TokenCandidates c = {room.tokens, room.scores, room.weights,
                       CountReaching(room.scores, gathered, kth), order, 0, 0};
  if (c.count <= kMostTopK) {
    c.tokens = tokens;
    c.scores = scores;
    c.weights = weights;
  }
  KeepReaching(room, gathered, kth, largest, choice.cuts.temperature, c);
  c.lowest = LowestOf(c.scores, c.count);
  c.above = Order(c, order);
  if (threadIdx.x != 0) return;
  *token = DrawCandidate(c, choice.cuts, choice.uniform, room.sums);
}

}  // namespace

void NextToken(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const auto numbers = args.numbers;
  const int64_t n = x.size();
  const int64_t groups = CeilDiv(n, kGroup);
  const int64_t sums = n / kSummedWeights + 1;
  const uint64_t seed = static_cast<uint64_t>(numbers[4]) << 32 |
                        static_cast<uint64_t>(numbers[3]);
  const Choice choice = {numbers[0] <= kGreedyTemperature, args.ints[0],
                         {static_cast<float>(numbers[0]), numbers[1],
                          static_cast<float>(numbers[2])},
                         UniformAt(0, seed)};
  const std::shared_ptr<std::byte> memory = Allocate(
      sums * int64_t{sizeof(double)} +
      (groups + 3 * n) * int64_t{sizeof(float)});
  Room room = {};
  room.sums = reinterpret_cast<double*>(memory.get());
  room.maxima = reinterpret_cast<float*>(room.sums + sums);
  room.scores = room.maxima + groups;
  room.weights = room.scores + n;
  room.tokens = reinterpret_cast<int32_t*>(room.weights + n);
  WithFloats(x.dtype, [&]<class T>(T) {
    Launch(FindMaxima<T>, ShapeFor(groups * kWarpSize), x.as<const T>(), n,
           room.maxima);
    Launch(ChooseToken<T>, {{1}, {kThreads}}, x.as<const T>(), n, room, choice,
           args.outputs[0].as<int32_t>());
  });
}

}  // namespace tl::cuda
