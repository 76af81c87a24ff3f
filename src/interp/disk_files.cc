#include "interp/disk_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "lang/source.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

struct ReadResult {
  std::string text;
  int error = 0;  // errno
};

ReadResult ReadFile(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(
      std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return {"", errno};
  ReadResult result;
  char piece[1 << 14];
  // One byte past the limit is enough for Source to refuse the text.
  while (result.text.size() <= Source::kMaxBytes) {
    errno = 0;
    const size_t count = std::fread(piece, 1, sizeof(piece), file.get());
    if (count == 0) break;
    result.text.append(piece, count);
  }
  if (std::ferror(file.get())) result.error = errno;
  return result;
}

}  // namespace

std::optional<std::string> DiskFiles::Read(const std::string& path) {
  ReadResult result = ReadFile(path);
  if (result.error != 0) return std::nullopt;
  return std::move(result.text);
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
  ReadResult result = ReadFile(path);
  if (result.error != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(result.error));
  }
  return std::move(result.text);
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
