#include "interp/output.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/printable.h"

namespace tl {
namespace {

// Large enough that writing it costs less than filling it.
constexpr size_t kBufferBytes = size_t{1} << 16;

void WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      Fail(ErrorKind::kInternal, "standard output: {}", ErrnoText(errno));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

Output::Output(int descriptor, bool escapes)
    : sink_(
          [descriptor](std::string_view text) { WriteAll(descriptor, text); }),
      at_once_(false),
      at_terminal_(isatty(descriptor) == 1),
      escapes_(escapes) {}

Output::Output(Sink sink) : sink_(std::move(sink)), at_once_(true) {}

Output::~Output() {
  try {
    Flush();
  } catch (const Error&) {
    // Nobody is left to tell; who wants to know flushes before.
  }
}

void Output::Write(std::string_view text) {
  if (at_terminal_ && escapes_) {
    buffer_ += PrintableText(text);
  } else {
    buffer_ += text;
  }
  const bool line = at_terminal_ && text.find('\n') != std::string_view::npos;
  if (at_once_ || line || buffer_.size() >= kBufferBytes) Flush();
}

std::string Output::Message(std::string text) const {
  return escapes_ ? PrintableText(text) : std::move(text);
}

void Output::Flush() {
  if (buffer_.empty()) return;
  const std::string text = std::move(buffer_);
  buffer_.clear();
  sink_(text);
}

}  // namespace tl
