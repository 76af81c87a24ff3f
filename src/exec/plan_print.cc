#include "exec/plan_print.h"

#include <fmt/format.h>

#include <algorithm>

namespace tl {
namespace {

// Elements that an operand touches: broadcast axes read theirs once.
int64_t TouchedBytes(const Operand& operand) {
  int64_t elements = 1;
  for (int axis = 0; axis < operand.rank; ++axis) {
    if (operand.strides[axis] != 0 || operand.dims[axis] == 0) {
      elements *= operand.dims[axis];
    }
  }
  return BytesOf(operand.dtype, elements);
}

std::string TypeOf(const Operand& operand) {
  return fmt::format("{}[{}]", LanguageName(operand.dtype),
                     fmt::join(operand.dims.begin(),
                               operand.dims.begin() + operand.rank, ", "));
}

// l0, s1: a leaf, a slot; a number of the program has no name worth showing.
std::string Describe(const Operand& operand) {
  switch (operand.source) {
    case Operand::Source::kNumber:
      return "number";
    case Operand::Source::kLeaf:
      return fmt::format("leaf{} {}{}", operand.index, TypeOf(operand),
                         operand.dense() ? "" : " strided");
    case Operand::Source::kSlot:
      return fmt::format("%{} {}{}", operand.index, TypeOf(operand),
                         operand.dense() ? "" : " strided");
  }
  return "";
}

std::string DescribeOutputs(const Plan& plan, const Step& step) {
  std::string text;
  for (int slot : step.outputs) {
    if (!text.empty()) text += ", ";
    text += fmt::format("%{} {}{}", slot, LanguageName(plan.slots[slot].dtype),
                        plan.slots[slot].shape.ToString());
  }
  return text;
}

std::string DescribeInputs(const Step& step) {
  std::string text;
  for (const Operand& input : step.inputs) {
    if (!text.empty()) text += ", ";
    text += Describe(input);
  }
  return text;
}

}  // namespace

StepCost CostOf(const Plan& plan, const Step& step) {
  StepCost cost;
  for (const Operand& input : step.inputs) cost.bytes += TouchedBytes(input);
  for (int slot : step.outputs) {
    cost.bytes += BytesOf(plan.slots[slot].dtype, plan.slots[slot].shape.size());
  }
  const int64_t size = step.shape.size();
  cost.flops = static_cast<int64_t>(step.program.instructions.size()) * size;
  if (step.op == OpId::Matmul) {
    const Operand& x = step.inputs[0];
    cost.flops += 2 * size * x.dims[x.rank - 1];
  } else if (step.op == OpId::Convolution) {
    const Operand& w = step.inputs[1];
    if (w.size() > 0) cost.flops += 2 * size * (w.size() / w.dims[0]);
  } else if (step.op == OpId::Attention) {
    const Operand& k = step.inputs[1];
    cost.flops += 4 * size * k.dims[k.rank - 3];
  } else if (step.op != OpId::Identity) {
    cost.flops += step.inputs.empty() ? size : step.inputs[0].size();
  }
  return cost;
}

std::string NameOf(const Step& step) {
  std::string program;
  for (const auto& instruction : step.program.instructions) {
    const bool copy = instruction.op == OpId::Identity;
    const bool cast = copy && step.inputs.size() > 0 &&
                      instruction.dtype != step.inputs[0].dtype;
    if (!program.empty()) program += ", ";
    program += cast ? "to " + std::string(LanguageName(instruction.dtype))
               : copy ? "copy"
                      : std::string(Info(instruction.op).name);
  }
  if (step.op == OpId::Identity) return program;
  const std::string name(Info(step.op).name);
  return program.empty() ? name : name + ": " + program;
}

std::string FormatBytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 4) bytes /= 1000, ++unit;
  if (unit == 0) return fmt::format("{:.0f} B", bytes);
  return fmt::format("{:.{}f} {}", bytes, bytes < 99.5 ? 1 : 0, kUnits[unit]);
}

std::string PrintPlan(const Plan& plan,
                      const std::function<std::string(const Step&)>& where) {
  std::string text;
  StepCost total;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const StepCost cost = CostOf(plan, step);
    total.bytes += cost.bytes;
    total.flops += cost.flops;
    text += fmt::format("{:>4}  {} = {}({})  {}, {} flop{}, {}\n", i + 1,
                        DescribeOutputs(plan, step), NameOf(step),
                        DescribeInputs(step), FormatBytes(cost.bytes),
                        cost.flops, step.donor >= 0 ? ", in place" : "",
                        where(step));
  }
  return fmt::format("{} step{}, {} result{}, {} moved, {} flop\n",
                     plan.steps.size(), plan.steps.size() == 1 ? "" : "s",
                     plan.results.size(), plan.results.size() == 1 ? "" : "s",
                     FormatBytes(total.bytes), total.flops) +
         text;
}

}  // namespace tl
