#include "base/token_draw.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"

namespace tl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Independent maxima, for vectors.
constexpr size_t kLanes = 16;

// NaN is passed over.
float MaximumOf(const float* x, size_t n) {
  float maxima[kLanes];
  std::fill_n(maxima, kLanes, -kInfinity);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = x[i + lane];
      maxima[lane] = value > maxima[lane] ? value : maxima[lane];
    }
  }
  for (; i < n; ++i) maxima[0] = x[i] > maxima[0] ? x[i] : maxima[0];
  return *std::max_element(maxima, maxima + kLanes);
}

bool HasNaN(const float* x, size_t n) {
  int32_t found[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      found[lane] |= x[i + lane] != x[i + lane];
    }
  }
  for (; i < n; ++i) found[0] |= x[i] != x[i];
  return std::any_of(found, found + kLanes, [](int32_t f) { return f != 0; });
}

float KthOf(std::vector<float>& keys, size_t k) {
  std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.end(),
                   std::greater<>());
  return keys[k - 1];
}

}  // namespace

void RequireOption(bool holds, std::string_view name, double value,
                   std::string_view expected) {
  if (!holds) {
    Fail(ErrorKind::kProgram, "sampler: '{}' is {}; expected {}", name, value,
         expected);
  }
}

void CheckDrawOptions(double temperature, double top_p, double min_p) {
  RequireOption(temperature >= 0 && std::isfinite(temperature), "temperature",
                temperature, "a finite number, 0 (the largest logit) or more");
  RequireOption(top_p >= 0 && top_p <= 1, "top_p", top_p,
                "a number from 0 to 1 (all)");
  RequireOption(min_p >= 0 && min_p <= 1, "min_p", min_p,
                "a number from 0 (all) to 1");
}

void LogitsRow::Look(std::span<const float> row) {
  row_ = row;
  const size_t n = row.size();
  maxima_.resize((n + kLogitsPerMaximum - 1) / kLogitsPerMaximum);
  has_nan_ = false;
  for (size_t block = 0; block < maxima_.size(); ++block) {
    const float* first = &row[block * kLogitsPerMaximum];
    const size_t count =
        std::min(size_t{kLogitsPerMaximum}, n - block * kLogitsPerMaximum);
    maxima_[block] = MaximumOf(first, count);
    has_nan_ |= HasNaN(first, count);
  }
  largest_ = *std::max_element(maxima_.begin(), maxima_.end());
}

// The k-th largest of the blocks' maxima is not above it, so only few blocks are
// looked at.
void LogitsRow::TakeLargest(size_t k, std::vector<int32_t>& tokens,
                            std::vector<float>& scores) {
  float bound = -kInfinity;
  if (k <= maxima_.size()) {
    keys_ = maxima_;
    bound = KthOf(keys_, k);
  }
  tokens.clear();
  scores.clear();
  for (size_t block = 0; block < maxima_.size(); ++block) {
    if (maxima_[block] < bound) continue;
    const size_t end =
        std::min((block + 1) * kLogitsPerMaximum, row_.size());
    for (size_t i = block * kLogitsPerMaximum; i < end; ++i) {
      if (row_[i] < bound) continue;
      tokens.push_back(static_cast<int32_t>(i));
      scores.push_back(row_[i]);
    }
  }
  keys_ = scores;
  const float kth = KthOf(keys_, k);
  size_t kept = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] < kth) continue;
    tokens[kept] = tokens[i];
    scores[kept++] = scores[i];
  }
  tokens.resize(kept);
  scores.resize(kept);
}

int32_t LogitsRow::Draw(size_t k, const TokenCuts& cuts, float uniform) {
  TakeLargest(std::min(k, row_.size()), tokens_, scores_);
  const size_t n = scores_.size();
  weights_.resize(n);
  float lowest = kInfinity;
  for (size_t i = 0; i < n; ++i) {
    scores_[i] = (scores_[i] - largest_) / cuts.temperature;
    weights_[i] = ExpOfNegative(scores_[i]);
    lowest = std::min(lowest, scores_[i]);
  }
  order_.clear();
  for (size_t i = 0; i < n; ++i) {
    if (scores_[i] > lowest) order_.push_back(static_cast<int32_t>(i));
  }
  std::sort(order_.begin(), order_.end(), [this](int32_t a, int32_t b) {
    return scores_[a] != scores_[b] ? scores_[a] > scores_[b] : a > b;
  });
  sums_.resize(n / kSummedWeights + 1);
  return DrawCandidate({tokens_.data(), scores_.data(), weights_.data(),
                        static_cast<int64_t>(n), order_.data(),
                        static_cast<int64_t>(order_.size()), lowest},
                       cuts, uniform, sums_.data());
}

}  // namespace tl
