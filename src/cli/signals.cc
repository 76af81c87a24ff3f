#include "cli/signals.h"

#include <signal.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/replace_file.h"

namespace tl {
namespace {

// 128 + SIGINT, as shells report it.
constexpr int kInterruptedStatus = 130;

void EndProcess(int) {
  RemoveUnfinishedFiles();
  _exit(kInterruptedStatus);
}

void RequestInterrupt(int) {
  if (interrupt_requested.exchange(true)) EndProcess(SIGINT);
}

// Without SA_RESTART: a read that waits for a person must return.
void OnInterrupt(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

void HandleSignals() {
  signal(SIGPIPE, SIG_DFL);
  // Who starts `tl` in the background of a script may have Ctrl-C ignored.
  struct sigaction current;
  sigaction(SIGINT, nullptr, &current);
  if (current.sa_handler == SIG_DFL) OnInterrupt(EndProcess);
}

InterruptRequests::InterruptRequests() {
  interrupt_requested.store(false);
  OnInterrupt(RequestInterrupt);
}

InterruptRequests::~InterruptRequests() {
  OnInterrupt(EndProcess);
  interrupt_requested.store(false);
}

}  // namespace tl
