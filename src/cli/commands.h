// The commands of `tl`, one file each. Each adds its subcommand to the parser
// and, when chosen, its callback does the work and throws what goes wrong.
#pragma once

#include <CLI/CLI.hpp>

namespace tl {

void AddVersionCommand(CLI::App& app);

}  // namespace tl
