// The options of every command that runs a program, and the words of the
// command line after them: the program and its arguments.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "interp/program.h"
#include "interp/tensor_runtime.h"

namespace tl {

struct ProgramOptions {
  TensorOptions tensors;
  bool profile = false;  // time, GB/s and GFLOP/s of each step
  // Strangers decide what it writes: a model, or who wrote a program for a sandbox.
  bool escapes_output = false;
  LineReader read_line;  // where input() reads, if not standard input
};

// Of --threads: more than any machine has. A mistyped number should not start a
// million.
inline constexpr int kMaxThreads = 4096;

void AddProgramOptions(CLI::App& command, ProgramOptions& options);
void AddProfileOption(CLI::App& command, ProgramOptions& options);

// For an Interpreter: diagnostics in colour, the library beside this program.
RunOptions ToRunOptions(const ProgramOptions& options,
                        std::vector<std::string> arguments);

// The program's file and its arguments, or only those.
struct ProgramWords {
  std::string file;
  std::vector<std::string> arguments;
};

// Makes the parser of a command stop at the first word that is no option: all
// from there on, options too, belongs to the program.
void StopAtFile(CLI::App& command);

// The words where the parser stopped. Fails (kUsage) if the first is an option
// that `command` does not have.
std::vector<std::string> WordsAfterOptions(const CLI::App& command);

// The same as a file and its arguments; fails if there is no file.
ProgramWords FileAndArguments(const CLI::App& command);

}  // namespace tl
