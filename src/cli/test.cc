#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "cli/usage.h"

namespace tl {
namespace {

struct TestCounts {
  int passed = 0;
  int failed = 0;
};

std::string Describe(const TestResult& result) {
  const std::string name = Printable(result.name);
  if (!result.failure) return fmt::format("ok      {}\n", name);
  std::string text =
      fmt::format("FAILED  {}: {}\n", name, result.failure->text());
  for (const std::string& note : result.failure->notes()) {
    text += fmt::format("        {}\n", note);
  }
  return PrintableLines(text);
}

int TestFile(const std::string& file, const ProgramOptions& options,
             Output& output, TestCounts& counts) {
  Interpreter interpreter(ToRunOptions(options, {}), output);
  return interpreter.RunTests(file, [&](const TestResult& result) {
    result.failure ? ++counts.failed : ++counts.passed;
    output.Write(Describe(result));
    output.Flush();
  });
}

int RunTestCommand(const ProgramOptions& options,
                   const std::vector<std::string>& files) {
  const InterruptRequests interrupts;
  Output output(STDOUT_FILENO);
  TestCounts counts;
  int status = 0;
  for (const std::string& file : files) {
    status = std::max(status, TestFile(file, options, output, counts));
  }
  output.Write(
      fmt::format("{} passed, {} failed\n", counts.passed, counts.failed));
  output.Flush();
  return status;
}

}  // namespace

void AddTestCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("test", "Run the test blocks of a program");
  SetUsage(*command, "tl test [options] FILE...");
  command->footer(
      "The top level of the program runs first, without `main { }`, then each "
      "`test \"name\" { }`.\nExits with 65 if one fails.");
  AddProgramOptions(*command, line.program);
  const auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("FILE", *files, "Programs")->required();
  command->callback([files, &line] {
    line.choice.run = [files, &line] {
      return RunTestCommand(line.program, *files);
    };
  });
}

}  // namespace tl
