#include <fmt/format.h>

#include <utility>

#include "base/printable.h"
#include "cli/model_report.h"
#include "cli/table.h"
#include "exec/plan_print.h"
#include "format/file_type.h"

namespace tl {
namespace {

// Some metadata is a whole tokenizer; this much tells what it is.
constexpr size_t kMaxMetadataValue = 72;
// An array is cut between its items, with ", ...]" behind them.
constexpr size_t kMaxMetadataArray = kMaxMetadataValue + 6;

std::string SizeText(int64_t bytes) {
  return bytes < 1000 ? fmt::format("{} bytes", bytes)
                      : fmt::format("{} ({} bytes)", FormatBytes(bytes),
                                    WithSeparators(bytes));
}

// "label       value\n"
std::string Line(std::string_view label, std::string_view value) {
  return fmt::format("{:<12}{}\n", label, value);
}

std::string Format(const Model& model) {
  return model.format_version() == 0
             ? std::string(model.format())
             : fmt::format("{} version {}", model.format(),
                           model.format_version());
}

std::string Heading(const ModelReport& report) {
  const Model& model = *report.model;
  const int64_t parameters = report.summary.parameters;
  std::string text =
      Line("model", Printable(model.path())) + Line("format", Format(model));
  if (report.files.size() > 1) {
    text += Line("files", WithSeparators(report.files.size()));
  }
  text += Line("size", SizeText(report.summary.file_bytes));
  text += Line("tensors", WithSeparators(model.size()));
  text +=
      Line("parameters", parameters < 1000
                             ? std::to_string(parameters)
                             : fmt::format("{} ({})", ShortCount(parameters),
                                           WithSeparators(parameters)));
  return text;
}

std::string Digests(const ModelReport& report) {
  std::string text;
  for (const FileReport& file : report.files) {
    if (file.sha256.empty()) continue;
    text += Line("sha256", fmt::format("{}  {}", file.sha256,
                                       Printable(file.file->path())));
  }
  return text;
}

std::string Checked(const CheckReport& check) {
  std::string text =
      Line("check",
           fmt::format("{} of tensors read; {}",
                       FormatBytes(static_cast<double>(check.bytes)),
                       check.findings.empty() ? "nothing is wrong" : "wrong:"));
  for (const std::string& finding : check.findings) {
    text += fmt::format("  {}\n", finding);
  }
  return text;
}

std::string Types(const ModelSummary& summary) {
  using Align = Table::Align;
  Table table({{"type"},
               {"tensors", Align::kRight},
               {"parameters", Align::kRight},
               {"bytes", Align::kRight}});
  for (const TypeTotal& type : summary.types) {
    table.AddRow({Printable(type.type), WithSeparators(type.tensors),
                  WithSeparators(type.elements), WithSeparators(type.bytes)});
  }
  return table.ToString();
}

std::string ItemText(MetadataItem item) {
  if (const auto text = item.Text()) return fmt::format("\"{}\"", *text);
  if (const auto flag = item.Bool()) return *flag ? "true" : "false";
  if (const auto integer = item.Int()) return std::to_string(*integer);
  if (const auto large = item.LargeInt()) return std::to_string(*large);
  // A float32 is shown as short as it can be read back.
  const double real = item.Real().value();
  return item.kind() == MetadataKind::F32
             ? fmt::format("{}", static_cast<float>(real))
             : fmt::format("{}", real);
}

// Of an array the number of its items, and the first of them.
std::string ShortText(const MetadataArray& array) {
  std::string text = fmt::format("[{} {}", WithSeparators(array.size()),
                                 Info(array.kind()).name);
  if (array.kind() == MetadataKind::String && array.size() != 1) text += 's';
  std::string_view before = ": ";
  for (MetadataItem item : array) {
    text += std::exchange(before, ", ");
    const std::string shown = ItemText(item);
    if (text.size() + shown.size() > kMaxMetadataValue) return text + "...]";
    text += shown;
  }
  return text + "]";
}

std::string ShortText(std::string_view key, const MetadataValue& value) {
  if (key == "general.file_type" && value.Int()) {
    const std::string_view name = FileTypeOfNumber(*value.Int());
    if (!name.empty()) return fmt::format("{} ({})", *value.Int(), name);
  }
  if (value.is_array()) return ShortText(value.array());
  if (const auto text = value.Text()) return std::string(*text);
  return ItemText(value.item());
}

std::string MetadataText(const Model& model) {
  std::string text = "metadata\n";
  for (const auto& [key, value] : model.metadata()) {
    text += fmt::format(
        "  {}: {}\n", PrintableCut(key, kMaxMetadataValue),
        PrintableCut(ShortText(key, value),
                     value.is_array() ? kMaxMetadataArray : kMaxMetadataValue));
  }
  return text;
}

std::vector<std::string> StatsCells(const std::optional<TensorStats>& stats) {
  if (!stats) return {"-", "-", "-", "-", "-", "-", "-"};
  const bool any = stats->elements > stats->nan + stats->infinite;
  const auto number = [any](double x) {
    return any ? fmt::format("{:.6g}", x) : "-";
  };
  return {number(stats->min),
          number(stats->max),
          number(stats->mean),
          WithSeparators(stats->nan),
          WithSeparators(stats->infinite),
          WithSeparators(stats->overflow),
          WithSeparators(stats->flushed)};
}

// "F16", or "F16 (4-bit table)" where it is computed from that.
std::string TypeText(const TensorEntry& entry) {
  if (entry.encoding.empty()) return Printable(entry.type_name());
  return fmt::format("{} ({})", Printable(entry.type_name()), entry.encoding);
}

std::string TensorTable(const ModelReport& report) {
  using Align = Table::Align;
  const bool has_stats = !report.stats.empty();
  const bool has_notes = !report.companions.empty();
  std::vector<Table::Column> columns = {
      {"name"}, {"shape"}, {"type"}, {"bytes", Align::kRight}};
  if (has_stats) {
    for (const char* title :
         {"min", "max", "mean", "NaN", "inf", "over f16", "to 0"}) {
      columns.push_back({title, Align::kRight});
    }
  }
  if (has_notes) columns.push_back({"note"});
  Table table(std::move(columns));
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    const TensorEntry& entry = *report.tensors[i];
    std::vector<std::string> cells = {
        Printable(entry.name), ShapeText(entry.shape), TypeText(entry),
        WithSeparators(entry.bytes)};
    if (has_stats) {
      for (std::string& cell : StatsCells(report.stats[i])) {
        cells.push_back(std::move(cell));
      }
    }
    if (has_notes) {
      const Companion* companion = report.FindCompanionOf(entry);
      cells.push_back(companion ? Printable(companion->text) : "");
    }
    table.AddRow(cells);
  }
  return table.ToString();
}

}  // namespace

std::string ToText(const ModelReport& report) {
  const Model& model = *report.model;
  std::string text = Heading(report) + Digests(report);
  if (report.check) text += Checked(*report.check);
  if (!model.metadata().empty()) text += "\n" + MetadataText(model);
  if (!report.summary.types.empty()) text += "\n" + Types(report.summary);
  if (report.tensors.size() < static_cast<size_t>(model.size())) {
    text += fmt::format("\n{} of {} tensors\n",
                        WithSeparators(report.tensors.size()),
                        WithSeparators(model.size()));
  } else if (!report.tensors.empty()) {
    text += '\n';
  }
  if (!report.tensors.empty()) text += TensorTable(report);
  return text;
}

}  // namespace tl
