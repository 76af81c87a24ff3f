#include "exec/planner.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "exec/scratch.h"
#include "exec/views.h"

namespace tl {
namespace {

using Input = Structure::Input;
using Item = Structure::Item;
using Instruction = ElementwiseProgram::Instruction;

// A group's operands each cost the interpreter a pointer walk; more than this
// and the hardware prefetchers lose count of the streams as well.
constexpr int kMaxGroupInputs = 12;

// While a group grows its inputs are numbered from 0 and its instructions from
// here; FinishPrograms gives them their final numbers.
constexpr int kFirstInstruction = 128;

class Planner {
 public:
  Planner(const Structure& structure, Placement placement)
      : structure_(structure), placement_(placement) {
    places_.resize(structure.items.size());
  }

  Plan Make() {
    // Conversions of stored tensors come first: a bias must exist before the
    // product that adds it in its epilogue.
    const int count = static_cast<int>(structure_.items.size());
    for (int i = 0; i < count; ++i) {
      if (ConvertsLeaf(i)) Add(i);
    }
    for (int i = 0; i < count; ++i) {
      if (!ConvertsLeaf(i)) Add(i);
    }
    FinishPrograms();
    FinishMemory();
    return std::move(plan_);
  }

 private:
  // Where a computed item is: value `value` of step `step`, and once somebody
  // needs it in memory, a slot.
  struct Place {
    int step = -1;
    int value = -1;  // of the step's program; -1 for a kernel without one
    int slot = -1;
    std::optional<Operand> operand;  // remembered; views too
  };

  const Item& item(int i) const { return structure_.items[i]; }
  const Shape& ShapeOf(int i) const { return item(i).node->shape(); }

  bool ConvertsLeaf(int i) const {
    return item(i).node->op() == OpId::Decode &&
           item(i).inputs[0].kind == Input::Kind::kLeaf;
  }

  void Add(int i) {
    switch (Info(item(i).node->op()).op_class) {
      case OpClass::kElementwise:
        AddElementwise(i);
        break;
      case OpClass::kKernel:
        AddKernel(i);
        break;
      case OpClass::kView:
      case OpClass::kLeaf:
        break;  // views are folded into their users
    }
    if (item(i).held || item(i).wanted) Keep(i);
  }

  // --- Operands in memory ---------------------------------------------------

  Operand Load(const Input& input) {
    switch (input.kind) {
      case Input::Kind::kLeaf: {
        const Node& leaf = *structure_.leaves[input.index];
        return WholeOperand(Operand::Source::kLeaf, input.index, leaf.dtype(),
                            leaf.shape());
      }
      case Input::Kind::kNumber:
        return WholeOperand(Operand::Source::kNumber, input.index,
                            structure_.number_dtypes[input.index], Shape{});
      case Input::Kind::kNode:
        break;
    }
    return LoadItem(input.index);
  }

  Operand LoadItem(int i) {
    Place& place = places_[i];
    if (place.operand) return *place.operand;
    const Node& node = *item(i).node;
    Operand operand;
    if (Info(node.op()).op_class == OpClass::kView) {
      operand = LoadView(i);
    } else {
      operand = WholeOperand(Operand::Source::kSlot, Store(i), node.dtype(),
                             node.shape());
    }
    places_[i].operand = operand;
    return operand;
  }

  Operand LoadView(int i) {
    const Node& node = *item(i).node;
    const Operand base = Load(item(i).inputs[0]);
    const auto fold = [&](const Operand& x) {
      return FoldView(node.op(), x, node.attributes().ints, node.shape(),
                      item(i).first_number);
    };
    if (std::optional<Operand> view = fold(base)) return *view;
    return *fold(Dense(base));
  }

  // The slot of a computed item, asking its step to write it.
  int Store(int i) {
    Place& place = places_[i];
    if (place.slot < 0) {
      const Node& node = *item(i).node;
      place.slot = AddSlot(node.dtype(), node.shape(), place.step);
      Step& step = plan_.steps[place.step];
      step.outputs.push_back(place.slot);
      step.program.outputs.push_back(static_cast<uint8_t>(place.value));
    }
    return place.slot;
  }

