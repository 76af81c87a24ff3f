// How Llama 3 stretches its positions: four numbers in config.json, and in GGUF
// the factor of each frequency, in the tensor rope_freqs.weight. Both ways
// between the two; nothing is read here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tl {

struct Llama3Scaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double context = 8192;  // original_max_position_embeddings
};

// The frequencies of a head: base^(-2i / dim).
struct RopeFrequencies {
  double base = 10000;
  int64_t dim = 0;
};

// One factor for each frequency.
std::vector<float> RopeFactors(const Llama3Scaling& scaling,
                               const RopeFrequencies& frequencies);

// The scaling whose factors these are, if all but its `factor` is what the
// models of Llama 3 have.
std::optional<Llama3Scaling> FindLlama3Scaling(
    std::span<const float> factors, const RopeFrequencies& frequencies);

}  // namespace tl
