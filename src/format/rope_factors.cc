#include "format/rope_factors.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tl {
namespace {

// Other programs compute the factors in float32.
constexpr double kTolerance = 1e-4;

}  // namespace

// A frequency whose wave is longer than the context of the training is slowed
// by the whole factor, one much shorter not at all, and between the two in
// part.
std::vector<float> RopeFactors(const Llama3Scaling& scaling,
                               const RopeFrequencies& frequencies) {
  const auto& [factor, low, high, context] = scaling;
  std::vector<float> factors;
  for (int64_t i = 0; i + 1 < frequencies.dim; i += 2) {
    const double frequency =
        std::pow(frequencies.base, -static_cast<double>(i) / frequencies.dim);
    const double wave = 2 * std::numbers::pi / frequency;
    const double part = (context / wave - low) / (high - low);
    double value = 1 / ((1 - part) / factor + part);
    if (wave < context / high) value = 1;
    if (wave > context / low) value = factor;
    factors.push_back(static_cast<float>(value));
  }
  return factors;
}

std::optional<Llama3Scaling> FindLlama3Scaling(
    std::span<const float> factors, const RopeFrequencies& frequencies) {
  if (factors.empty()) return std::nullopt;
  Llama3Scaling scaling;
  scaling.factor = *std::max_element(factors.begin(), factors.end());
  if (!std::isfinite(scaling.factor) || scaling.factor < 1) return std::nullopt;
  const bool same = std::ranges::equal(
      factors, RopeFactors(scaling, frequencies), [](float a, float b) {
        return std::abs(a - b) <= kTolerance * std::abs(b);
      });
  return same ? std::optional(scaling) : std::nullopt;
}

}  // namespace tl
