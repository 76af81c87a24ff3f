// Ctrl-C, as a flag that long work looks at: loops and calls of the program,
// and each chunk of a ParallelFor. The command installs the handler that sets
// it; whoever sees it set throws Interrupted, which ends the program with exit
// code 130 (and an input of the REPL with nothing lost). Where nobody looks the
// process ends a moment later (cli/signals.h), unless somebody catches.
#pragma once

#include <atomic>

namespace tl {

inline std::atomic<bool> interrupt_requested{false};

struct Interrupted {};

// How many there are who go on after an Interrupted and have much to lose.
inline std::atomic<int> interrupt_catchers{0};

class InterruptCatcher {
 public:
  InterruptCatcher() { ++interrupt_catchers; }
  ~InterruptCatcher() { --interrupt_catchers; }
  InterruptCatcher(const InterruptCatcher&) = delete;
  InterruptCatcher& operator=(const InterruptCatcher&) = delete;
};

// Throws Interrupted if the flag is set, and clears it.
inline void PollInterrupt() {
  if (!interrupt_requested.load(std::memory_order_relaxed)) [[likely]] return;
  interrupt_requested.store(false);
  throw Interrupted{};
}

}  // namespace tl
