// Where imports come from: the file system, and the folder of library modules.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lang/loader.h"

namespace tl {

class DiskFiles final : public ModuleFiles {
 public:
  // `library`: the folder of `import std.NAME`; empty if there is none.
  explicit DiskFiles(std::string library) : library_(std::move(library)) {}

  std::optional<std::string> Read(const std::string& path) override;
  std::optional<std::string> FindModule(std::string_view name) override;
  std::string Canonical(const std::string& path) override;

 private:
  const std::string library_;
};

// The text of a program. Fails (kInput) if the file cannot be read.
std::string ReadProgram(const std::string& path);

// The folder of library modules beside this executable: as installed, or in
// the source tree of the build; empty if there is neither.
std::string FindLibrary();

}  // namespace tl
