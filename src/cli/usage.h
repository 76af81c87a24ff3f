// How help looks: one usage line in the words of the command, then what the
// parser knows of its options.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tl {

// `usage` is what follows "usage: ".
void SetUsage(CLI::App& command, std::string usage);

}  // namespace tl
