#include <fmt/format.h>

#include "backends/backends.h"
#include "cli/commands.h"

namespace tl {

void AddVersionCommand(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("version", "Print the version and what it runs on");
  command->callback([] {
    fmt::print("tl {}\nbackends:", TL_VERSION);
    for (const BackendInfo& backend : Backends()) fmt::print(" {}", backend.name);
    fmt::print("\n");
  });
}

}  // namespace tl
