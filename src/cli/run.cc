#include "cli/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/profile.h"
#include "cli/sandbox.h"
#include "cli/signals.h"
#include "cli/usage.h"

namespace tl {

int RunProgram(const ProgramOptions& options,
               std::vector<std::string> arguments,
               const std::function<int(Interpreter&)>& start) {
  const InterruptRequests interrupts;
  RunOptions run = ToRunOptions(options, std::move(arguments));
  const auto profile = options.profile ? std::make_unique<Profile>() : nullptr;
  run.tensors.observer = profile.get();
  Output output(STDOUT_FILENO, options.escapes_output);
  Interpreter interpreter(std::move(run), output);
  const int status = start(interpreter);
  if (profile) fmt::print(stderr, "{}", profile->ToString());
  return status;
}

void AddRunCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("run", "Run a program");
  SetUsage(*command, "tl run [options] FILE [arguments]");
  command->footer("What follows FILE is the program's: args() gives it.");
  AddProgramOptions(*command, line.program);
  AddProfileOption(*command, line.program);
  const auto sandbox = std::make_shared<bool>(false);
  command->add_flag("--sandbox", *sandbox,
                    "Let it read only FILE, what FILE imports, and the files "
                    "and folders among its arguments, and write nothing");
  StopAtFile(*command);
  command->callback([command, sandbox, &line] {
    line.choice.run = [&line, sandbox, words = FileAndArguments(*command)] {
      if (*sandbox) EnterSandbox(words, line.program);
      return RunProgram(line.program, words.arguments,
                        [&](Interpreter& interpreter) {
                          return interpreter.RunFile(words.file);
                        });
    };
  });
}

}  // namespace tl
