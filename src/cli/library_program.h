// Commands that are programs of the library: std/commands/NAME.tl. The command
// line's options become the program's arguments, in an order that both know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/program_options.h"

namespace tl {

// MODEL and --dtype, for commands on language models.
void AddModelOptions(CLI::App& command, std::string& model, std::string& dtype);

// Runs it and gives its exit status. Fails if the library is not installed.
int RunLibraryProgram(const ProgramOptions& options, std::string_view name,
                      std::vector<std::string> arguments);

}  // namespace tl
