// The options of commands that let a language model write: what it remembers
// and how its tokens are chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tl {

struct GenerationOptions {
  std::string model;
  std::string dtype = "float16";
  std::optional<int64_t> tokens;
  int64_t context = 4096;
  double temperature = 0.8;
  int64_t top_k = 40;
  double top_p = 0.95;
  double min_p = 0.05;
  double repetition_penalty = 1;
};

// `tokens` says what is written where the option is not given.
void AddGenerationOptions(CLI::App& command, GenerationOptions& options,
                          const std::string& tokens);

// The first arguments of std/commands/generate.tl and chat.tl, in their order.
std::vector<std::string> ArgumentsOf(const GenerationOptions& options);

}  // namespace tl
