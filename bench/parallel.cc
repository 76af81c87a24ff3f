// What a parallel region costs: empty, and around 20 us of work per thread.
#include "base/parallel.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <thread>

namespace tl {
namespace {

void Work(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

// One chunk of `range` microseconds per thread. Compare with the range: the
// rest is the region.
void Region(benchmark::State& state) {
  const std::chrono::microseconds time(state.range(0));
  for (auto _ : state) {
    ParallelFor(Threads(), 1, [&](int64_t, int64_t) {
      if (time.count() > 0) Work(time);
    });
  }
  state.counters["threads"] = Threads();
}
BENCHMARK(Region)->Arg(0)->Arg(20)->UseRealTime();

// The pool has gone to sleep in between.
void RegionAfterSleep(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    state.ResumeTiming();
    ParallelFor(Threads(), 1,
                [](int64_t, int64_t) { Work(std::chrono::microseconds(20)); });
  }
}
BENCHMARK(RegionAfterSleep)->UseRealTime()->Iterations(500);

}  // namespace
}  // namespace tl

BENCHMARK_MAIN();