  int AddSlot(DType dtype, const Shape& shape, int producer) {
    plan_.slots.push_back({dtype, shape, producer});
    return static_cast<int>(plan_.slots.size()) - 1;
  }

  // x itself if it is row-major, else a copy that is.
  Operand Dense(const Operand& x) { return x.dense() ? x : Copy(x); }

  Operand Copy(const Operand& x) {
    const Shape shape = Shape::Of(std::span(x.dims.data(), size_t(x.rank)));
    const int step_index = NewStep(OpId::Identity, x.dtype, shape, current_);
    Step& step = plan_.steps[step_index];
    step.inputs = {x};
    step.program.inputs = 1;
    step.program.input_dtypes = {x.dtype};
    step.program.instructions = {
        {OpId::Identity, x.dtype, x.dtype == DType::I32, {0, 0, 0}}};
    step.program.outputs = {kFirstInstruction};
    const int slot = AddSlot(x.dtype, shape, step_index);
    step.outputs = {slot};
    return WholeOperand(Operand::Source::kSlot, slot, x.dtype, shape);
  }

  // --- Steps ------------------------------------------------------------------

  int NewStep(OpId op, DType dtype, const Shape& shape, int node) {
    Step step;
    step.op = op;
    step.dtype = dtype;
    step.shape = shape;
    step.node = node;
    plan_.steps.push_back(std::move(step));
    return static_cast<int>(plan_.steps.size()) - 1;
  }

  void AddKernel(int i) {
    current_ = i;
    const Node& node = *item(i).node;
    std::vector<Operand> inputs;
    for (const Input& input : item(i).inputs) {
      Operand operand = Load(input);
      const bool strided = Info(node.op()).layout == Layout::kStrided;
      inputs.push_back(strided ? operand : Dense(operand));
    }
    const int step_index = NewStep(node.op(), node.dtype(), node.shape(), i);
    Step& step = plan_.steps[step_index];
    step.inputs = std::move(inputs);
    step.ints.assign(node.attributes().ints.begin(),
                     node.attributes().ints.end());
    step.first_number = item(i).first_number;
    step.numbers = static_cast<int32_t>(node.attributes().numbers.size());
    places_[i].step = step_index;
    if (Info(node.op()).takes_epilogue) {
      // Its result is value 0 of an epilogue that may grow.
      step.program.inputs = 1;
      step.program.input_dtypes = {node.dtype()};
      places_[i].value = 0;
    } else {
      Store(i);
      plan_.steps[step_index].program = {};
    }
  }

  // --- Fusion ------------------------------------------------------------------

  static bool CanGrow(const Step& step) {
    return step.op == OpId::Identity || Info(step.op).takes_epilogue;
  }

  // The step whose memory an input needs to exist first, -1 for a leaf.
  int ProducerOf(const Input& input) {
    if (input.kind != Input::Kind::kNode) return -1;
    const Node& node = *item(input.index).node;
    if (Info(node.op()).op_class != OpClass::kView) {
      return places_[input.index].step;
    }
    const Operand operand = LoadItem(input.index);
    return operand.source == Operand::Source::kSlot
               ? plan_.slots[operand.index].producer
               : -1;
  }

