#include "text/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace tl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t PlaceOf(std::span<const float> weights, float uniform) {
  std::vector<double> sums(weights.size() / kSummedWeights + 1);
  return PlaceOfDraw(weights.data(), std::ssize(weights), uniform, sums.data());
}

void RequireToken(int64_t token, size_t count, std::string_view where) {
  if (token < 0 || token >= static_cast<int64_t>(count)) {
    Fail(ErrorKind::kProgram, "sampler: token {} of {}; there are {} logits",
         token, where, count);
  }
}

}  // namespace

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {
  const SamplerOptions& o = options_;
  CheckDrawOptions(o.temperature, o.top_p, o.min_p);
  RequireOption(o.top_k >= 0, "top_k", static_cast<double>(o.top_k),
                "0 (all) or more");
  RequireOption(o.typical_p >= 0 && o.typical_p <= 1, "typical_p", o.typical_p,
                "a number from 0 to 1 (all)");
  RequireOption(
      o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty),
      "repetition_penalty", o.repetition_penalty,
      "a finite number above 0; 1 changes nothing");
  RequireOption(std::isfinite(o.presence_penalty), "presence_penalty",
                o.presence_penalty, "a finite number");
  RequireOption(std::isfinite(o.frequency_penalty), "frequency_penalty",
                o.frequency_penalty, "a finite number");
}

std::span<const float> Sampler::Penalised(std::span<const float> logits,
                                          std::span<const int64_t> history) {
  const SamplerOptions& o = options_;
  const bool penalties = o.repetition_penalty != 1 || o.presence_penalty != 0 ||
                         o.frequency_penalty != 0;
  if (!penalties) history = {};
  if (history.empty() && o.bias.empty()) return logits;
  row_.assign(logits.begin(), logits.end());
  occurred_.assign(history.begin(), history.end());
  std::sort(occurred_.begin(), occurred_.end());
  const auto repetition = static_cast<float>(o.repetition_penalty);
  for (auto at = occurred_.begin(); at != occurred_.end();) {
    RequireToken(*at, logits.size(), "'history'");
    const auto next = std::upper_bound(at, occurred_.end(), *at);
    float& logit = row_[*at];
    logit = logit < 0 ? logit * repetition : logit / repetition;
    logit -= static_cast<float>(o.presence_penalty +
                                o.frequency_penalty * double(next - at));
    at = next;
  }
  for (const auto& [token, added] : o.bias) {
    RequireToken(token, logits.size(), "'logit_bias'");
    row_[token] += static_cast<float>(added);
  }
  return row_;
}

// Fails where there is nothing to choose from.
float Sampler::LargestOf(std::span<const float> logits) {
  const size_t n = logits.size();
  if (n == 0 || n > size_t{std::numeric_limits<int32_t>::max()}) {
    Fail(ErrorKind::kProgram, "sampler: a row of {} logits", n);
  }
  seen_.Look(logits);
  if (seen_.has_nan()) {
    const auto at = std::find_if(logits.begin(), logits.end(),
                                 [](float x) { return x != x; });
    Fail(ErrorKind::kProgram, "sampler: logit {} of {} is NaN",
         at - logits.begin(), n);
  }
  if (seen_.largest() == -kInfinity) {
    Fail(ErrorKind::kProgram, "sampler: all of {} logits are -inf", n);
  }
  return seen_.largest();
}

// The same where a draw is wanted.
float Sampler::FiniteLargestOf(std::span<const float> logits) {
  const float largest = LargestOf(logits);
  if (largest == kInfinity) {
    const auto at = std::find(logits.begin(), logits.end(), largest);
    Fail(ErrorKind::kProgram,
         "sampler: logit {} of {} is inf; a draw needs finite ones",
         at - logits.begin(), logits.size());
  }
  return largest;
}

void Sampler::TakeAll(std::span<const float> logits) {
  tokens_.resize(logits.size());
  std::iota(tokens_.begin(), tokens_.end(), 0);
  scores_.assign(logits.begin(), logits.end());
}

// Scores and weights of what is left after all that is cut.
void Sampler::Prepare(std::span<const float> logits) {
  const float largest = FiniteLargestOf(logits);
  const auto k = static_cast<size_t>(options_.top_k);
  k > 0 && k < logits.size() ? seen_.TakeLargest(k, tokens_, scores_)
                             : TakeAll(logits);
  const auto temperature = static_cast<float>(options_.temperature);
  weights_.resize(scores_.size());
  float* const scores = scores_.data();
  float* const weights = weights_.data();
  for (size_t i = 0, n = scores_.size(); i < n; ++i) {
    scores[i] = (scores[i] - largest) / temperature;
    weights[i] = ExpOfNegative(scores[i]);
  }
  if (options_.top_p < 1) CutTopP();
  if (options_.min_p > 0) CutMinP();
  if (options_.typical_p < 1) CutTypical();
}

