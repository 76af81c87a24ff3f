// What Ctrl-C and a closed pipe do to `tl`.
#pragma once

namespace tl {

// Ctrl-C ends the process with status 130 and leaves no unfinished file; a
// reader of standard output that goes away ends it quietly. For all commands.
void HandleSignals();

// While it lives, Ctrl-C asks the running program to stop (base/interrupt.h). A
// second one ends the process, and so does the first where nobody has looked at
// it for a tenth of a second and nobody catches it.
class InterruptRequests {
 public:
  InterruptRequests();
  ~InterruptRequests();
  InterruptRequests(const InterruptRequests&) = delete;
  InterruptRequests& operator=(const InterruptRequests&) = delete;
};

}  // namespace tl
