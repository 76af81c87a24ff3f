#include <unistd.h>

#include "cli/commands.h"
#include "cli/generation_options.h"
#include "cli/library_program.h"
#include "cli/line_editor.h"
#include "cli/usage.h"

namespace tl {
namespace {

struct ChatOptions {
  GenerationOptions generation;
  std::string system;
};

bool AtTerminal() {
  return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

LibraryArguments ArgumentsOf(const ChatOptions& options) {
  LibraryArguments arguments = ArgumentsOf(options.generation);
  arguments.emplace_back("system", options.system);
  arguments.emplace_back("input", AtTerminal() ? "terminal" : "pipe");
  return arguments;
}

// Lines with editing and a history of their own. From a pipe input() reads
// them.
LineReader EditedLines() {
  const auto editor = std::make_shared<LineEditor>(
      HistoryFile("chat_history"),
      [](std::string_view) { return Completion(); });
  return [editor](std::string prompt) {
    std::optional<std::string> line = editor->Read(std::move(prompt));
    if (line && line->find_first_not_of(" \t") != std::string::npos) {
      editor->AddToHistory(*line);
    }
    return line;
  };
}

int RunChat(ProgramOptions program, const ChatOptions& options) {
  if (AtTerminal()) program.read_line = EditedLines();
  return RunLibraryProgram(program, "chat", ArgumentsOf(options));
}

}  // namespace

void AddChatCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("chat", "Talk to a language model");
  SetUsage(*command, "tl chat [options] MODEL");
  command->footer(
      "MODEL is a .gguf file or a folder of Hugging Face with a chat template. "
      "Ctrl-C stops\nan answer, Ctrl-D ends; a line that ends in \\ goes on. "
      "From a pipe each line is a\nquestion. When the context is full, the "
      "oldest questions are forgotten.");
  const auto options = std::make_shared<ChatOptions>();
  command
      ->add_option("--system", options->system, "What the model is told first")
      ->type_name("TEXT");
  AddGenerationOptions(*command, options->generation,
                       "until the answer or the context ends");
  AddProgramOptions(*command, line.program);
  AddProfileOption(*command, line.program);
  command->callback([options, &line] {
    line.choice.run = [options, &line] {
      return RunChat(line.program, *options);
    };
  });
}

}  // namespace tl
