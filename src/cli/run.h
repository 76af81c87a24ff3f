// Running one program from start to end, whatever command asked for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/program_options.h"

namespace tl {

// Hands an interpreter to `start` and gives the exit status that it gives.
// Ctrl-C stops the program, and --profile reports at the end of it.
int RunProgram(const ProgramOptions& options,
               std::vector<std::string> arguments,
               const std::function<int(Interpreter&)>& start);

}  // namespace tl
