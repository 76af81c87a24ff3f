// The commands of `tl`, one file each: Add...Command() puts a command and its
// options into the parser, and parsing the command line makes the choice that
// main then runs. A new command is a file, a line here and in commands.cc, and
// a line in completions/ and docs/tl.1 (completions_test.cc compares them).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/program_options.h"

namespace tl {

// What the command line asked for. `run` gives the exit status, or throws.
struct Choice {
  std::function<int()> run;
};

// What all commands share while the command line is parsed. Outlives the
// parser and what was chosen.
struct CommandLine {
  Choice choice;
  ProgramOptions program;  // of whichever command runs a program
};

// The whole command line, with what `tl` does when no command is named.
void AddCommands(CLI::App& app, CommandLine& line);

void AddRunCommand(CLI::App& app, CommandLine& line);
void AddCheckCommand(CLI::App& app, CommandLine& line);
void AddTestCommand(CLI::App& app, CommandLine& line);
void AddReplCommand(CLI::App& app, CommandLine& line);
void AddPlanCommand(CLI::App& app, CommandLine& line);
void AddGenerateCommand(CLI::App& app, CommandLine& line);
void AddChatCommand(CLI::App& app, CommandLine& line);
void AddBenchCommand(CLI::App& app, CommandLine& line);
void AddPerplexityCommand(CLI::App& app, CommandLine& line);
void AddInfoCommand(CLI::App& app, CommandLine& line);
void AddConvertCommand(CLI::App& app, CommandLine& line);
void AddDiffCommand(CLI::App& app, CommandLine& line);
void AddFmtCommand(CLI::App& app, CommandLine& line);
void AddVersionCommand(CLI::App& app, CommandLine& line);

}  // namespace tl