  // The latest step that computes an operand of item i over the same elements
  // and can take one more instruction, or -1. All other operands must exist
  // before that step runs.
  int FindGroup(int i) {
    int group = -1, latest = -1;
    for (const Input& input : item(i).inputs) {
      const int producer = ProducerOf(input);
      latest = std::max(latest, producer);
      const bool direct =
          input.kind == Input::Kind::kNode && producer >= 0 &&
          places_[input.index].step == producer &&
          places_[input.index].value >= 0 &&
          ShapeOf(input.index) == ShapeOf(i) &&
          CanGrow(plan_.steps[producer]) &&
          plan_.steps[producer].shape == ShapeOf(i);
      if (direct) group = std::max(group, producer);
    }
    if (group < 0 || group != latest) return -1;
    // Something of the group itself that is needed through memory (a view of a
    // member) rules it out.
    for (const Input& input : item(i).inputs) {
      const bool through_memory =
          ProducerOf(input) == group && places_[input.index].step != group;
      const bool broadcast_member =
          ProducerOf(input) == group && !(ShapeOf(input.index) == ShapeOf(i));
      if (through_memory || broadcast_member) return -1;
    }
    return HasRoom(plan_.steps[group], item(i).inputs.size()) ? group : -1;
  }

  static bool HasRoom(const Step& step, size_t more_inputs) {
    const int inputs = step.program.inputs + static_cast<int>(more_inputs);
    const int values =
        inputs + static_cast<int>(step.program.instructions.size()) + 1;
    return inputs <= kMaxGroupInputs &&
           values <= ElementwiseProgram::kMaxValues;
  }

  void AddElementwise(int i) {
    current_ = i;
    const Node& node = *item(i).node;
    int group = FindGroup(i);
    // Loading may add copy steps; they come before a new group.
    std::vector<std::optional<Operand>> loads;
    for (const Input& input : item(i).inputs) {
      const bool member = group >= 0 && input.kind == Input::Kind::kNode &&
                          places_[input.index].step == group;
      loads.push_back(member ? std::nullopt
                             : std::optional(BroadcastOperand(
                                   Load(input), node.shape())));
    }
    if (group < 0) {
      group = NewStep(OpId::Identity, node.dtype(), node.shape(), i);
    }
    Instruction instruction{node.op(), node.dtype(),
                            node.dtype() == DType::I32, {0, 0, 0}};
    for (size_t k = 0; k < loads.size(); ++k) {
      const Input& input = item(i).inputs[k];
      instruction.operand[k] = static_cast<uint8_t>(
          loads[k] ? AddInput(group, *loads[k]) : places_[input.index].value);
    }
    Step& step = plan_.steps[group];
    for (size_t k = 0; k < loads.size(); ++k) {
      instruction.int_lanes = instruction.int_lanes &&
                              ValueDType(step, instruction.operand[k]) == DType::I32;
    }
    step.program.instructions.push_back(instruction);
    step.node = i;
    places_[i].step = group;
    places_[i].value = kFirstInstruction +
                       static_cast<int>(step.program.instructions.size()) - 1;
  }

  static DType ValueDType(const Step& step, int value) {
    const ElementwiseProgram& program = step.program;
    return value < kFirstInstruction
               ? program.input_dtypes[value]
               : program.instructions[value - kFirstInstruction].dtype;
  }

  // The value number of an operand of the group.
  int AddInput(int group, const Operand& operand) {
    Step& step = plan_.steps[group];
    // A kernel's own inputs are not values; value 0 is its result.
    const int value_of_first = Info(step.op).takes_epilogue ? 1 : 0;
    const int count = static_cast<int>(step.inputs.size());
    const int first = count - (step.program.inputs - value_of_first);
    for (int k = first; k < count; ++k) {
      if (step.inputs[k] == operand) return k - first + value_of_first;
    }
    step.inputs.push_back(operand);
    step.program.input_dtypes.push_back(operand.dtype);
    return step.program.inputs++;
  }

  // --- Results and memory -------------------------------------------------------

  void Keep(int i) {
    current_ = i;
    const bool view = Info(item(i).node->op()).op_class == OpClass::kView;
    Operand operand = LoadItem(i);
    const bool small_part_of_a_slot =
        view && operand.source == Operand::Source::kSlot &&
        2 * operand.size() < plan_.slots[operand.index].shape.size();
    // A small view must not keep all of a large result alive.
    if (!operand.dense() || operand.source == Operand::Source::kNumber ||
        small_part_of_a_slot) {
      operand = Copy(operand);
    }
    if (operand.source == Operand::Source::kSlot) {
      plan_.slots[operand.index].kept = true;
    }
    plan_.results.push_back({i, operand});
  }

