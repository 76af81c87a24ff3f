#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/library_program.h"
#include "cli/usage.h"

namespace tl {
namespace {

struct GenerateOptions {
  std::string model;
  std::string prompt;
  int64_t tokens = 128;
  int64_t context = 4096;
  double temperature = 0.8;
  int64_t top_k = 40;
  double top_p = 0.95;
  double min_p = 0.05;
  double repetition_penalty = 1;
  std::string dtype = "float16";
};

// In the order of std/commands/generate.tl.
std::vector<std::string> ArgumentsOf(const GenerateOptions& options) {
  return {options.model,
          options.dtype,
          options.prompt,
          fmt::format("{}", options.tokens),
          fmt::format("{}", options.context),
          fmt::format("{}", options.temperature),
          fmt::format("{}", options.top_k),
          fmt::format("{}", options.top_p),
          fmt::format("{}", options.min_p),
          fmt::format("{}", options.repetition_penalty)};
}

}  // namespace

void AddGenerateCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("generate", "Continue a text with a language model");
  SetUsage(*command, "tl generate [options] MODEL -p TEXT");
  command->footer(
      "MODEL is a .gguf file or a folder of Hugging Face. What it writes is "
      "shown as it\ncomes; the same seed gives the same text.");
  const auto options = std::make_shared<GenerateOptions>();
  command->add_option("-p,--prompt", options->prompt, "The text to continue")
      ->type_name("TEXT")
      ->required();
  command
      ->add_option("-n,--tokens", options->tokens,
                   "Tokens to write at most (default: 128)")
      ->type_name("N")
      ->check(
          CLI::Range(int64_t{1}, int64_t{1} << 30).description(""));
  command
      ->add_option("--context", options->context,
                   "Tokens to remember at most (default: 4096)")
      ->type_name("N")
      ->check(
          CLI::Range(int64_t{1}, int64_t{1} << 30).description(""));
  command
      ->add_option("--temperature", options->temperature,
                   "0 takes the likeliest token (default: 0.8)")
      ->type_name("T");
  command
      ->add_option("--top-k", options->top_k,
                   "Of the K likeliest; 0: of all (default: 40)")
      ->type_name("K");
  command
      ->add_option("--top-p", options->top_p,
                   "Of those that make up this probability (default: 0.95)")
      ->type_name("P");
  command
      ->add_option("--min-p", options->min_p,
                   "Not less likely than P times the likeliest (default: 0.05)")
      ->type_name("P");
  command
      ->add_option("--repetition-penalty", options->repetition_penalty,
                   "Above 1 avoids what was said (default: 1)")
      ->type_name("X");
  AddModelOptions(*command, options->model, options->dtype);
  AddProgramOptions(*command, line.program);
  AddProfileOption(*command, line.program);
  command->callback([options, &line] {
    line.choice.run = [options, &line] {
      return RunLibraryProgram(line.program, "generate", ArgumentsOf(*options));
    };
  });
}

}  // namespace tl
