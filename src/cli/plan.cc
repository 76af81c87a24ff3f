#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "cli/usage.h"
#include "exec/plan_print.h"

namespace tl {
namespace {

class PlanPrinter final : public Observer {
 public:
  // Knows the program that runs; it must be set before the run.
  void set_interpreter(const Interpreter& interpreter) {
    interpreter_ = &interpreter;
  }

  void OnPlan(const Plan& plan, const Structure& structure) override {
    const auto where = [&](const Step& step) {
      return interpreter_->Where(structure.items[step.node].node->location());
    };
    fmt::print("{}plan {}: {}", plans_ == 0 ? "" : "\n", plans_ + 1,
               PrintableLines(PrintPlan(plan, where)));
    ++plans_;
  }

 private:
  const Interpreter* interpreter_ = nullptr;
  int plans_ = 0;
};

int RunPlan(const ProgramOptions& options, const ProgramWords& words) {
  const InterruptRequests interrupts;
  PlanPrinter printer;
  RunOptions run = ToRunOptions(options, words.arguments);
  run.tensors.observer = &printer;
  Output nowhere([](std::string_view) {});
  Interpreter interpreter(std::move(run), nowhere);
  printer.set_interpreter(interpreter);
  return interpreter.RunFile(words.file);
}

}  // namespace

void AddPlanCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("plan", "Show what a program will compute");
  SetUsage(*command, "tl plan [options] FILE [arguments]");
  command->footer(
      "Runs the program with its output off and prints each new plan: its "
      "steps with the\noperations fused into them, what they read and write, "
      "bytes, flops and the place in\nthe program.");
  AddProgramOptions(*command, line.program);
  StopAtFile(*command);
  command->callback([command, &line] {
    line.choice.run = [&line, words = FileAndArguments(*command)] {
      return RunPlan(line.program, words);
    };
  });
}

}  // namespace tl
