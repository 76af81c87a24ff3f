// Finds what is certainly wrong in a program without running it: unknown names,
// arguments that do not fit, shapes that clash, tensors a model file does not
// have. What only the run can know is left to the run: a program that would run
// well is never refused. Read next: checker_rules.h.
#pragma once

#include <span>
#include <string>

#include "lang/diagnostics.h"
#include "lang/header_source.h"
#include "lang/loader.h"

namespace tl {

struct CheckOptions {
  // Asked for models whose path is a literal; null: models are not checked.
  HeaderSource* headers = nullptr;
  // Names that stand already (a session's earlier entries).
  std::span<const std::string> known_names;
  // Of a session: the value of an entry is shown, so it has an effect.
  enum class Mode { kProgram, kSession } mode = Mode::kProgram;
};

// Also of a program with syntax errors: what could be parsed is checked. An
// incomplete one is not, since any name may stand in what is missing.
void Check(const LoadedProgram& program, const CheckOptions& options,
           Diagnostics& diagnostics);

}  // namespace tl
