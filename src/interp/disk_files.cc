#include "interp/disk_files.h"

#include <algorithm>
#include <filesystem>

#include "base/read_stream.h"
#include "lang/source.h"

namespace tl {

namespace fs = std::filesystem;

std::optional<std::string> DiskFiles::Read(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  return ReadProgram(path);
}

std::optional<std::string> DiskFiles::FindModule(std::string_view name) {
  constexpr std::string_view kPrefix = "std.";
  if (library_.empty() || !name.starts_with(kPrefix)) return std::nullopt;
  std::string file(name.substr(kPrefix.size()));
  std::replace(file.begin(), file.end(), '.', '/');
  const std::string path = library_ + "/" + file + ".tl";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  return path;
}

std::string DiskFiles::Canonical(const std::string& path) {
  std::error_code failed;
  const fs::path canonical = fs::weakly_canonical(path, failed);
  return failed ? path : canonical.string();
}

std::string ReadProgram(const std::string& path) {
  // One byte past the limit is enough for Source to refuse the text.
  return ReadStream(path, Source::kMaxBytes);
}

std::string FindLibrary() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return "";
  const fs::path folder = program.parent_path();
  for (const char* place : {"../share/tensorlogic/std", "../std"}) {
    const fs::path library = (folder / place).lexically_normal();
    if (fs::is_directory(library, failed)) return library.string();
  }
  return "";
}

}  // namespace tl
