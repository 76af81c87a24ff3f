// A session at the prompt, or the same from a pipe without prompts.
#pragma once

#include "cli/program_options.h"

namespace tl {

// Gives the exit status: 0 at the end of the input, else what exit() asked for.
int RunRepl(const ProgramOptions& options);

}  // namespace tl
