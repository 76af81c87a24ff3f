// A program and the files it imports: each parsed once, in an order in which
// they can run (a file after all it imports). Asks for files through
// ModuleFiles, so tests need no disk. Does not check what the files say.
// Read next: checker.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lang/ast.h"
#include "lang/diagnostics.h"
#include "lang/source.h"

namespace tl {

class ModuleFiles {
 public:
  virtual ~ModuleFiles() = default;

  // The text of a file, or nothing if there is none. An Error says why one that
  // is there is not read.
  virtual std::optional<std::string> Read(const std::string& path) = 0;
  // Where `std.llama` lies, or nothing if there is no such module.
  virtual std::optional<std::string> FindModule(std::string_view name) = 0;
  // One spelling for each file, so that two ways to it are seen to be one.
  virtual std::string Canonical(const std::string& path) = 0;
};

struct LoadedModule {
  std::string path;  // canonical; empty for a program that is no file
  SyntaxTree tree;
  // Per import statement of the tree, in order: index in LoadedProgram. Those
  // that failed (and were reported) are left out.
  std::vector<size_t> imports;
};

struct LoadedProgram {
  // In running order; the program itself is the last.
  std::vector<LoadedModule> modules;
  // False where a file, or the end of one, is missing: then nothing can be said
  // about names.
  bool complete = true;
};

// `main` is the program's source; `path` is where it lies ("" if it is no
// file: imports are then relative to the working directory).
LoadedProgram LoadProgram(const Source& main, const std::string& path,
                          ModuleFiles& files, Sources& sources,
                          Diagnostics& diagnostics);

}  // namespace tl
