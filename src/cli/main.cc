// The program `tl`: parses the command line, runs one command, and is the one
// place where an Error is caught and printed.
#include <cstdio>

#include "base/error.h"
#include "cli/commands.h"

namespace tl {
namespace {

void PrintError(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.text());
  for (const std::string& note : error.notes()) {
    fmt::print(stderr, "note: {}\n", note);
  }
}

int Main(int argc, char** argv) {
  CLI::App app("TensorLogic: load, run, change and save model files");
  AddVersionCommand(app);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return static_cast<int>(ErrorKind::kUsage);
  } catch (const Error& error) {
    PrintError(error);
    return static_cast<int>(error.kind());
  }
  return 0;
}

}  // namespace
}  // namespace tl

int main(int argc, char** argv) { return tl::Main(argc, argv); }
