#include "base/sandbox.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/paths.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

struct Readable {
  std::string path;
  bool folder;
};

// Where a path leads; of a pipe, which lies nowhere, what it is.
std::string PlaceOf(const std::string& path) {
  std::string place = RealPath(path);
  struct stat status;
  if (place.empty() && path.find('\0') == std::string::npos &&
      stat(path.c_str(), &status) == 0) {
    place = fmt::format("{}:{}", status.st_dev, status.st_ino);
  }
  return place;
}

// Set up before there are threads, and only read after that.
std::optional<std::vector<Readable>>& Allowed() {
  static std::optional<std::vector<Readable>> allowed;
  return allowed;
}

bool IsAllowed(const std::string& real) {
  return std::ranges::any_of(*Allowed(), [&](const Readable& readable) {
    return readable.folder ? IsBelow(readable.path, real)
                           : readable.path == real;
  });
}

// ", which is /etc/passwd" where the name alone does not show it.
std::string LeadsTo(const std::string& path, const std::string& real) {
  std::error_code error;
  const std::string plain =
      fs::absolute(path, error).lexically_normal().string();
  const bool hidden = !error && real.starts_with('/') && plain != real &&
                      plain != real + "/";
  return hidden ? fmt::format(", which is {}", real) : "";
}

}  // namespace

void BeginSandbox() {
  if (!Allowed()) Allowed().emplace();
}

bool InSandbox() { return Allowed().has_value(); }

void AllowReading(const std::string& path) {
  TL_CHECK(InSandbox());
  std::string real = PlaceOf(path);
  if (real.empty()) return;
  std::error_code error;
  const bool folder = fs::is_directory(real, error);
  Allowed()->push_back({std::move(real), folder});
}

std::vector<std::string> ReadablePaths() {
  std::vector<std::string> paths;
  if (!InSandbox()) return paths;
  for (const Readable& readable : *Allowed()) paths.push_back(readable.path);
  return paths;
}

void RequireReadable(const std::string& path) {
  if (!InSandbox()) return;
  const std::string real = PlaceOf(path);
  if (!real.empty() && IsAllowed(real)) return;
  Fail(ErrorKind::kInput,
       "sandbox: may not read {}{}; a sandboxed program reads only what is "
       "named on the command line",
       path, LeadsTo(path, real));
}

void RequireWritable(const std::string& path) {
  if (!InSandbox()) return;
  Fail(ErrorKind::kInput,
       "sandbox: may not write {}; a sandboxed program writes no files", path);
}

void EndSandboxOfTest() { Allowed().reset(); }

}  // namespace tl
