// A file read from its beginning to its end, which may be a pipe or a terminal too.
// Regular files that stay where they are: base/file.h.
#pragma once

#include <cstddef>
#include <string>

namespace tl {

// Stops behind `limit` bytes: then the text is longer than that, by at most a
// buffer. Fails (kInput) if it cannot be read, or may not (base/sandbox.h).
std::string ReadStream(const std::string& path, size_t limit);

}  // namespace tl
