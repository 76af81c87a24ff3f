// What drawing a token costs, from a row as long as the largest vocabularies.
// The yardstick is reading the row once.
#include "text/sampler.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <numeric>

#include "base/philox.h"

namespace tl {
namespace {

constexpr size_t kVocabulary = 128256;

// Normal numbers by Box and Muller, as logits look.
const std::vector<float>& Logits() {
  static const auto& logits = *[] {
    auto* row = new std::vector<float>(kVocabulary);
    for (size_t i = 0; i < kVocabulary; ++i) {
      const float radius =
          std::sqrt(-2 * std::log(UniformAt(2 * i, 3) + 1e-9f));
      (*row)[i] =
          2.5f * radius * std::cos(6.2831853f * UniformAt(2 * i + 1, 3));
    }
    return row;
  }();
  return logits;
}

void Read(benchmark::State& state) {
  const std::vector<float>& row = Logits();
  for (auto _ : state) {
    float sums[16] = {};
    for (size_t i = 0; i < kVocabulary; i += 16) {
      for (size_t lane = 0; lane < 16; ++lane) sums[lane] += row[i + lane];
    }
    benchmark::DoNotOptimize(sums);
  }
}
BENCHMARK(Read)->Unit(benchmark::kMicrosecond);

void Draw(benchmark::State& state, SamplerOptions options) {
  Sampler sampler(std::move(options));
  std::vector<int64_t> history(1000);
  std::iota(history.begin(), history.end(), 500);
  uint64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        sampler.Draw(Logits(), history, UniformAt(i++, 1)));
  }
}
BENCHMARK_CAPTURE(Draw, greedy, {.temperature = 0})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(
    Draw, k40_p95_min05_t08,
    {.temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Draw, k40_penalties,
                  {.temperature = 0.8, .top_k = 40, .repetition_penalty = 1.1})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Draw, min05, {.min_p = 0.05})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Draw, p95, {.top_p = 0.95})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Draw, typical95, {.typical_p = 0.95})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Draw, everything, {})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tl

BENCHMARK_MAIN();
