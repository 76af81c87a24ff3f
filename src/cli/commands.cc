#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/repl.h"
#include "cli/run.h"
#include "cli/standard_input.h"
#include "cli/usage.h"
#include "lang/diagnostics.h"

namespace tl {
namespace {

int RunText(const ProgramOptions& options, const std::string& name,
            const std::string& text, std::vector<std::string> arguments) {
  return RunProgram(options, std::move(arguments),
                    [&](Interpreter& interpreter) {
                      return interpreter.RunText(name, text);
                    });
}

// A word that is no file may be a command spelt wrong.
int RunFile(const CLI::App& app, const ProgramOptions& options,
            ProgramWords words) {
  std::error_code ignored;
  if (!std::filesystem::exists(words.file, ignored)) {
    std::vector<std::string> commands;
    for (const CLI::App* command : app.get_subcommands({})) {
      commands.push_back(command->get_name());
    }
    const std::vector<std::string_view> names(commands.begin(), commands.end());
    const std::string nearest = NearestName(words.file, names);
    if (!nearest.empty()) {
      Fail(ErrorKind::kUsage,
           "'{}' is no file and no command; did you mean 'tl {}'?", words.file,
           nearest);
    }
  }
  return RunProgram(options, std::move(words.arguments),
                    [&](Interpreter& interpreter) {
                      return interpreter.RunFile(words.file);
                    });
}

// What `tl` does when no command is named: the code of -e, a file, the REPL, or
// a program on standard input.
int RunWithoutCommand(const CLI::App& app, const ProgramOptions& options,
                      const std::optional<std::string>& code) {
  std::vector<std::string> words = WordsAfterOptions(app);
  if (code) return RunText(options, "-e", *code, std::move(words));
  if (!words.empty() && words[0] != "-") {
    return RunFile(app, options, FileAndArguments(app));
  }
  if (words.empty() && isatty(STDIN_FILENO) == 1) return RunRepl(options);
  if (!words.empty()) words.erase(words.begin());
  return RunText(options, "<stdin>", ReadStandardInput(), std::move(words));
}

}  // namespace

void AddCommands(CLI::App& app, CommandLine& line) {
  app.set_help_flag("-h,--help", "Show this help");  // of commands, too
  SetUsage(app,
           "tl [options] FILE [arguments]   run a program (as tl run)\n"
           "       tl [options] -e CODE            run this text\n"
           "       tl [options]                    the prompt, or the program "
           "on standard input\n"
           "       tl COMMAND [options] ...");
  app.footer("tl COMMAND --help tells the rest. More: man tl");
  const auto code = std::make_shared<std::optional<std::string>>();
  app.add_option_function<std::string>(
         "-e,--eval", [code](const std::string& text) { *code = text; },
         "Run this text as a program")
      ->type_name("CODE");
  AddProgramOptions(app, line.program);
  AddProfileOption(app, line.program);
  app.set_version_flag("--version", "tl " TL_VERSION, "Print the version");

  AddRunCommand(app, line);
  AddCheckCommand(app, line);
  AddTestCommand(app, line);
  AddReplCommand(app, line);
  AddPlanCommand(app, line);
  AddGenerateCommand(app, line);
  AddChatCommand(app, line);
  AddBenchCommand(app, line);
  AddPerplexityCommand(app, line);
  AddInfoCommand(app, line);
  AddConvertCommand(app, line);
  AddDiffCommand(app, line);
  AddFmtCommand(app, line);
  AddVersionCommand(app, line);
  for (CLI::App* command : app.get_subcommands({})) command->group("Commands");
  app.require_subcommand(0, 1);
  StopAtFile(app);

  app.callback([&app, code] {
    const auto chosen = app.get_subcommands();
    if (*code && !chosen.empty()) {
      throw CLI::ExcludesError("-e", "the command " + chosen[0]->get_name());
    }
  });
  line.choice.run = [&app, &line, code] {
    return RunWithoutCommand(app, line.program, *code);
  };
}

}  // namespace tl
