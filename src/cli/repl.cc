#include "cli/repl.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/interrupt.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/line_editor.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "lang/parser.h"

namespace tl {
namespace {

constexpr const char* kPrompt = "> ";
constexpr const char* kContinuation = "... ";

// Where the lines of a session come from.
class LineSource {
 public:
  virtual ~LineSource() = default;
  virtual std::optional<std::string> Read(const char* prompt) = 0;
};

class PipedLines final : public LineSource {
 public:
  std::optional<std::string> Read(const char*) override {
    std::string line;
    if (!std::getline(std::cin, line)) {
      PollInterrupt();
      return std::nullopt;
    }
    return line;
  }
};

class TypedLines final : public LineSource, private NamesInScope {
 public:
  explicit TypedLines(Interpreter& interpreter)
      : interpreter_(interpreter),
        editor_(HistoryFile("history"), [this](std::string_view before) {
          return Complete(before, *this);
        }) {}

  std::optional<std::string> Read(const char* prompt) override {
    std::optional<std::string> line = editor_.Read(prompt);
    if (line && line->find_first_not_of(" \t") != std::string::npos) {
      editor_.AddToHistory(*line);
    }
    return line;
  }

 private:
  std::vector<std::string> Names() override { return interpreter_.Names(); }
  std::optional<MemberOwner> KindOf(const std::string& variable) override {
    return interpreter_.KindOf(variable);
  }
  std::vector<std::string> TensorNames(const std::string& variable) override {
    return interpreter_.TensorNames(variable);
  }

  Interpreter& interpreter_;
  LineEditor editor_;
};

// Lines up to where a statement may end. Nothing at the end of the input; what
// was begun there is still an entry, so that its fault is told.
std::optional<std::string> ReadEntry(LineSource& lines) {
  std::optional<std::string> entry = lines.Read(kPrompt);
  while (entry && IsUnfinished(*entry)) {
    const std::optional<std::string> more = lines.Read(kContinuation);
    if (!more) break;
    *entry += "\n" + *more;
  }
  return entry;
}

class Session {
 public:
  Session(const ProgramOptions& options, bool at_terminal)
      : at_terminal_(at_terminal),
        output_(STDOUT_FILENO),
        interpreter_(ToRunOptions(options, {}), output_) {
    if (at_terminal_) {
      lines_ = std::make_unique<TypedLines>(interpreter_);
    } else {
      lines_ = std::make_unique<PipedLines>();
    }
  }

  int Run() {
    if (at_terminal_) {
      fmt::print("TensorLogic {}; Tab completes, Ctrl-D ends\n", TL_VERSION);
    }
    while (true) {
      try {
        const std::optional<std::string> entry = ReadEntry(*lines_);
        if (!entry) break;
        const std::optional<int> exit = Execute(*entry);
        if (exit) return *exit;
      } catch (const Interrupted&) {
        if (!at_terminal_) throw;
      }
    }
    if (at_terminal_) fmt::print("\n");
    return 0;
  }

 private:
  // The exit status if the entry ends the session.
  std::optional<int> Execute(const std::string& text) {
    try {
      const Interpreter::Entry entry = interpreter_.RunEntry(text);
      if (entry.shown) output_.Write(PrintableLines(*entry.shown) + "\n");
      output_.Flush();
      return entry.exit;
    } catch (const Interrupted&) {
      output_.Flush();
      if (!at_terminal_) throw;
      PrintDiagnostics("interrupted\n");
    } catch (const Error& error) {
      output_.Flush();
      PrintError(error);
    } catch (const std::bad_alloc&) {
      output_.Flush();
      PrintError(Error(ErrorKind::kInternal, "out of memory"));
    }
    return std::nullopt;
  }

  const bool at_terminal_;
  Output output_;
  Interpreter interpreter_;
  std::unique_ptr<LineSource> lines_;
};

}  // namespace

int RunRepl(const ProgramOptions& options) {
  const InterruptRequests interrupts;
  const bool at_terminal =
      isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  std::optional<InterruptCatcher> catcher;
  if (at_terminal) catcher.emplace();
  return Session(options, at_terminal).Run();
}

void AddReplCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("repl", "Type programs line by line");
  SetUsage(*command, "tl repl [options]");
  command->footer(
      "The value of an expression is shown. An open bracket or block reads on. "
      "Tab completes\nnames, members, tensors and files; Ctrl-C cancels; "
      "Ctrl-D ends.");
  AddProgramOptions(*command, line.program);
  command->callback(
      [&line] { line.choice.run = [&line] { return RunRepl(line.program); }; });
}

}  // namespace tl
