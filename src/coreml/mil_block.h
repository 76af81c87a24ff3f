// A MIL program with its names resolved: what mil_compile.cc makes and
// mil_program.cc runs. A slot is the number of a value; every value of a program
// has its own.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "coreml/mil_call.h"
#include "format/coreml.h"

namespace tl::coreml {

struct MilBlock;

struct MilOperation {
  enum class Kind {
    kCall,    // `function`
    kWeight,  // the model's tensor `weight`
    kBranch,  // `cond`: blocks for true and for false
    kLoop,    // `while_loop`: the condition's block and the body's
  };

  Kind kind = Kind::kCall;
  const spec::Operation* source = nullptr;
  MilFunction function = nullptr;
  std::string_view weight;
  std::vector<std::pair<std::string_view, std::vector<int>>> inputs;
  std::vector<int> outputs;
  std::vector<MilBlock> blocks;
  // Slots that nobody reads after this operation.
  std::vector<int> released;
};

struct MilBlock {
  std::vector<int> inputs;
  std::vector<MilOperation> operations;
  std::vector<int> outputs;
  std::vector<int> released;  // once the outputs are read
};

// A tensor that the function keeps from one run to the next.
struct MilState {
  int slot;
  TensorRef value;  // zeros before the first run
};

struct MilFunctionBody {
  std::vector<std::string> inputs, outputs;
  std::vector<MilState> states;
  MilBlock block;
  // The program's constants in their slots, nothing in the others.
  std::vector<Value> slots;
};

// The slots of the input of this name; empty if it is not there.
std::span<const int> InputSlots(const MilOperation& operation,
                                std::string_view name);

// "operation 'conv' that makes 'x_1'"
std::string Describe(const spec::Operation& operation);

// Fails where a name is used before it is made, and where an operation is not
// there: that error names it, and what else is missing.
MilFunctionBody CompileMil(const CoreMl& coreml, const Model& model,
                           const spec::Program& program,
                           std::string_view function, Host& host);

}  // namespace tl::coreml
