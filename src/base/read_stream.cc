#include "base/read_stream.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"

namespace tl {

std::string ReadStream(const std::string& path, size_t limit) {
  RequireReadable(path);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(
      std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  std::string text;
  char piece[1 << 16];
  while (text.size() <= limit) {
    errno = 0;
    const size_t count = std::fread(piece, 1, sizeof piece, file.get());
    if (count == 0) break;
    text.append(piece, count);
  }
  if (std::ferror(file.get())) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  return text;
}

}  // namespace tl
