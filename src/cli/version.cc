#include <fmt/format.h>

#include "backends/backends.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/usage.h"

namespace tl {
namespace {

int PrintVersion() {
  fmt::print("tl {}\nbackends:", TL_VERSION);
  for (const BackendInfo& backend : Backends()) {
    if (backend.open()) fmt::print(" {}", backend.name);
  }
  fmt::print("\n");
  for (const BackendInfo& backend : Backends()) {
    fmt::print("{}: {}\n", backend.name, backend.describe());
  }
  fmt::print("threads: {}\n", DefaultThreads());
  return 0;
}

}  // namespace

void AddVersionCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "version", "Print the version and what it can compute on");
  SetUsage(*command, "tl version");
  command->callback([&line] { line.choice.run = PrintVersion; });
}

}  // namespace tl
