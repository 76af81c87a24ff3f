#include "cli/program_options.h"

#include <utility>

#include "base/error.h"
#include "cli/size.h"
#include "cli/terminal.h"
#include "interp/disk_files.h"

namespace tl {

void AddProgramOptions(CLI::App& command, ProgramOptions& options) {
  command
      .add_option("--threads", options.tensors.threads,
                  "Threads to compute with (default: what the machine gives)")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxThreads).description(""));
  command
      .add_option("--device", options.tensors.device,
                  "cpu or gpu (default: the GPU if there is one)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"cpu", "gpu"}).description(""));
  command
      .add_option_function<std::string>(
          "--gpu-memory",
          [&options](const std::string& size) {
            options.tensors.gpu_memory = ParseSize("--gpu-memory", size);
          },
          "The most to place on the GPU, as in 8GB or 500MB; weights beyond it "
          "are copied there for each step that reads them (default: all it "
          "has)")
      ->type_name("SIZE");
  command
      .add_option("--seed", options.tensors.seed,
                  "Where the stream of random numbers begins (default: 0)")
      ->type_name("N");
  command.add_flag("--exact", options.tensors.exact,
                   "Multiply packed weights in f32, not in int8");
  command.add_flag("--check-finite", options.tensors.check_finite,
                   "Stop at the first operation that makes inf or NaN out of "
                   "finite numbers");
}

void AddProfileOption(CLI::App& command, ProgramOptions& options) {
  command.add_flag("--profile", options.profile,
                   "At the end, time, GB/s and GFLOP/s of each step on "
                   "standard error");
}

RunOptions ToRunOptions(const ProgramOptions& options,
                        std::vector<std::string> arguments) {
  RunOptions run;
  run.tensors = options.tensors;
  run.arguments = std::move(arguments);
  run.read_line = options.read_line;
  run.library = FindLibrary();
  run.report = PrintDiagnostics;
  return run;
}

void StopAtFile(CLI::App& command) { command.prefix_command(); }

std::vector<std::string> WordsAfterOptions(const CLI::App& command) {
  std::vector<std::string> words = command.remaining();
  if (!words.empty() && words[0] == "--") {
    words.erase(words.begin());
  } else if (!words.empty() && words[0].size() > 1 && words[0][0] == '-') {
    Fail(ErrorKind::kUsage, "unknown option '{}'", words[0]);
  }
  return words;
}

ProgramWords FileAndArguments(const CLI::App& command) {
  std::vector<std::string> words = WordsAfterOptions(command);
  if (words.empty()) {
    throw CLI::RequiredError("FILE");
  }
  std::string file = std::move(words.front());
  words.erase(words.begin());
  return {std::move(file), std::move(words)};
}

}  // namespace tl
