// A token drawn of the few best of a row of logits: top-k, temperature, top-p,
// min-p, and one draw, as text/sampler.h says, bit for bit the same on every
// device. The constexpr functions use only +, -, * and /, each rounded to
// nearest and never contracted, in the order written (as in base/random.h): a
// device that has found the candidates does the rest with them.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace tl {

// Up to here the candidates are sorted, but for those that equal the last.
inline constexpr int64_t kMostTopK = 1024;
// Up to this temperature the largest is taken.
inline constexpr double kGreedyTemperature = 1e-4;
// Logits whose maximum is known: a few bytes of maxima for a cache line or two.
inline constexpr int64_t kLogitsPerMaximum = 32;
// Weights that are summed before a draw looks at them one by one.
inline constexpr int64_t kSummedWeights = 1024;

// Fails on options out of their range.
void RequireOption(bool holds, std::string_view name, double value,
                   std::string_view expected);
void CheckDrawOptions(double temperature, double top_p, double min_p);

struct TokenCuts {
  float temperature = 1;
  double top_p = 1;
  float min_p = 0;
};

// In the order of tokens. Scores are below the largest, after temperature, and
// weights are exp of them.
struct TokenCandidates {
  int32_t* tokens;
  float* scores;
  float* weights;
  int64_t count;
  // The places of those whose score is above the lowest, the largest first, and
  // of equals the last.
  const int32_t* order;
  int64_t above;
  float lowest;
};

// exp(x) of x <= 0, to some 1e-7 of it; 0 below -87.
constexpr float ExpOfNegative(float x) {
  const float within = x < -87.0f ? -87.0f : x;
  const auto twos = static_cast<int32_t>(within * 1.44269504f - 0.5f);
  const auto k = static_cast<float>(twos);
  // ln 2 in two parts, the first of few bits, so that k times it is exact.
  const float r = (within - k * 0.693359375f) + k * 2.12194440e-4f;
  float series = 1.0f / 5040.0f;
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  const float scale = std::bit_cast<float>((twos + 127) << 23);
  return x < -87.0f ? 0.0f : series * scale;
}

constexpr double SumOfWeights(const float* x, int64_t n) {
  constexpr int64_t kLanes = 16;  // independent sums, for vectors
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[i + lane];
  }
  double sum = 0;
  for (; i < n; ++i) sum += x[i];
  for (double part : sums) sum += part;
  return sum;
}

// Where the running sum of the weights first exceeds its part `uniform`. `sums`:
// room for one of each kSummedWeights.
constexpr int64_t PlaceOfDraw(const float* weights, int64_t n, float uniform,
                              double* sums) {
  const int64_t blocks = (n + kSummedWeights - 1) / kSummedWeights;
  double total = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = block * kSummedWeights;
    const int64_t left = n - begin;
    sums[block] = SumOfWeights(
        weights + begin, left < kSummedWeights ? left : kSummedWeights);
    total += sums[block];
  }
  double rest = uniform * total;
  int64_t block = 0;
  while (block + 1 < blocks && rest >= sums[block]) rest -= sums[block++];
  if (sums[block] == 0) {
    // Rounding led past all that weighs something: the last of it.
    while (block > 0 && sums[block] == 0) --block;
    rest = std::numeric_limits<double>::infinity();
  }
  const int64_t begin = block * kSummedWeights;
  const int64_t end = n - begin < kSummedWeights ? n : begin + kSummedWeights;
  int64_t last = begin;
  for (int64_t i = begin; i < end; ++i) {
    if (weights[i] == 0) continue;
    last = i;
    if (rest < weights[i]) break;
    rest -= weights[i];
  }
  return last;
}

// Of candidates, the largest first and of equals the last: the last whose
// forerunners weigh less than a part of all.
constexpr int64_t TopPEdge(const TokenCandidates& c, double part) {
  const double wanted = part * SumOfWeights(c.weights, c.count);
  double mass = 0;
  int64_t edge = -1;
  for (int64_t i = 0; i < c.above; ++i) {
    if (edge >= 0 && mass >= wanted) return edge;
    edge = c.order[i];
    mass += c.weights[edge];
  }
  for (int64_t i = c.count; i-- > 0;) {
    if (c.scores[i] != c.lowest) continue;
    if (edge >= 0 && mass >= wanted) return edge;
    edge = i;
    mass += c.weights[edge];
  }
  return edge;
}

// What the cuts leave goes to the front.
constexpr int32_t DrawCandidate(const TokenCandidates& c, const TokenCuts& cuts,
                                float uniform, double* sums) {
  float score = -std::numeric_limits<float>::infinity();
  int32_t first = 0;
  if (cuts.top_p < 1) {
    const int64_t edge = TopPEdge(c, cuts.top_p);
    score = c.scores[edge];
    first = c.tokens[edge];
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < c.count; ++i) {
    const bool in_top_p = c.scores[i] > score ||
                          (c.scores[i] == score && c.tokens[i] >= first);
    // The largest has weight 1.
    if (!in_top_p || !(c.weights[i] >= cuts.min_p)) continue;
    c.tokens[kept] = c.tokens[i];
    c.weights[kept++] = c.weights[i];
  }
  return c.tokens[PlaceOfDraw(c.weights, kept, uniform, sums)];
}

// A row of logits after the other; their memory is kept.
class LogitsRow {
 public:
  void Look(std::span<const float> row);

  bool has_nan() const { return has_nan_; }
  float largest() const { return largest_; }  // of those that are not NaN

  // Those not below the k-th largest, which is one of them; no NaN among them.
  void TakeLargest(size_t k, std::vector<int32_t>& tokens,
                   std::vector<float>& scores);
  // From finite ones and -inf, one of them not, with a k of 1 to kMostTopK.
  int32_t Draw(size_t k, const TokenCuts& cuts, float uniform);

 private:
  std::span<const float> row_;
  std::vector<float> maxima_, keys_;
  bool has_nan_ = false;
  float largest_ = 0;
  std::vector<int32_t> tokens_, order_;
  std::vector<float> scores_, weights_;
  std::vector<double> sums_;
};

}  // namespace tl
