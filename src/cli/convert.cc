#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/program_options.h"
#include "cli/size.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "format/file_type.h"
#include "format/load.h"
#include "format/save.h"

namespace tl {
namespace {

struct ConvertOptions {
  std::string in;
  std::string out;
  SaveOptions save;
  std::string layout;
  std::string shard_size;
  int threads = 0;
};

std::string TypesInLines() {
  constexpr size_t kPerLine = 10;
  std::string text;
  const std::vector<std::string_view> names = FileTypeNames();
  for (size_t i = 0; i < names.size(); ++i) {
    text += i % kPerLine == 0 ? "\n  " : " ";
    text += names[i];
  }
  return text;
}

// A type or an ending that there is not is a wrong command line, not a wrong
// file.
void CheckCommandLine(const ConvertOptions& options) {
  try {
    FormatByName(options.out);
    if (!options.save.type.empty()) FindFileType(options.save.type);
  } catch (const Error& error) {
    Fail(ErrorKind::kUsage, "{}", error.text());
  }
}

int RunConvert(const ConvertOptions& options) {
  if (options.threads > 0) SetThreads(options.threads);
  CheckCommandLine(options);
  const int64_t shard_bytes =
      options.shard_size.empty()
          ? INT64_MAX
          : ParseSize("--shard-size", options.shard_size);
  const Model model = LoadModel(options.in);
  for (const std::string& note : model.notes()) {
    PrintDiagnostics(fmt::format("note: {}\n", note));
  }
  SaveOptions save = options.save;
  save.layout = LayoutByName(options.layout);
  for (const std::string& note :
       SaveShards(model, options.out, save, shard_bytes)) {
    PrintDiagnostics(fmt::format("note: {}: {}\n", options.out, note));
  }
  return 0;
}

}  // namespace

void AddConvertCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("convert", "Write a model in another type or format");
  SetUsage(*command, "tl convert [options] IN OUT");
  command->footer(
      "OUT ends in .safetensors or .gguf. Without --type tensors keep the "
      "types "
      "they have; packed\nones become f16 in SafeTensors. Types:" +
      TypesInLines());
  const auto options = std::make_shared<ConvertOptions>();
  command->add_option("IN", options->in, "A model")->required();
  command->add_option("OUT", options->out, "The file to write")->required();
  command
      ->add_option("--type", options->save.type,
                   "What the weights become, as in q4_k_m")
      ->type_name("TYPE");
  command
      ->add_option("--layout", options->layout,
                   "Names and order of rows: hf, as transformers has them, or "
                   "gguf (default: gguf when a model of transformers is "
                   "written as .gguf)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"hf", "gguf"}).description(""));
  command
      ->add_option("--shard-size", options->shard_size,
                   "Write several files of at most this size, as in 5GB")
      ->type_name("SIZE");
  command->add_option("--threads", options->threads, "Threads to work with")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxThreads).description(""));
  command->callback([options, &line] {
    line.choice.run = [options] { return RunConvert(*options); };
  });
}

}  // namespace tl
