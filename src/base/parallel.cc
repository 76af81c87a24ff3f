#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace tl {
namespace {

// How often to look before sleeping. A look is a pause instruction, 10 to 40
// ns: some 50 us in all, longer than the gap between two steps of a plan and
// shorter than anybody would notice in a process that has gone idle.
constexpr int kSpins = 2000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

thread_local bool inside_region = false;

// The chunks that one thread begins with: a stretch of its own, since memory is
// read fastest by threads that each walk forward and stay out of each other's
// way. Who is done with it takes what others have not begun. `unclaimed` is the
// whole protocol: whoever takes it from k > 0 to k - 1 owns a chunk and may read
// the fields of the region, which cannot change until that chunk is counted in
// `unfinished_`. A worker that wakes up late finds nothing left, or a chunk of
// the next region, and both are fine.
struct alignas(64) Share {
  std::atomic<int64_t> unclaimed = 0;  // below 0 when somebody looked in vain
};

// One region at a time.
class Pool {
 public:
  explicit Pool(int threads) : shares_(threads) {
    try {
      for (int i = 1; i < threads; ++i) {
        workers_.emplace_back([this, i] { Work(i); });
      }
    } catch (const std::system_error&) {
      const size_t started = workers_.size() + 1;
      Stop();
      Fail(ErrorKind::kInternal, "cannot start {} threads: the system gave {}",
           threads, started);
    }
  }
  ~Pool() { Stop(); }

  void Run(int64_t n, int64_t grain, internal::ChunkFunction function,
           void* context) {
    n_ = n;
    grain_ = grain;
    function_ = function;
    context_ = context;
    failed_.store(false, std::memory_order_relaxed);
    error_ = nullptr;
    const int64_t chunks = (n + grain - 1) / grain;
    unfinished_.store(chunks, std::memory_order_relaxed);
    for (int i = 0; i < Size(); ++i) {
      shares_[i].unclaimed.store(ShareEnd(i, chunks) - ShareEnd(i - 1, chunks),
                                 std::memory_order_release);
    }
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_all();

    inside_region = true;
    TakeChunks(0);
    inside_region = false;
    AwaitFinish();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  int Size() const { return static_cast<int>(shares_.size()); }

  // The first chunk that is not of the shares up to this one.
  int64_t ShareEnd(int share, int64_t chunks) const {
    return chunks * (share + 1) / Size();
  }

  void Work(int self) {
    inside_region = true;
    while (true) {
      const uint32_t seen = signal_.load(std::memory_order_acquire);
      if (stop_.load(std::memory_order_acquire)) return;
      TakeChunks(self);
      if (!SpinForWork(seen)) signal_.wait(seen);
    }
  }

  bool SpinForWork(uint32_t seen) const {
    for (int i = 0; i < kSpins; ++i) {
      if (signal_.load(std::memory_order_relaxed) != seen) return true;
      Pause();
    }
    return false;
  }

  // Of the own share, then of the others'.
  void TakeChunks(int self) {
    for (int i = 0; i < Size(); ++i) TakeChunksOf((self + i) % Size());
  }

  void TakeChunksOf(int share) {
    std::atomic<int64_t>& unclaimed = shares_[share].unclaimed;
    while (unclaimed.load(std::memory_order_relaxed) > 0) {
      const int64_t left = unclaimed.fetch_sub(1, std::memory_order_acq_rel);
      if (left <= 0) return;
      const int64_t chunks = (n_ + grain_ - 1) / grain_;
      RunChunk(ShareEnd(share, chunks) - left);
    }
  }

  void RunChunk(int64_t chunk) {
    const int64_t begin = chunk * grain_;
    if (!failed_.load(std::memory_order_relaxed)) {
      try {
        PollInterrupt();
        function_(context_, begin, std::min(n_, begin + grain_));
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
        failed_.store(true, std::memory_order_relaxed);
      }
    }
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      unfinished_.notify_all();
    }
  }

  void AwaitFinish() {
    for (int i = 0; i < kSpins; ++i) {
      if (unfinished_.load(std::memory_order_acquire) == 0) return;
      Pause();
    }
    while (true) {
      const int64_t left = unfinished_.load(std::memory_order_acquire);
      if (left == 0) return;
      unfinished_.wait(left);
    }
  }

  void Stop() {
    stop_.store(true, std::memory_order_release);
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  std::vector<Share> shares_;  // by thread, the caller's first
  std::vector<std::thread> workers_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint32_t> signal_ = 0;  // counts regions; workers sleep on it

  // Of the region that runs.
  int64_t n_ = 0;
  int64_t grain_ = 1;
  internal::ChunkFunction function_ = nullptr;
  void* context_ = nullptr;
  std::atomic<int64_t> unfinished_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

// The pool is made on first use, and `mutex` is held while a region runs.
struct SharedPool {
  std::mutex mutex;
  std::unique_ptr<Pool> pool;
  std::atomic<int> threads = 0;  // 0: not asked yet
};

SharedPool& Shared() {
  static SharedPool shared;
  return shared;
}

// "max 100000" (no limit) or "150000 100000", in control groups version 2.
int ControlGroupThreads() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (in >> quota >> period && quota != "max" && period > 0) {
    const double threads = std::stod(quota) / period;
    return std::max(1, static_cast<int>(threads + 0.5));
  }
  return CPU_SETSIZE;
}

int AffinityThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

int DefaultThreads() {
  return std::max(1, std::min(AffinityThreads(), ControlGroupThreads()));
}

int Threads() {
  SharedPool& shared = Shared();
  int threads = shared.threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    threads = DefaultThreads();
    shared.threads.store(threads, std::memory_order_relaxed);
  }
  return threads;
}

void SetThreads(int count) {
  TL_CHECK(count >= 1 && !inside_region);
  SharedPool& shared = Shared();
  const std::lock_guard lock(shared.mutex);
  shared.threads.store(count, std::memory_order_relaxed);
  shared.pool = nullptr;
}

namespace internal {

void RunChunks(int64_t n, int64_t grain, ChunkFunction function,
               void* context) {
  TL_CHECK(grain > 0);
  SharedPool& shared = Shared();
  // A second caller does not wait for the pool: its own thread is free.
  std::unique_lock lock(shared.mutex, std::defer_lock);
  if (n <= grain || inside_region || Threads() == 1 || !lock.try_lock()) {
    for (int64_t begin = 0; begin < n; begin += grain) {
      PollInterrupt();
      function(context, begin, std::min(n, begin + grain));
    }
    return;
  }
  if (!shared.pool) shared.pool = std::make_unique<Pool>(Threads());
  shared.pool->Run(n, grain, function, context);
}

}  // namespace internal
}  // namespace tl
