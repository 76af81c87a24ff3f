#include "cli/standard_input.h"

#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "lang/source.h"

namespace tl {

std::string ReadStandardInput() {
  constexpr size_t kStep = size_t{64} << 10;
  std::string text;
  while (true) {
    const size_t size = text.size();
    text.resize(size + kStep);
    const ssize_t got = read(STDIN_FILENO, text.data() + size, kStep);
    text.resize(size + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) {
      Fail(ErrorKind::kInput, "standard input: {}", ErrnoText(errno));
    }
    if (text.size() > Source::kMaxBytes) {
      Fail(ErrorKind::kInput, "standard input: more than {} bytes",
           Source::kMaxBytes);
    }
  }
}

}  // namespace tl
