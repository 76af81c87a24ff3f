// Ctrl-C, as a flag that long work looks at. The command installs the handler
// that sets it; whoever sees it set throws Interrupted, which ends the program
// with exit code 130 (and an input of the REPL with nothing lost).
#pragma once

#include <atomic>

namespace tl {

inline std::atomic<bool> interrupt_requested{false};

struct Interrupted {};

// Throws Interrupted if the flag is set, and clears it.
inline void PollInterrupt() {
  if (!interrupt_requested.load(std::memory_order_relaxed)) [[likely]] return;
  interrupt_requested.store(false);
  throw Interrupted{};
}

}  // namespace tl
