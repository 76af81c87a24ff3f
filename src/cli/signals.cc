#include "cli/signals.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/replace_file.h"
#include "cli/terminal_modes.h"

namespace tl {
namespace {

// 128 + SIGINT, as shells report it.
constexpr int kInterruptedStatus = 130;

// How long work may take to look at the request: half of what a person feels.
constexpr int kPatienceMicroseconds = 100'000;

void EndProcess(int) {
  RemoveUnfinishedFiles();
  RestoreTerminalModes();
  _exit(kInterruptedStatus);
}

void EndIfUnheard(int) {
  if (interrupt_requested.load() && interrupt_catchers.load() == 0) {
    EndProcess(SIGALRM);
  }
}

void RequestInterrupt(int) {
  if (interrupt_requested.exchange(true)) EndProcess(SIGINT);
  const itimerval once = {{0, 0}, {0, kPatienceMicroseconds}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

void SetHandler(int signal_number, void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal_number, &action, nullptr);
}

}  // namespace

void HandleSignals() {
  signal(SIGPIPE, SIG_DFL);
  // Who starts `tl` in the background of a script may have Ctrl-C ignored.
  struct sigaction current;
  sigaction(SIGINT, nullptr, &current);
  if (current.sa_handler == SIG_DFL) SetHandler(SIGINT, EndProcess);
}

InterruptRequests::InterruptRequests() {
  interrupt_requested.store(false);
  SetHandler(SIGALRM, EndIfUnheard, SA_RESTART);
  // Without SA_RESTART: a read that waits for a person must return.
  SetHandler(SIGINT, RequestInterrupt);
}

InterruptRequests::~InterruptRequests() {
  SetHandler(SIGINT, EndProcess);
  interrupt_requested.store(false);
}

}  // namespace tl
