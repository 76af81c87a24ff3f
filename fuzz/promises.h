// What every fuzz program promises of an input: nothing that a sanitizer
// objects to, and memory and time by the input's size. A broken promise aborts,
// which libFuzzer takes for a crash and keeps.
#pragma once

#include <fmt/format.h>
#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace tl {

[[noreturn]] inline void BrokenPromise(const std::string& promise) {
  fmt::print(stderr, "broken promise: {}\n", promise);
  std::abort();
}

inline void Promise(bool holds, const std::string& promise) {
  if (!holds) BrokenPromise(promise);
}

// The bytes that are allocated, and the most that were since it was set back.
struct HeapUse {
  std::atomic<int64_t> now{0}, most{0};

  static HeapUse& Of() {
    static HeapUse use;
    return use;
  }
  static void OnMalloc(const volatile void* /*block*/, size_t size) {
    HeapUse& use = Of();
    const int64_t now = use.now += static_cast<int64_t>(size);
    int64_t most = use.most;
    while (most < now && !use.most.compare_exchange_weak(most, now)) {
    }
  }
  static void OnFree(const volatile void* block) {
    if (block == nullptr) return;
    Of().now -= static_cast<int64_t>(
        __sanitizer_get_allocated_size(const_cast<void*>(block)));
  }
};

// What one input may cost. Makes the check when it ends.
class Budget {
 public:
  explicit Budget(size_t input_bytes)
      : bytes_(kBytes + kBytesPerByte * static_cast<int64_t>(input_bytes)),
        seconds_(kSeconds +
                 kSecondsPerByte * static_cast<double>(input_bytes)) {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(
        HeapUse::OnMalloc, HeapUse::OnFree);
    if (installed == 0) BrokenPromise("memory can be counted");
    HeapUse& use = HeapUse::Of();
    before_ = use.now;
    use.most = before_;
    began_ = CpuSeconds();
  }
  ~Budget() {
    const int64_t used = HeapUse::Of().most - before_;
    if (used > bytes_) {
      BrokenPromise(fmt::format("it takes {} bytes, at most {}", used, bytes_));
    }
    const double took = CpuSeconds() - began_;
    if (took > seconds_) {
      BrokenPromise(fmt::format("it takes {} s, at most {}", took, seconds_));
    }
  }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

 private:
  // What any program takes at its first input, such as tables and threads.
  static constexpr int64_t kBytes = 64 << 20;
  static constexpr int64_t kBytesPerByte = 1024;
  // With the sanitizers, which take about five times as long.
  static constexpr double kSeconds = 2, kSecondsPerByte = 1e-3;

  static double CpuSeconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) +
           1e-9 * static_cast<double>(now.tv_nsec);
  }

  int64_t bytes_, before_ = 0;
  double seconds_, began_ = 0;
};

}  // namespace tl