  void FinishPrograms() {
    for (Step& step : plan_.steps) {
      const auto finish = [&](uint8_t& value) {
        if (value >= kFirstInstruction) {
          value = value - kFirstInstruction + step.program.inputs;
        }
      };
      for (Instruction& instruction : step.program.instructions) {
        for (uint8_t& value : instruction.operand) finish(value);
      }
      for (uint8_t& value : step.program.outputs) finish(value);
    }
  }

  // Last uses: what each step releases, and whose memory its result takes.
  void FinishMemory() {
    std::vector<int> last(plan_.slots.size());
    for (size_t s = 0; s < plan_.slots.size(); ++s) {
      last[s] = plan_.slots[s].producer;
    }
    for (size_t t = 0; t < plan_.steps.size(); ++t) {
      for (const Operand& input : plan_.steps[t].inputs) {
        if (input.source == Operand::Source::kSlot) {
          last[input.index] = static_cast<int>(t);
        }
      }
    }
    for (size_t s = 0; s < plan_.slots.size(); ++s) {
      if (!plan_.slots[s].kept) {
        plan_.steps[last[s]].releases.push_back(static_cast<int>(s));
      }
    }
    for (Step& step : plan_.steps) ChooseDonor(step);
    PlaceSlots(plan_, placement_);
  }

  // Whether x[..] = v may write x's memory, if nobody else needs it. Not where
  // the part is a view of x: x[1:5] = x[0:4] reads what it would overwrite.
  // And not where x is a view of a leaf: others may hold the view, and the
  // executor counts only who holds the leaf.
  bool MayAssignInPlace(const Step& step) const {
    const Operand &x = step.inputs[0], &part = step.inputs[1];
    if (x.source == part.source && x.index == part.index) return false;
    if (x.source == Operand::Source::kSlot) return DiesWhole(step, x);
    return x.source == Operand::Source::kLeaf && IsWhole(x) &&
           x.size() == step.shape.size() &&
           item(step.node).inputs[0].kind == Input::Kind::kLeaf;
  }

  static bool IsWhole(const Operand& x) {
    return x.dense() && x.terms.empty() && x.offset == 0;
  }

  // Whether x is all of a slot that the step is the last to use, and has as
  // many elements, of the same size, as the step's result.
  bool DiesWhole(const Step& step, const Operand& x) const {
    const Slot& slot = plan_.slots[x.index];
    const Slot& result = plan_.slots[step.outputs[0]];
    return IsWhole(x) && x.size() == result.shape.size() &&
           slot.shape.size() == x.size() &&
           ElementBytes(slot.dtype) == ElementBytes(result.dtype) &&
           std::count(step.releases.begin(), step.releases.end(), x.index) > 0;
  }

  void ChooseDonor(Step& step) {
    if (step.op == OpId::Assign) {
      if (MayAssignInPlace(step)) step.donor = 0;
      return;
    }
    if (step.op != OpId::Identity || step.outputs.empty()) return;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      const Operand& x = step.inputs[k];
      if (x.source != Operand::Source::kSlot || !DiesWhole(step, x)) continue;
      const bool once = std::count_if(step.inputs.begin(), step.inputs.end(),
                                      [&](const Operand& other) {
                                        return other.source == x.source &&
                                               other.index == x.index;
                                      }) == 1;
      if (once) {
        step.donor = static_cast<int>(k);
        return;
      }
    }
  }

  const Structure& structure_;
  const Placement placement_;
  Plan plan_;
  std::vector<Place> places_;
  int current_ = 0;
};

}  // namespace

Plan MakePlan(const Structure& structure, Placement placement) {
  return Planner(structure, placement).Make();
}

}  // namespace tl
