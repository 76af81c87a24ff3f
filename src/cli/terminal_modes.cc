#include "cli/terminal_modes.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>

#include "base/replace_file.h"

namespace tl {
namespace {

termios modes;
std::atomic<bool> remembered{false};

void RestoreAndEnd(int signal_number) {
  RemoveUnfinishedFiles();
  RestoreTerminalModes();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

}  // namespace

void RememberTerminalModes() {
  if (remembered.load() || tcgetattr(STDIN_FILENO, &modes) != 0) return;
  remembered.store(true);
  for (int signal_number : {SIGTERM, SIGHUP}) {
    struct sigaction current;
    sigaction(signal_number, nullptr, &current);
    if (current.sa_handler == SIG_DFL) signal(signal_number, RestoreAndEnd);
  }
}

void RestoreTerminalModes() {
  if (!remembered.load()) return;
  // A process in the background would be stopped by its own change.
  sigset_t stops, before;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTTOU);
  sigprocmask(SIG_BLOCK, &stops, &before);
  tcsetattr(STDIN_FILENO, TCSANOW, &modes);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace tl
