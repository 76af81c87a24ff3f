#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/printable.h"
#include "base/replace_file.h"
#include "cli/commands.h"
#include "cli/standard_input.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "lang/format.h"

namespace tl {
namespace {

constexpr int kWouldChange = 1;

struct FmtOptions {
  std::vector<std::string> files;
  bool check = false;
};

// Nothing if the program has syntax errors, which are shown.
std::optional<std::string> Formatted(const std::string& name,
                                     const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  std::optional<std::string> formatted =
      Format(sources.Add(name, text), diagnostics);
  PrintDiagnostics(Render(diagnostics, sources));
  return formatted;
}

void Replace(const std::string& path, const std::string& text) {
  ReplaceFile file(path, static_cast<int64_t>(text.size()));
  file.Write(std::as_bytes(std::span(text)));
  file.Commit();
}

// The exit status that this file asks for.
int FormatFile(const std::string& path, const FmtOptions& options) {
  const bool is_stdin = path == "-";
  const std::string text =
      is_stdin ? ReadStandardInput() : ReadTextFile(path, Source::kMaxBytes);
  const auto formatted = Formatted(is_stdin ? "<stdin>" : path, text);
  if (!formatted) return static_cast<int>(ErrorKind::kProgram);
  if (options.check) {
    if (*formatted == text) return 0;
    fmt::print("{}\n", Printable(path));
    return kWouldChange;
  }
  if (is_stdin) {
    fmt::print("{}", *formatted);
  } else if (*formatted != text) {
    Replace(path, *formatted);
  }
  return 0;
}

int RunFmt(const FmtOptions& options) {
  int status = 0;
  for (const std::string& file : options.files) {
    status = std::max(status, FormatFile(file, options));
  }
  return status;
}

}  // namespace

void AddFmtCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "fmt", "Put programs into the usual layout, in their files");
  SetUsage(*command, "tl fmt [options] FILE...");
  command->footer(
      "FILE may be '-': standard input is formatted to standard output.");
  const auto options = std::make_shared<FmtOptions>();
  command->add_option("FILE", options->files, "Programs, or '-'")->required();
  command->add_flag("--check", options->check,
                    "Change nothing; name the files that would change and "
                    "exit with 1 if there are any");
  command->callback([options, &line] {
    line.choice.run = [options] { return RunFmt(*options); };
  });
}

}  // namespace tl
