#include "cli/commands.h"
#include "cli/generation_options.h"
#include "cli/library_program.h"
#include "cli/usage.h"

namespace tl {
namespace {

struct GenerateOptions {
  GenerationOptions generation;
  std::string prompt;
};

LibraryArguments ArgumentsOf(const GenerateOptions& options) {
  LibraryArguments arguments = ArgumentsOf(options.generation);
  arguments.emplace_back("prompt", options.prompt);
  return arguments;
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
  options->generation.tokens = 128;
  command->add_option("-p,--prompt", options->prompt, "The text to continue")
      ->type_name("TEXT")
      ->required();
  AddGenerationOptions(*command, options->generation, "128");
  AddProgramOptions(*command, line.program);
  AddProfileOption(*command, line.program);
  command->callback([options, &line] {
    line.choice.run = [options, &line] {
      return RunLibraryProgram(line.program, "generate", ArgumentsOf(*options));
    };
  });
}

}  // namespace tl
