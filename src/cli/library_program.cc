#include "cli/library_program.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "cli/run.h"
#include "interp/disk_files.h"

namespace tl {

void AddModelOptions(CLI::App& command, std::string& model,
                     std::string& dtype) {
  command.add_option("MODEL", model)->required()->group("");
  command
      .add_option("--dtype", dtype,
                  "float16 or float32 (default: float16)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"float16", "float32"}).description(""));
}

int RunLibraryProgram(const ProgramOptions& options, std::string_view name,
                      std::vector<std::string> arguments) {
  const std::string path =
      fmt::format("{}/commands/{}.tl", FindLibrary(), name);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    Fail(ErrorKind::kInput,
         "the library is not beside this program: no file {}", path);
  }
  return RunProgram(options, std::move(arguments),
                    [&](Interpreter& interpreter) {
                      return interpreter.RunFile(path);
                    });
}

}  // namespace tl
