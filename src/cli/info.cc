#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/glob.h"
#include "cli/model_report.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "format/load.h"

namespace tl {
namespace {

constexpr int kNoMatch = 1;  // as grep has it

struct InfoOptions {
  std::string path;
  std::string filter = "*";
  bool json = false;
  bool stats = false;
  bool sha256 = false;
  bool check = false;
};

// One tensor after the other, as they lie in the file; all threads work on one.
void AddStats(ModelReport& report) {
  int64_t bytes = 0;
  for (const TensorEntry* entry : report.tensors) bytes += entry->bytes;
  Progress progress("reading", bytes);
  for (const TensorEntry* entry : report.tensors) {
    report.stats.push_back(ComputeStats(*entry));
    progress.Advance(entry->bytes);
  }
  report.model->CheckIntact();
}

// What a scale belongs to is said beside the tensor that it scales.
bool IsScale(const TensorEntry& entry) {
  return entry.dtype && Info(*entry.dtype).kind == DTypeKind::kScale;
}

ModelReport Inspect(const Model& model, const InfoOptions& options) {
  ModelReport report;
  report.model = &model;
  report.summary = Summarize(model);
  for (const auto& file : model.files()) {
    report.files.push_back(
        {file.get(), options.sha256 ? Sha256OfFile(*file) : ""});
  }
  for (const TensorEntry& entry : model.tensors()) {
    if (!MatchesGlob(options.filter, entry.name)) continue;
    report.tensors.push_back(&entry);
    if (IsScale(entry)) continue;
    Companion companion = FindCompanion(model, entry);
    if (companion.reading != Reading::kPlain) {
      report.companions.emplace(&entry, std::move(companion));
    }
  }
  if (options.stats) AddStats(report);
  if (options.check) report.check = CheckEveryByte(model);
  return report;
}

int RunInfo(const InfoOptions& options) {
  const Model model = LoadModel(options.path);
  const ModelReport report = Inspect(model, options);
  const std::string text = options.json ? ToJson(report) : ToText(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!options.json) {
    for (const std::string& note : model.notes()) {
      PrintDiagnostics(fmt::format("note: {}\n", note));
    }
  }
  const bool wrong = report.check && !report.check->findings.empty();
  if (wrong) return static_cast<int>(ErrorKind::kInput);
  if (!report.tensors.empty() || model.tensors().empty()) return 0;
  PrintDiagnostics(
      fmt::format("note: no tensor matches '{}'\n", options.filter));
  return kNoMatch;
}

}  // namespace

void AddInfoCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("info", "Show what is in a model file");
  SetUsage(*command, "tl info [options] MODEL");
  command->footer(
      "MODEL is a file, the index of a model in several files, or a directory. "
      "Only headers\nare read unless an option asks for more.");
  const auto options = std::make_shared<InfoOptions>();
  command->add_option("MODEL", options->path, "A model")->required();
  command->add_flag("--json", options->json, "Print JSON, with whole metadata");
  command
      ->add_option("--filter", options->filter,
                   "List only tensors whose name matches, as in 'blk.0.*'; "
                   "exit with 1 if none does")
      ->type_name("GLOB");
  command->add_flag("--stats", options->stats,
                    "Smallest, largest and mean number of each tensor, and how "
                    "many are NaN, inf, too large or too small for float16");
  command->add_flag("--sha256", options->sha256, "Checksum of each file");
  command->add_flag("--check", options->check,
                    "Read and validate every byte; exit with 66 if anything "
                    "is wrong");
  command->callback([options, &line] {
    line.choice.run = [options] { return RunInfo(*options); };
  });
}

}  // namespace tl
