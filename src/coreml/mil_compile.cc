#include <map>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/interrupt.h"
#include "coreml/literal.h"
#include "coreml/mil_block.h"
#include "coreml/mil_ops.h"
#include "format/mil_constant.h"
#include "ops/build.h"

namespace tl::coreml {
namespace {

// "ios17.cast" is "cast".
std::string_view PlainType(std::string_view type) {
  const size_t dot = type.rfind('.');
  return dot == std::string_view::npos ? type : type.substr(dot + 1);
}

bool IsConstant(const spec::Operation& operation) {
  return IsConstexpr(operation) || PlainType(operation.type()) == "const";
}

bool IsControl(std::string_view type) {
  return type == "cond" || type == "while_loop";
}

// Every operation of these blocks that does not run here, first come first.
void FindMissing(const spec::Block& block,
                 std::vector<const spec::Operation*>& missing) {
  for (const spec::Operation& operation : block.operations()) {
    const std::string_view type = PlainType(operation.type());
    if (!IsConstant(operation) && !IsControl(type) && !FindMilFunction(type)) {
      missing.push_back(&operation);
    }
    for (const spec::Block& inner : operation.blocks()) {
      FindMissing(inner, missing);
    }
  }
}

void RequireAllThere(const spec::Block& block) {
  std::vector<const spec::Operation*> missing;
  FindMissing(block, missing);
  if (missing.empty()) return;
  std::set<std::string> kinds;
  for (const spec::Operation* operation : missing) {
    kinds.emplace(PlainType(operation->type()));
  }
  FailMissing(Describe(*missing[0]),
              std::string(PlainType(missing[0]->type())), std::move(kinds));
}

const spec::Function& FunctionNamed(const spec::Program& program,
                                    std::string_view name) {
  const auto found = program.functions().find(std::string(name));
  if (found != program.functions().end()) return found->second;
  std::set<std::string> names;  // a map of protobuf has no order
  for (const auto& [key, function] : program.functions()) names.insert(key);
  Fail(ErrorKind::kInput, "the program has no function '{}'; it has {}", name,
       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

const spec::Block& BlockOf(const spec::Function& function) {
  if (const spec::Block* body = CoreMlBodyOf(function)) return *body;
  Fail(ErrorKind::kInput, "the program has no block for opset '{}'",
       function.opset());
}

}  // namespace

std::span<const int> InputSlots(const MilOperation& operation,
                                std::string_view name) {
  for (const auto& [input, slots] : operation.inputs) {
    if (input == name) return slots;
  }
  return {};
}

std::string Describe(const spec::Operation& operation) {
  const std::string_view type = PlainType(operation.type());
  if (operation.outputs().empty()) {
    return fmt::format("operation {}", QuoteName(type));
  }
  return fmt::format("operation {} that makes {}", QuoteName(type),
                     QuoteName(operation.outputs(0).name()));
}

class MilCompiler {
 public:
  MilCompiler(const CoreMl& coreml, const Model& model, Host& host)
      : coreml_(coreml), model_(model), host_(host) {}

  MilFunctionBody Compile(const spec::Function& function) {
    const spec::Block& block = BlockOf(function);
    RequireAllThere(block);
    MilFunctionBody body;
    scopes_.emplace_back();
    for (const spec::NamedValueType& input : function.inputs()) {
      if (input.type().has_state_type()) {
        body.states.push_back({Define(input.name()), ZeroState(input)});
        continue;
      }
      body.inputs.push_back(input.name());
      body.block.inputs.push_back(Define(input.name()));
    }
    CompileInto(body.block, block);
    body.outputs.assign(block.outputs().begin(), block.outputs().end());
    body.slots = std::move(slots_);
    return body;
  }

 private:
  TensorRef ZeroState(const spec::NamedValueType& input) {
    const spec::ValueType& kept = input.type().state_type().wrapped_type();
    if (!kept.has_tensor_type()) {
      Fail(ErrorKind::kInput, "state {} does not hold a tensor",
           QuoteName(input.name()));
    }
    const spec::TensorType& type = kept.tensor_type();
    Builder& lo = host_.builder();
    const DType dtype =
        IsFloat(type.data_type()) ? host_.dtype() : DType::I32;
    return BroadcastTo(lo, Cast(lo, lo.Number(0, DType::F32), dtype),
                       ShapeOf(type));
  }

  int NewSlot(Value value = {}) {
    constant_.push_back(value.is_tensor() || value.is_text || value.is_list);
    slots_.push_back(std::move(value));
    return static_cast<int>(slots_.size()) - 1;
  }

  int Define(const std::string& name) {
    const int slot = NewSlot();
    scopes_.back()[name] = slot;
    return slot;
  }

  int Resolve(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      const auto found = scope->find(name);
      if (found != scope->end()) return found->second;
    }
    Fail(ErrorKind::kInput, "{} is used before it is made", QuoteName(name));
  }

  MilBlock CompileBlock(const spec::Block& source) {
    MilBlock block;
    scopes_.emplace_back();
    for (const spec::NamedValueType& input : source.inputs()) {
      block.inputs.push_back(Define(input.name()));
    }
    CompileInto(block, source);
    scopes_.pop_back();
    return block;
  }

  void CompileInto(MilBlock& block, const spec::Block& source) {
    const int first = block.inputs.empty() ? static_cast<int>(slots_.size())
                                           : block.inputs.front();
    for (const spec::Operation& operation : source.operations()) {
      PollInterrupt();
      WithNote([&] { Add(block, operation); },
               [&] { return "at " + Describe(operation); });
    }
    for (const std::string& name : source.outputs()) {
      block.outputs.push_back(Resolve(name));
    }
    MarkReleases(block, first);
  }

  void Add(MilBlock& block, const spec::Operation& source) {
    const std::string_view type = PlainType(source.type());
    const std::string_view weight = coreml_.TensorOf(source);
    if (IsConstant(source) && AddConstant(source, weight)) return;
    MilOperation operation;
    operation.source = &source;
    operation.weight = weight;
    if (IsConstant(source)) {
      operation.kind = MilOperation::Kind::kWeight;
    } else {
      operation.function = FindMilFunction(type);
      AddInputs(operation, source);
      AddBlocks(operation, source, type);
    }
    for (const spec::NamedValueType& output : source.outputs()) {
      operation.outputs.push_back(Define(output.name()));
    }
    block.operations.push_back(std::move(operation));
  }

  // A constant that no `m["name"] = t` changes: false for all others. One that
  // only another constant reads has no value of its own.
  bool AddConstant(const spec::Operation& source, std::string_view weight) {
    if (weight.empty() && IsConstexpr(source)) {
      // Only other constants read what it makes.
      for (const spec::NamedValueType& output : source.outputs()) {
        Define(output.name());
      }
      return true;
    }
    if (source.outputs_size() != 1) {
      Fail(ErrorKind::kInput, "a constant with {} results",
           source.outputs_size());
    }
    const auto found = source.attributes().find("val");
    const bool has_value = found != source.attributes().end();
    Value value;
    if (!weight.empty()) {
      const spec::TensorType& type = source.outputs(0).type().tensor_type();
      if (IsFloat(type.data_type()) || !has_value) return false;
      value = Value(NumbersIn(host_, model_.Get(weight).stored(), type));
    } else if (has_value && found->second.has_immediate_value()) {
      value = LiteralOf(host_, found->second);
    }
    scopes_.back()[source.outputs(0).name()] = NewSlot(std::move(value));
    return true;
  }

  // A value that stands where a name could.
  Value Bound(const spec::Value& value) {
    return value.has_blob_file_value()
               ? Value(NumbersIn(host_, coreml_.BlobOf(value),
                                 value.type().tensor_type()))
               : LiteralOf(host_, value);
  }

  void AddInputs(MilOperation& operation, const spec::Operation& source) {
    for (const auto& [name, argument] : source.inputs()) {
      std::vector<int> slots;
      for (const spec::Argument::Binding& binding : argument.arguments()) {
        slots.push_back(binding.has_value() ? NewSlot(Bound(binding.value()))
                                            : Resolve(binding.name()));
      }
      operation.inputs.emplace_back(name, std::move(slots));
    }
  }

  void AddBlocks(MilOperation& operation, const spec::Operation& source,
                 std::string_view type) {
    if (!IsControl(type)) return;
    operation.kind = type == "cond" ? MilOperation::Kind::kBranch
                                    : MilOperation::Kind::kLoop;
    if (source.blocks_size() != 2) {
      Fail(ErrorKind::kInput, "{} blocks; expected 2", source.blocks_size());
    }
    for (const spec::Block& block : source.blocks()) {
      operation.blocks.push_back(CompileBlock(block));
    }
    const std::span<const int> carried = InputSlots(operation, "loop_vars");
    for (const MilBlock& block : operation.blocks) {
      const bool condition = &block == &operation.blocks[0] &&
                             operation.kind == MilOperation::Kind::kLoop;
      const size_t outputs =
          condition ? 1 : static_cast<size_t>(source.outputs_size());
      if (block.outputs.size() != outputs ||
          block.inputs.size() != carried.size()) {
        Fail(ErrorKind::kInput,
             "a block takes {} values and gives {}; expected {} and {}",
             block.inputs.size(), block.outputs.size(), carried.size(),
             outputs);
      }
    }
  }

  static void CollectUses(const MilBlock& block, std::set<int>& uses) {
    for (const MilOperation& operation : block.operations) {
      CollectUses(operation, uses);
    }
    uses.insert(block.outputs.begin(), block.outputs.end());
  }

  static void CollectUses(const MilOperation& operation, std::set<int>& uses) {
    for (const auto& [name, slots] : operation.inputs) {
      uses.insert(slots.begin(), slots.end());
    }
    for (const MilBlock& block : operation.blocks) CollectUses(block, uses);
  }

  // Slots from `first` on are the block's own, or of blocks inside it, which
  // have released theirs.
  void MarkReleases(MilBlock& block, int first) {
    std::set<int> kept(block.outputs.begin(), block.outputs.end());
    const auto own = [&](int slot) { return slot >= first && !constant_[slot]; };
    for (int slot : kept) {
      if (own(slot)) block.released.push_back(slot);
    }
    for (size_t i = block.operations.size(); i-- > 0;) {
      MilOperation& operation = block.operations[i];
      std::set<int> uses(operation.outputs.begin(), operation.outputs.end());
      CollectUses(operation, uses);
      for (int slot : uses) {
        if (kept.insert(slot).second && own(slot)) {
          operation.released.push_back(slot);
        }
      }
    }
  }

  const CoreMl& coreml_;
  const Model& model_;
  Host& host_;
  std::vector<std::unordered_map<std::string, int>> scopes_;
  std::vector<Value> slots_;
  std::vector<bool> constant_;
};

MilFunctionBody CompileMil(const CoreMl& coreml, const Model& model,
                           const spec::Program& program,
                           std::string_view function, Host& host) {
  return MilCompiler(coreml, model, host)
      .Compile(FunctionNamed(program, function));
}

}  // namespace tl::coreml
