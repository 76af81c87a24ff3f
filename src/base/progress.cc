#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/printable.h"

namespace tl {
namespace {

constexpr auto kFirstDraw = std::chrono::milliseconds(500);
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr int kBarCells = 30;
constexpr int kUsualWidth = 80;

int TerminalWidth() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsualWidth;
  }
  return size.ws_col;
}

// One system call, so that two lines never mix. A terminal that cannot take it
// is no reason to stop the work.
void Print(const std::string& text) {
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)),
      total_(total),
      on_terminal_(isatty(STDERR_FILENO) != 0),
      next_draw_(Clock::now() + kFirstDraw) {}

Progress::~Progress() {
  if (drawn_) Print("\r\x1b[K");
}

void Progress::Advance(int64_t bytes) {
  const int64_t done = done_.fetch_add(bytes) + bytes;
  if (!on_terminal_) return;
  std::unique_lock lock(drawing_, std::try_to_lock);
  if (!lock.owns_lock() || Clock::now() < next_draw_) return;
  next_draw_ = Clock::now() + kRedraw;
  drawn_ = true;
  Draw(done);
}

void Progress::Draw(int64_t done) {
  // The last column stays free: writing there may wrap the line.
  const std::string line =
      ProgressLine(Printable(what_), done, total_, TerminalWidth() - 1);
  Print(fmt::format("\r{}\x1b[K", line));
}

std::string ProgressLine(const std::string& what, int64_t done, int64_t total,
                         int width) {
  const double part =
      total > 0 ? std::min(1.0, static_cast<double>(done) / total) : 1;
  const int filled = static_cast<int>(part * kBarCells);
  std::string line = fmt::format("{}  [{}{}]  {:3.0f} %  {:.1f} of {:.1f} GB",
                                 what, std::string(filled, '#'),
                                 std::string(kBarCells - filled, ' '),
                                 part * 100, done / 1e9, total / 1e9);
  if (static_cast<int>(line.size()) > width) {
    line = fmt::format("{:.0f} %", part * 100).substr(0, std::max(0, width));
  }
  return line;
}

}  // namespace tl
