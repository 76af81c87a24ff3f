#include "base/paths.h"

#include <system_error>

namespace tl {

namespace fs = std::filesystem;

std::string RealPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return "";
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return "";
  fs::path real = fs::weakly_canonical(absolute, error);
  if (error) return "";
  if (!real.has_filename() && real.has_relative_path()) {
    real = real.parent_path();  // a slash at the end
  }
  return real.string();
}

bool IsBelow(const fs::path& folder, const fs::path& file) {
  auto part = file.begin();
  for (const fs::path& expected : folder) {
    if (expected.empty()) continue;  // behind a slash at the end
    if (part == file.end() || *part++ != expected) return false;
  }
  return true;
}

}  // namespace tl
