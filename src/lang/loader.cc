#include "lang/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "lang/parser.h"

namespace tl {
namespace {

// An import of an import of ...: deeper than any program, shallow enough for
// the stack.
constexpr size_t kMaxImportDepth = 100;

std::string Beside(const std::string& importer, const std::string& path) {
  size_t slash = importer.rfind('/');
  if (path.starts_with('/') || slash == std::string::npos) return path;
  return importer.substr(0, slash + 1) + path;
}

class Loader {
 public:
  Loader(ModuleFiles& files, Sources& sources, Diagnostics& diagnostics)
      : files_(files), sources_(sources), diagnostics_(diagnostics) {}

  size_t Load(const Source& source, const std::string& path) {
    LoadedModule module;
    module.path = path;
    module.tree = Parse(source, diagnostics_);
    program_.complete = program_.complete && !module.tree.ends_early;
    loading_.push_back(path);
    for (const StmtPtr& statement : module.tree.statements) {
      const auto* import = FindAs<ImportStmt>(*statement);
      if (!import) continue;
      if (std::optional<size_t> index = Import(*import, path)) {
        module.imports.push_back(*index);
      } else {
        program_.complete = false;
      }
    }
    loading_.pop_back();
    program_.modules.push_back(std::move(module));
    size_t index = program_.modules.size() - 1;
    loaded_[path] = index;
    return index;
  }

  LoadedProgram Take() { return std::move(program_); }

 private:
  std::optional<size_t> Import(const ImportStmt& import,
                               const std::string& importer);
  std::optional<std::string> PathOf(const ImportStmt& import,
                                    const std::string& importer);
  bool IsCycle(const ImportStmt& import, const std::string& path);

  ModuleFiles& files_;
  Sources& sources_;
  Diagnostics& diagnostics_;
  LoadedProgram program_;
  std::vector<std::string> loading_;
  std::unordered_map<std::string, size_t> loaded_;
};

std::optional<std::string> Loader::PathOf(const ImportStmt& import,
                                          const std::string& importer) {
  if (!import.module) return Beside(importer, import.path);
  std::optional<std::string> path = files_.FindModule(import.path);
  if (!path) {
    diagnostics_.Error(
        import.path_span,
        fmt::format("the library has no module '{}'", import.path),
        "a file is imported by its path in quotes: import \"layers.tl\"");
  }
  return path;
}

bool Loader::IsCycle(const ImportStmt& import, const std::string& path) {
  auto found = std::find(loading_.begin(), loading_.end(), path);
  if (found == loading_.end()) return false;
  std::string cycle;
  for (; found != loading_.end(); ++found) cycle += *found + " -> ";
  diagnostics_.Error(
      import.path_span,
      fmt::format("files import each other in a circle: {}{}", cycle, path));
  return true;
}

std::optional<size_t> Loader::Import(const ImportStmt& import,
                                     const std::string& importer) {
  std::optional<std::string> found = PathOf(import, importer);
  if (!found) return std::nullopt;
  std::string path = files_.Canonical(*found);
  if (auto loaded = loaded_.find(path); loaded != loaded_.end()) {
    return loaded->second;
  }
  if (IsCycle(import, path)) return std::nullopt;
  if (loading_.size() == kMaxImportDepth) {
    diagnostics_.Error(
        import.path_span,
        fmt::format("imports are nested more than {} deep", kMaxImportDepth));
    return std::nullopt;
  }
  std::optional<std::string> text;
  try {
    text = files_.Read(path);
  } catch (const Error& error) {
    diagnostics_.Error(import.path_span, error.text());
    return std::nullopt;
  }
  if (!text) {
    diagnostics_.Error(import.path_span,
                       fmt::format("there is no file '{}' to import", *found));
    return std::nullopt;
  }
  return Load(sources_.Add(*found, std::move(*text)), path);
}

}  // namespace

LoadedProgram LoadProgram(const Source& main, const std::string& path,
                          ModuleFiles& files, Sources& sources,
                          Diagnostics& diagnostics) {
  Loader loader(files, sources, diagnostics);
  loader.Load(main, path.empty() ? "" : files.Canonical(path));
  return loader.Take();
}

}  // namespace tl
