// The options of commands that let a language model write: what it remembers
// and how its tokens are chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/library_program.h"

namespace tl {

struct GenerationOptions {
  ModelOptions model;
  std::optional<int64_t> tokens;
  int64_t context = 4096;
  double temperature = 0.8;
  int64_t top_k = 40;
  double top_p = 0.95;
  double min_p = 0.05;
  double repetition_penalty = 1;
  std::string grammar;  // a file; of these three one is given at most
  std::string json_schema;
  bool json = false;
};

// `tokens` says what is written where the option is not given.
void AddGenerationOptions(CLI::App& command, GenerationOptions& options,
                          const std::string& tokens);

LibraryArguments ArgumentsOf(const GenerationOptions& options);

}  // namespace tl
