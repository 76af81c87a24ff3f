// The program `tl`: parses the command line, runs what it asks for, and is the
// one place where errors are caught and printed.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace tl {
namespace {

constexpr int kInterruptedStatus = 130;

int Report(const Error& error) {
  PrintError(error);
  return static_cast<int>(error.kind());
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  // Their messages are sentences; ours begin in lower case, but FILE is FILE.
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1]))) {
    text[0] =
        static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  const auto chosen = app.get_subcommands();
  Error usage(ErrorKind::kUsage, text);
  usage.AddNote(chosen.empty()
                    ? "tl --help lists commands and options"
                    : fmt::format("tl {} --help shows how it is used",
                                  chosen[0]->get_name()));
  return Report(usage);
}

// What was written for standard output and did not get there is an error too.
int FinishOutput(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  Fail(ErrorKind::kInternal, "standard output: {}", ErrnoText(errno));
}

int RunCommandLine(CLI::App& app, CommandLine& line, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return FinishOutput(app.exit(help));
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error);
  }
  return FinishOutput(line.choice.run());
}

int Main(int argc, char** argv) {
  HandleSignals();
  CommandLine line;
  CLI::App app("TensorLogic: load, run, change and save model files", "tl");
  AddCommands(app, line);
  try {
    return RunCommandLine(app, line, argc, argv);
  } catch (const Interrupted&) {
    return kInterruptedStatus;
  } catch (const Error& error) {
    return Report(error);
  } catch (const std::bad_alloc&) {
    return Report(Error(ErrorKind::kInternal, "out of memory"));
  } catch (const std::exception& error) {
    return Report(Error(ErrorKind::kInternal, error.what()));
  }
}

}  // namespace
}  // namespace tl

int main(int argc, char** argv) { return tl::Main(argc, argv); }
