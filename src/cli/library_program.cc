#include "cli/library_program.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "cli/run.h"
#include "interp/disk_files.h"

namespace tl {

void AddModelOptions(CLI::App& command, ModelOptions& options) {
  command.add_option("MODEL", options.path, "A model")->required();
  command
      .add_option("--dtype", options.dtype,
                  "float16 or float32 (default: float16)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"float16", "float32"}).description(""));
}

void AddLoraOptions(CLI::App& command, ModelOptions& options) {
  CLI::Option* lora =
      command
          .add_option("--lora", options.lora,
                      "A LoRA adapter to merge into the model")
          ->type_name("PATH");
  command
      .add_option("--lora-scale", options.lora_scale,
                  "How much of the adapter (default: 1)")
      ->type_name("S")
      ->needs(lora);
}

LibraryArguments ArgumentsOf(const ModelOptions& options) {
  return {{"model", options.path},
          {"dtype", options.dtype},
          {"lora", options.lora},
          {"lora_scale", fmt::format("{}", options.lora_scale)}};
}

int RunLibraryProgram(const ProgramOptions& options, std::string_view name,
                      const LibraryArguments& arguments) {
  const std::string path =
      fmt::format("{}/commands/{}.tl", FindLibrary(), name);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    Fail(ErrorKind::kInput,
         "the library is not beside this program: no file {}", path);
  }
  std::vector<std::string> words;
  for (const auto& [option, value] : arguments) {
    words.push_back(option);
    words.push_back(value);
  }
  ProgramOptions of_model = options;
  of_model.escapes_output = true;
  return RunProgram(of_model, std::move(words),
                    [&](Interpreter& interpreter) {
                      return interpreter.RunFile(path);
                    });
}

}  // namespace tl
