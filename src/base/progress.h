// A bar on standard error for work that takes long: only on a terminal, only
// after half a second, and gone when the work is done.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace tl {

class Progress {
 public:
  // `total` is in bytes.
  Progress(std::string what, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(int64_t bytes);  // from any thread

 private:
  using Clock = std::chrono::steady_clock;

  void Draw(int64_t done);

  const std::string what_;
  const int64_t total_;
  const bool on_terminal_;
  std::atomic<int64_t> done_{0};
  std::mutex drawing_;
  Clock::time_point next_draw_;  // guarded by drawing_
  bool drawn_ = false;           // guarded by drawing_
};

// "saving out.safetensors  [#####     ]  50 %  1.1 of 2.2 GB", at most `width`
// characters.
std::string ProgressLine(const std::string& what, int64_t done, int64_t total,
                         int width);

}  // namespace tl
