#include <fmt/format.h>
#include <sys/resource.h>

#include "cli/commands.h"
#include "cli/library_program.h"
#include "cli/usage.h"
#include "format/load.h"

namespace tl {
namespace {

struct BenchOptions {
  ModelOptions model;
  int64_t prompt = 512;
  int64_t tokens = 128;
  int64_t repetitions = 3;
};

// Bytes of weights that each new token reads: of the embedding only one row,
// unless it is the output's matrix, too.
int64_t BytesOfToken(const ModelOptions& options) {
  const Model model = LoadModel(options.path);
  const DType computed = options.dtype == "float32" ? DType::F32 : DType::F16;
  const bool untied = model.Find("output.weight") != nullptr ||
                      model.Find("lm_head.weight") != nullptr;
  int64_t bytes = 0;
  for (const TensorEntry& entry : model.tensors()) {
    const bool embedding = entry.name == "token_embd.weight" ||
                           entry.name == "model.embed_tokens.weight";
    if (!(untied && embedding)) bytes += entry.ComputedBytes(computed);
  }
  return bytes;
}

LibraryArguments ArgumentsOf(const BenchOptions& options) {
  const auto text = [](int64_t value) { return fmt::format("{}", value); };
  LibraryArguments arguments = ArgumentsOf(options.model);
  arguments.insert(arguments.end(),
                   {{"prompt_tokens", text(options.prompt)},
                    {"tokens", text(options.tokens)},
                    {"repetitions", text(options.repetitions)},
                    {"bytes_of_token", text(BytesOfToken(options.model))}});
  return arguments;
}

int RunBench(const ProgramOptions& program, const BenchOptions& options) {
  const int status =
      RunLibraryProgram(program, "bench", ArgumentsOf(options));
  rusage usage;
  if (status == 0 && getrusage(RUSAGE_SELF, &usage) == 0) {
    // In KiB; of the 0.5 GB that measuring memory takes, and of mapped files.
    fmt::print("memory           {:9.1f} MB at most\n",
               static_cast<double>(usage.ru_maxrss) * 1024 / 1e6);
  }
  return status;
}

}  // namespace

void AddBenchCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure how fast a language model runs");
  SetUsage(*command, "tl bench [options] MODEL");
  command->footer(
      "Tokens a second while a prompt is read and while new ones are written, "
      "the middle of\nthe repetitions and their range; and what reading the "
      "weights for each new token is\nof the memory's speed, measured between "
      "the repetitions.");
  const auto options = std::make_shared<BenchOptions>();
  const auto count = [&](const char* names, int64_t& value, const char* what) {
    command->add_option(names, value, what)
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 20).description(""));
  };
  count("-p,--prompt-tokens", options->prompt,
        "Tokens of the prompt (default: 512)");
  count("-n,--tokens", options->tokens, "Tokens to write (default: 128)");
  count("-r,--repetitions", options->repetitions,
        "How often, after one more (default: 3)");
  AddModelOptions(*command, options->model);
  AddProgramOptions(*command, line.program);
  command->callback([options, &line] {
    line.choice.run = [options, &line] {
      return RunBench(line.program, *options);
    };
  });
}

}  // namespace tl
