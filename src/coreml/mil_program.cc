#include "coreml/mil_program.h"

#include "base/error.h"
#include "base/interrupt.h"

namespace tl::coreml {
namespace {

bool Holds(Host& host, const std::vector<Value>& condition) {
  const std::vector<double> numbers =
      condition.size() == 1 && condition[0].is_tensor()
          ? ReadNumbers(host, condition[0].tensor)
          : std::vector<double>();
  if (numbers.size() != 1) {
    Fail(ErrorKind::kInput, "a condition of {} values; expected one",
         numbers.size());
  }
  return numbers[0] != 0;
}

}  // namespace

MilProgram::MilProgram(const CoreMl& coreml, const Model& model,
                       const spec::Program& program, std::string_view function,
                       Host& host)
    : host_(host), body_(CompileMil(coreml, model, program, function, host)) {}

std::vector<Value> MilProgram::Run(const std::vector<Value>& inputs) {
  slots_ = body_.slots;  // also after a run that failed half-way
  std::vector<Value> states;
  for (const MilState& state : body_.states) {
    states.push_back(Value::State(state.value));
    slots_[state.slot] = states.back();
  }
  std::vector<Value> outputs = RunBlock(body_.block, inputs);
  slots_.clear();
  for (size_t i = 0; i < states.size(); ++i) {
    body_.states[i].value = *states[i].state;
  }
  // A state that nobody reads is not to grow from run to run.
  if (!states.empty()) host_.MayRun();
  return outputs;
}

std::vector<Value> MilProgram::RunBlock(const MilBlock& block,
                                        const std::vector<Value>& inputs) {
  TL_CHECK(inputs.size() == block.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    slots_[block.inputs[i]] = inputs[i];
  }
  for (const MilOperation& operation : block.operations) {
    PollInterrupt();
    WithNote([&] { RunOperation(operation); },
             [&] { return "at " + Describe(*operation.source); });
  }
  std::vector<Value> outputs = Read(block.outputs);
  for (int slot : block.released) slots_[slot] = Value();
  return outputs;
}

void MilProgram::RunOperation(const MilOperation& operation) {
  std::vector<Value> results = Results(operation);
  if (results.size() < operation.outputs.size()) {
    Fail(ErrorKind::kInput, "{} results are wanted; there are {}",
         operation.outputs.size(), results.size());
  }
  for (size_t i = 0; i < operation.outputs.size(); ++i) {
    slots_[operation.outputs[i]] = std::move(results[i]);
  }
  for (int slot : operation.released) slots_[slot] = Value();
}

std::vector<Value> MilProgram::Results(const MilOperation& operation) {
  switch (operation.kind) {
    case MilOperation::Kind::kCall:
      return Call(operation);
    case MilOperation::Kind::kWeight:
      return {Value(host_.Weight(operation.weight))};
    case MilOperation::Kind::kBranch:
      return Branch(operation);
    case MilOperation::Kind::kLoop:
      return Loop(operation);
  }
  return {};
}

std::vector<Value> MilProgram::Call(const MilOperation& operation) {
  std::vector<MilInput> inputs;
  inputs.reserve(operation.inputs.size());
  for (const auto& [name, slots] : operation.inputs) {
    MilInput& input = inputs.emplace_back(MilInput{name, {}});
    for (int slot : slots) input.values.push_back(&slots_[slot]);
  }
  return operation
      .function(MilCall(host_, inputs, operation.outputs.size()))
      .values;
}

std::vector<Value> MilProgram::Branch(const MilOperation& operation) {
  const bool holds = Holds(host_, Read(InputSlots(operation, "pred")));
  return RunBlock(operation.blocks[holds ? 0 : 1], {});
}

std::vector<Value> MilProgram::Loop(const MilOperation& operation) {
  std::vector<Value> carried = Read(InputSlots(operation, "loop_vars"));
  while (Holds(host_, RunBlock(operation.blocks[0], carried))) {
    carried = RunBlock(operation.blocks[1], carried);
    host_.MayRun();
  }
  return carried;
}

std::vector<Value> MilProgram::Read(std::span<const int> slots) const {
  std::vector<Value> values;
  for (int slot : slots) values.push_back(slots_[slot]);
  return values;
}

}  // namespace tl::coreml
