#include "format/diff.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "format/load.h"

namespace tl {
namespace {

constexpr int kDifferent = 1;

struct DiffOptions {
  std::string a;
  std::string b;
};

std::string TypeAndShape(const TensorEntry& entry) {
  return fmt::format("{} {}", Printable(entry.type_name()),
                     ShapeText(entry.shape));
}

// "[1, 2]" for element 5 of a tensor [2, 3].
std::string Coordinates(int64_t index, const std::vector<int64_t>& shape) {
  std::vector<int64_t> at(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    at[axis] = index % shape[axis];
    index /= shape[axis];
  }
  return ShapeText(at);
}

std::string DescribeValues(const TensorDifference& difference) {
  if (!difference.values) return "bytes differ";
  const ValueDifference& values = *difference.values;
  if (values.differing == 0) {
    return difference.a->dtype == difference.b->dtype
               ? "equal numbers in different bits"
               : "equal numbers";
  }
  return fmt::format("{} of {} numbers differ, at most by {:.6g} at {}",
                     WithSeparators(values.differing),
                     WithSeparators(difference.a->elements), values.largest,
                     Coordinates(values.largest_at, difference.a->shape));
}

std::string Describe(const TensorDifference& difference) {
  const std::string name = Printable(difference.name);
  if (!difference.b) {
    return fmt::format("- {}  {}\n", name, TypeAndShape(*difference.a));
  }
  if (!difference.a) {
    return fmt::format("+ {}  {}\n", name, TypeAndShape(*difference.b));
  }
  const std::string a = TypeAndShape(*difference.a);
  const std::string b = TypeAndShape(*difference.b);
  const std::string types = a == b ? a : fmt::format("{} -> {}", a, b);
  if (difference.a->shape != difference.b->shape) {
    return fmt::format("! {}  {}\n", name, types);
  }
  return fmt::format("! {}  {}  {}\n", name, types, DescribeValues(difference));
}

int RunDiff(const DiffOptions& options) {
  const Model a = LoadModel(options.a);
  const Model b = LoadModel(options.b);
  const ModelDifference difference = Compare(a, b);
  std::string text;
  for (const std::string& key : difference.metadata) {
    text += fmt::format("! metadata '{}'\n", Printable(key));
  }
  for (const TensorDifference& tensor : difference.tensors) {
    text += Describe(tensor);
  }
  text += fmt::format("{} tensors are the same, {} differ\n",
                      WithSeparators(difference.same_tensors),
                      WithSeparators(difference.tensors.size()));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return difference.same() ? 0 : kDifferent;
}

}  // namespace

void AddDiffCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("diff", "Compare two models");
  SetUsage(*command, "tl diff A B");
  command->footer(
      "Marks: - only in A, + only in B, ! in both but not the same. Exits with "
      "1 if the models\nor their metadata differ.");
  const auto options = std::make_shared<DiffOptions>();
  command->add_option("A", options->a, "A model")->required();
  command->add_option("B", options->b, "Another")->required();
  command->callback([options, &line] {
    line.choice.run = [options] { return RunDiff(*options); };
  });
}

}  // namespace tl
