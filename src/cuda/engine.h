// Starts operations on the card in the order they come: small ones together, in
// lists (step_list.h), others as kernels of their own. Used by one thread at a time.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>

#include "cuda/laps.h"
#include "cuda/step_list.h"
#include "exec/backend.h"

namespace tl::cuda {

class Engine {
 public:
  void Run(OpId op, const KernelArgs& args);
  void CopyIn(std::span<const HostBytes> all);
  // Of a few bytes as a step of the list.
  void Write(std::byte* to, const std::byte* from, int64_t bytes);
  // Of all that came since the last one; what is in `scratch` nobody will ask for.
  void EndRun(std::span<const std::byte> scratch);

  // What came so far is the work of this ticket, and may still be in the list.
  void Promise(Ticket ticket);
  // Starts all that came. The work of tickets up to the one that was promised last can
  // be waited for from then on.
  void Start();
  // The same, when nothing of it can fail any more.
  void Settle();

  // The last whose work was started.
  Ticket started() const { return started_.load(std::memory_order_acquire); }
  // The mark (runtime.h) of a ticket whose work was started; 0 of none. Any thread may
  // ask.
  uint64_t MarkOf(Ticket ticket);
  bool IsAllStarted() const { return started() == promised_; }
  size_t steps() const { return list_.steps(); }
  // So that memory can go back to the driver. False in the middle of a list.
  bool StartForRelease();

  void StartLaps();
  void EndLap() { laps_.End(); }
  std::vector<double> TakeLaps();

 private:
  void Flush();

  StepList list_;
  Laps laps_;
  bool list_at_work_ = false;  // it cannot be told to start
  bool has_token_ = false;     // the list has chosen one
  Ticket promised_ = 0;
  std::atomic<Ticket> started_ = 0;
  struct Mark {
    Ticket ticket;
    uint64_t number;
  };
  static constexpr size_t kMostMarks = 256;
  std::mutex marks_mutex_;
  std::deque<Mark> marks_;  // the last ones, in order
};

}  // namespace tl::cuda
