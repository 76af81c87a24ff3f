// Commands that are programs of the library: std/commands/NAME.tl. The command
// line's options become the program's arguments (std/commands/options.tl).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/program_options.h"

namespace tl {

// The name of each option and its value.
using LibraryArguments = std::vector<std::pair<std::string, std::string>>;

// The model of commands on language models, and how it is loaded.
struct ModelOptions {
  std::string path;
  std::string dtype = "float16";
  std::string lora;
  double lora_scale = 1;
};

void AddModelOptions(CLI::App& command, ModelOptions& options);
void AddLoraOptions(CLI::App& command, ModelOptions& options);
LibraryArguments ArgumentsOf(const ModelOptions& options);

// Runs it and gives its exit status. Fails if the library is not installed.
int RunLibraryProgram(const ProgramOptions& options, std::string_view name,
                      const LibraryArguments& arguments);

}  // namespace tl
