// Chooses the next token from a row of logits. What is cut and in which order
// is what Hugging Face's transformers do: penalties, bias, temperature, top-k,
// top-p, min-p, typical; then one draw. The functions of whole tensors are
// ops/functions_sample.cc; a row is never sorted here, only cut at thresholds.
//
// Ties: top-k keeps all that equal the k-th; top-p, of equal logits at its
// edge, those with higher numbers (transformers: whatever torch.sort leaves
// there). Without a draw the first of the largest is taken. NaN is refused,
// since it means that the model went wrong. The same numbers give the same
// token on every machine: no function of the C library decides.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/token_draw.h"

namespace tl {

struct SamplerOptions {
  double temperature = 1;         // up to kGreedyTemperature: the largest
  int64_t top_k = 0;              // 0: all
  double top_p = 1;               // 1: all
  double min_p = 0;               // 0: all
  double typical_p = 1;           // 1: all
  double repetition_penalty = 1;  // divides a positive logit, multiplies others
  double presence_penalty = 0;    // subtracted once from what occurred
  double frequency_penalty = 0;   // subtracted as often as it occurred
  std::vector<std::pair<int64_t, double>> bias;  // token, what is added
};

class Sampler {
 public:
  // Fails on options out of their range.
  explicit Sampler(SamplerOptions options);

  // `history`: what the penalties are for. `uniform`: in [0, 1).
  int64_t Draw(std::span<const float> logits, std::span<const int64_t> history,
               float uniform);

  // What Draw could give, in the order of tokens; probabilities sum up to 1.
  struct Candidate {
    int64_t token;
    double probability;
  };
  std::vector<Candidate> Candidates(std::span<const float> logits,
                                    std::span<const int64_t> history);

 private:
  bool greedy() const { return options_.temperature <= kGreedyTemperature; }
  // What a device can draw, and draws alike.
  bool draws_from_few() const {
    return options_.top_k > 0 && options_.top_k <= kMostTopK &&
           options_.typical_p == 1;
  }
  std::span<const float> Penalised(std::span<const float> logits,
                                   std::span<const int64_t> history);
  float LargestOf(std::span<const float> logits);
  float FiniteLargestOf(std::span<const float> logits);
  void Prepare(std::span<const float> logits);
  void TakeAll(std::span<const float> logits);
  void CutTopP();
  void CutMinP();
  void CutTypical();
  template <class Keep>
  void KeepWhere(Keep keep);
  size_t EdgeOf(double part);

  SamplerOptions options_;
  // Of the tokens that are still there, in their order.
  std::vector<int32_t> tokens_;
  std::vector<float> scores_;   // below the largest, after temperature: <= 0
  std::vector<float> weights_;  // exp(score)
  // Kept from row to row, so that drawing allocates nothing.
  LogitsRow seen_;
  std::vector<float> row_, keys_;
  std::vector<int64_t> occurred_;
  std::vector<int32_t> order_;
};

// A draw from probabilities, or weights: not negative, finite, not all 0.
int64_t DrawFrom(std::span<const float> weights, float uniform);

}  // namespace tl
