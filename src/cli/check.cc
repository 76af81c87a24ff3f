#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/usage.h"

namespace tl {
namespace {

int RunCheck(const CommandLine& line, const std::vector<std::string>& files) {
  int status = 0;
  for (const std::string& file : files) {
    Output output(STDOUT_FILENO);
    Interpreter interpreter(ToRunOptions(line.program, {}), output);
    status = std::max(status, interpreter.CheckFile(file));
  }
  return status;
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "check", "Find faults in a program without running it");
  SetUsage(*command, "tl check FILE...");
  command->footer(
      "Finds faults of syntax, unknown names, arguments that do not fit, "
      "shapes "
      "that clash,\nand tensors that a model file named in the program does "
      "not "
      "have.");
  const auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("FILE", *files, "Programs")->required();
  command->callback([files, &line] {
    line.choice.run = [files, &line] { return RunCheck(line, *files); };
  });
}

}  // namespace tl
