// The threads that compute: one pool of std::threads that spin briefly and
// then sleep. Work is cut into chunks by its shape alone, never by the number
// of threads, so a kernel that keeps one partial result per chunk gives the
// same bits on 1, 2 and 8 threads. No futures, no task graph, no priorities.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace tl {

// Threads that ParallelFor may use, the caller's included.
int Threads();

// Not from inside a ParallelFor. At least 1.
void SetThreads(int count);

// What this process may run on: its affinity mask, cut down to the CPU quota
// of its control group.
int DefaultThreads();

namespace internal {
using ChunkFunction = void (*)(void* context, int64_t begin, int64_t end);
void RunChunks(int64_t n, int64_t grain, ChunkFunction function, void* context);
}  // namespace internal

// Calls f(begin, end) for [0, grain), [grain, 2 * grain) ... up to n, in any
// order and on any thread, and returns when all are done. `begin` is always a
// multiple of `grain`, so begin / grain numbers the chunk. The first exception
// is rethrown here; chunks that have not started by then are left out. Ctrl-C
// is one (base/interrupt.h). A call from inside a chunk runs on the thread that
// made it. A region costs about 2 us when the pool is awake (bench/parallel.cc),
// so a chunk should be worth 10 us or more.
template <class F>
void ParallelFor(int64_t n, int64_t grain, F&& f) {
  using Function = std::remove_reference_t<F>;
  internal::RunChunks(
      n, grain,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<Function*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace tl
