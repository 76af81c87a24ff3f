#include "cli/sandbox.h"

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/landlock.h"
#include "base/paths.h"
#include "base/sanitizer.h"
#include "base/sandbox.h"
#include "cli/terminal.h"
#include "format/model_files.h"
#include "format/path_within.h"
#include "interp/disk_files.h"
#include "lang/loader.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

// What tl itself asks the system while a program runs (base/memory.cc), which no
// function of the language reads.
constexpr const char* kSystemFiles[] = {
#ifdef TL_ADDRESS_SANITIZER
    "/proc/self",  // LeakSanitizer looks for the threads, at the end
#endif
    "/proc/meminfo", "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/cpu.max"};

std::string FolderOf(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void AddSurroundings(const std::string& path, std::vector<std::string>& to) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const std::string folder = FolderOf(path);
  to.push_back(RealPath(folder));
  const std::string blobs = BlobsOfHubCache(folder);
  if (!blobs.empty()) to.push_back(blobs);
}

// Lets a program import what lies beside it or in folders there, and notes it.
class ImportsBeside final : public ModuleFiles {
 public:
  ImportsBeside(const std::string& program, const std::string& library)
      : folder_(RealPath(FolderOf(program))), files_(library) {}

  std::optional<std::string> Read(const std::string& path) override {
    const std::string real = RealPath(path);
    if (real.ends_with(".tl") && IsBelow(folder_, real)) AllowReading(real);
    return files_.Read(path);
  }
  std::optional<std::string> FindModule(std::string_view name) override {
    return files_.FindModule(name);
  }
  std::string Canonical(const std::string& path) override {
    return files_.Canonical(path);
  }

 private:
  const std::string folder_;
  DiskFiles files_;
};

// What is wrong with the program is told when it is loaded to be run. From a pipe it
// can be read only once, and has nothing beside it.
void AllowImports(const std::string& program, const std::string& library) {
  std::error_code ignored;
  if (!fs::is_regular_file(program, ignored)) return;
  Sources sources;
  Diagnostics diagnostics;
  ImportsBeside files(program, library);
  const Source& source = sources.Add(program, ReadProgram(program));
  LoadProgram(source, files.Canonical(program), files, sources, diagnostics);
}

class Kernel {
 public:
  Kernel() : landlock_(FindLandlock()) {
    if (landlock_.version > 0) return;
    PrintDiagnostics(fmt::format(
        "warning: this kernel has no Landlock ({}); the sandbox is kept by tl's "
        "own checks alone\n",
        landlock_.why));
  }

  void LeaveReading(std::vector<std::string> paths) const {
    if (landlock_.version == 0) return;
    paths.insert(paths.end(), std::begin(kSystemFiles), std::end(kSystemFiles));
    LandlockToReading(landlock_, paths);
  }

 private:
  const Landlock landlock_;
};

}  // namespace

void EnterSandbox(const ProgramWords& words, ProgramOptions& options) {
  if (options.tensors.device == "gpu") {
    Fail(ErrorKind::kUsage,
         "--sandbox computes on the CPU: the driver of a GPU opens files and "
         "devices of its own; leave out --device gpu");
  }
  options.tensors.device = "cpu";
  options.escapes_output = true;
  const std::string library = FindLibrary();
  const Kernel kernel;
  BeginSandbox();
  AllowReading(words.file);
  if (!library.empty()) AllowReading(library);
  for (const std::string& word : words.arguments) AllowReading(word);

  // What will be allowed lies there.
  std::vector<std::string> first = ReadablePaths();
  AddSurroundings(words.file, first);
  for (const std::string& word : words.arguments) AddSurroundings(word, first);
  kernel.LeaveReading(std::move(first));

  for (const std::string& word : words.arguments) {
    for (const std::string& file : FilesOfModel(word)) AllowReading(file);
  }
  AllowImports(words.file, library);
  kernel.LeaveReading(ReadablePaths());
}

}  // namespace tl
