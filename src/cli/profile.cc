#include "cli/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/table.h"
#include "exec/plan_print.h"

namespace tl {
namespace {

// Steps below this share of the time are added up in one line.
constexpr double kSmallShare = 0.001;

std::string TypeOf(const Operand& operand) {
  return fmt::format("{}[{}]", LanguageName(operand.dtype),
                     fmt::join(operand.dims.begin(),
                               operand.dims.begin() + operand.rank, ", "));
}

// "matmul: add, relu  float16[450, 64], float16[64, 32]"
std::string WhatItDoes(const Plan& plan, const Step& step) {
  std::string operands;
  for (const Operand& input : step.inputs) {
    if (input.source == Operand::Source::kNumber) continue;
    if (!operands.empty()) operands += ", ";
    operands += TypeOf(input);
  }
  if (operands.empty() && !step.outputs.empty()) {
    const Slot& slot = plan.slots[step.outputs[0]];
    operands =
        fmt::format("{}{}", LanguageName(slot.dtype), slot.shape.ToString());
  }
  return fmt::format("{}  {}", NameOf(step), operands);
}

}  // namespace

void Profile::OnStep(const Plan& plan, const Step& step, double seconds) {
  const StepCost cost = CostOf(plan, step);
  Line& line = lines_[WhatItDoes(plan, step)];
  ++line.runs;
  line.seconds += seconds;
  line.bytes += static_cast<double>(cost.bytes);
  line.flops += static_cast<double>(cost.flops);
}

void Profile::OnCopy(int64_t bytes, double seconds) {
  copied_bytes_ += static_cast<double>(bytes);
  copy_seconds_ += seconds;
}

std::string Profile::ToString() const {
  using Align = Table::Align;
  std::vector<std::pair<std::string, Line>> sorted(lines_.begin(),
                                                   lines_.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) {
                     return a.second.seconds > b.second.seconds;
                   });
  Line total;
  for (const auto& [name, line] : sorted) {
    total.runs += line.runs;
    total.seconds += line.seconds;
    total.bytes += line.bytes;
    total.flops += line.flops;
  }
  Table table({{"time", Align::kRight},
               {"%", Align::kRight},
               {"runs", Align::kRight},
               {"GB/s", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"step"}});
  const auto add = [&](const Line& line, std::string name) {
    const double seconds = std::max(line.seconds, 1e-12);
    table.AddRow(
        {FormatSeconds(line.seconds),
         fmt::format("{:.1f}", 100 * seconds / std::max(total.seconds, 1e-12)),
         WithSeparators(line.runs),
         fmt::format("{:.2f}", line.bytes / seconds / 1e9),
         fmt::format("{:.2f}", line.flops / seconds / 1e9), std::move(name)});
  };
  Line small;
  int64_t small_steps = 0;
  for (const auto& [name, line] : sorted) {
    if (line.seconds >= kSmallShare * total.seconds) {
      add(line, name);
      continue;
    }
    ++small_steps;
    small.runs += line.runs;
    small.seconds += line.seconds;
    small.bytes += line.bytes;
    small.flops += line.flops;
  }
  if (small_steps > 0) add(small, fmt::format("{} small steps", small_steps));
  add(total, "all steps");
  std::string text = table.ToString();
  if (copied_bytes_ > 0) {
    text += fmt::format("copied to the GPU: {:.2f} MB in {}, {:.2f} GB/s\n",
                        copied_bytes_ / 1e6, FormatSeconds(copy_seconds_),
                        copied_bytes_ / std::max(copy_seconds_, 1e-12) / 1e9);
  }
  return text;
}

std::string FormatSeconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

}  // namespace tl
