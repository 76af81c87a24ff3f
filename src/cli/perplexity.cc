#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/library_program.h"
#include "cli/usage.h"
#include "text/utf8.h"

namespace tl {
namespace {

// Far more than anybody waits for.
constexpr int64_t kLongestText = int64_t{1} << 30;

struct PerplexityOptions {
  ModelOptions model;
  std::string text;
  int64_t context = 512;
};

// Wrong bytes would become tokens that nobody wrote.
std::string TextOf(const std::string& path) {
  std::string text = ReadTextFile(path, kLongestText);
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = DecodeUtf8(std::string_view(text).substr(at));
    if (!step.valid) {
      Fail(ErrorKind::kInput, "{}: is not UTF-8 at byte {}", path, at);
    }
    at += step.size;
  }
  return text;
}

LibraryArguments ArgumentsOf(const PerplexityOptions& options) {
  LibraryArguments arguments = ArgumentsOf(options.model);
  arguments.emplace_back("text", TextOf(options.text));
  arguments.emplace_back("context", fmt::format("{}", options.context));
  return arguments;
}

}  // namespace

void AddPerplexityCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "perplexity", "Measure how well a language model knows a text");
  SetUsage(*command, "tl perplexity [options] MODEL FILE");
  command->footer(
      "As llama.cpp measures it: the tokens of the text FILE in chunks of the "
      "context, of\nwhich the second halves count. Lower is better; what "
      "stands after +/- is the\nstandard error.");
  const auto options = std::make_shared<PerplexityOptions>();
  AddModelOptions(*command, options->model);
  AddLoraOptions(*command, options->model);
  command->add_option("FILE", options->text, "A text")->required();
  command
      ->add_option("--context", options->context,
                   "Tokens of a chunk (default: 512)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{8}, int64_t{1} << 30).description(""));
  AddProgramOptions(*command, line.program);
  AddProfileOption(*command, line.program);
  command->callback([options, &line] {
    line.choice.run = [options, &line] {
      return RunLibraryProgram(line.program, "perplexity",
                               ArgumentsOf(*options));
    };
  });
}

}  // namespace tl
