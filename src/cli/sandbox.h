// `tl run --sandbox`: what the command line names can be read, and nothing else can
// be done to files. Before the first byte of anybody's file is looked at, the kernel
// takes away all but reading; once it is known which files the program imports and
// the models have, it takes away the rest.
#pragma once

#include "cli/program_options.h"

namespace tl {

// For the rest of the process. Tells on standard error where the kernel has no
// Landlock. Fails (kUsage) if `options` ask for what no sandbox can have.
void EnterSandbox(const ProgramWords& words, ProgramOptions& options);

}  // namespace tl