template <class Keep>
void Sampler::KeepWhere(Keep keep) {
  size_t kept = 0;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (!keep(i)) continue;
    tokens_[kept] = tokens_[i];
    scores_[kept] = scores_[i];
    weights_[kept++] = weights_[i];
  }
  tokens_.resize(kept);
  scores_.resize(kept);
  weights_.resize(kept);
}

// With the smallest key first, and of equal ones the highest place: the last
// whose forerunners weigh less than a part of all, as its place. Halves of what
// it may be are split off; nothing is sorted.
size_t Sampler::EdgeOf(double part) {
  const size_t n = keys_.size();
  const double wanted = part * SumOfWeights(weights_.data(), n);
  // Mostly it is among the few first, found by one pass without branches.
  float bound = kInfinity;
  for (float near : {1.0f, 3.0f, 6.0f, 14.0f}) {
    double mass = 0;
    for (size_t i = 0; i < n; ++i) mass += keys_[i] <= near ? weights_[i] : 0;
    if (mass <= wanted) continue;
    bound = near;
    break;
  }
  order_.clear();
  for (size_t i = 0; i < n; ++i) {
    if (keys_[i] <= bound) order_.push_back(static_cast<int32_t>(i));
  }
  const auto before = [this](int32_t a, int32_t b) {
    return keys_[a] != keys_[b] ? keys_[a] < keys_[b] : a > b;
  };
  size_t low = 0, high = order_.size();
  double mass = 0;  // of those before `low`
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    const auto first = order_.begin();
    std::nth_element(first + low, first + middle, first + high, before);
    double more = mass;
    for (size_t i = low; i < middle; ++i) more += weights_[order_[i]];
    if (more < wanted) {
      low = middle;
      mass = more;
    } else {
      high = middle;
    }
  }
  // At one place left, it is the first of what was not yet told apart.
  return order_[low];
}

void Sampler::CutTopP() {
  keys_.resize(scores_.size());
  for (size_t i = 0; i < keys_.size(); ++i) keys_[i] = -scores_[i];
  const size_t edge = EdgeOf(options_.top_p);
  const float lowest = scores_[edge];
  const int32_t first = tokens_[edge];
  KeepWhere([&](size_t i) {
    return scores_[i] > lowest || (scores_[i] == lowest && tokens_[i] >= first);
  });
}

void Sampler::CutMinP() {
  // The largest has weight 1.
  const auto least = static_cast<float>(options_.min_p);
  KeepWhere([&](size_t i) { return weights_[i] >= least; });
}

void Sampler::CutTypical() {
  const double total = SumOfWeights(weights_.data(), weights_.size());
  const auto log_total = static_cast<float>(std::log(total));
  double entropy = 0;
  for (size_t i = 0; i < scores_.size(); ++i) {
    if (weights_[i] > 0) entropy += weights_[i] * (log_total - scores_[i]);
  }
  entropy /= total;
  keys_.resize(scores_.size());
  const auto mean = static_cast<float>(entropy);
  for (size_t i = 0; i < keys_.size(); ++i) {
    keys_[i] = std::abs((log_total - scores_[i]) - mean);
  }
  const float furthest = keys_[EdgeOf(options_.typical_p)];
  KeepWhere([&](size_t i) { return keys_[i] <= furthest; });
}

int64_t Sampler::Draw(std::span<const float> logits,
                      std::span<const int64_t> history, float uniform) {
  const std::span<const float> row = Penalised(logits, history);
  if (greedy()) {
    const float largest = LargestOf(row);
    return std::find(row.begin(), row.end(), largest) - row.begin();
  }
  if (draws_from_few()) {
    FiniteLargestOf(row);
    return seen_.Draw(options_.top_k,
                      {static_cast<float>(options_.temperature), options_.top_p,
                       static_cast<float>(options_.min_p)},
                      uniform);
  }
  Prepare(row);
  return tokens_[PlaceOf(weights_, uniform)];
}

std::vector<Sampler::Candidate> Sampler::Candidates(
    std::span<const float> logits, std::span<const int64_t> history) {
  if (greedy()) return {{Draw(logits, history, 0), 1.0}};
  Prepare(Penalised(logits, history));
  const double total = SumOfWeights(weights_.data(), weights_.size());
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (weights_[i] > 0)
      candidates.push_back({tokens_[i], weights_[i] / total});
  }
  return candidates;
}

int64_t DrawFrom(std::span<const float> weights, float uniform) {
  bool some = false;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] >= 0 && weights[i] < kInfinity)) {
      Fail(ErrorKind::kProgram,
           "sample: probability {} of {} is {}; expected a finite one, 0 or "
           "more",
           i, weights.size(), weights[i]);
    }
    some |= weights[i] > 0;
  }
  if (!some) {
    Fail(ErrorKind::kProgram, "sample: all of {} probabilities are 0",
         weights.size());
  }
  return PlaceOf(weights, uniform);
}

}  // namespace tl
