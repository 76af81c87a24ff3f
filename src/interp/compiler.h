// From a checked syntax tree to bytecode: names become registers, cells,
// globals and functions; the arguments of known calls are put in order.
// The tree is trusted to be checked; what the checker let through and the
// compiler cannot translate fails with the place in the text.
// Read next: function_compiler.h, which does the work.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "interp/bytecode.h"
#include "lang/ast.h"
#include "lang/source.h"

namespace tl {

// What the top-level names of a module (or of a session) mean.
struct TopLevelNames {
  std::unordered_map<std::string, uint16_t> globals;  // slots
  std::unordered_map<std::string, uint16_t> functions;
  std::unordered_set<std::string> own;  // not imported
};

enum class TopLevel {
  kProgram,  // names nobody else can see may live in registers
  kModule,   // all names are globals: importers see them
  kSession,  // the same, and functions may be defined again
};

// A module that an `import` of the tree stands for.
struct ImportedModule {
  uint16_t module = 0;
  const TopLevelNames* names = nullptr;
};

// In the order of the tree's import statements.
using ImportedModules = std::vector<ImportedModule>;

// Adds the module to `program` and its names to `names` (which a session
// carries from one input to the next); returns the module's number.
uint16_t CompileModule(const SyntaxTree& tree, TopLevel kind,
                       const ImportedModules& imports, const Sources& sources,
                       TopLevelNames& names, ProgramCode& program);

}  // namespace tl
