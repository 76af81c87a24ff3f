// Assignment into variables (`m["a"][i].b = x`) and the methods that change
// them. Each container on the way is made the variable's own before it is
// changed, so nobody else sees the change.
#include "base/error.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/subscripts.h"
#include "interp/vm.h"

namespace tl {

Value& Vm::RootOf(const Place& place) {
  switch (place.root) {
    case RootKind::kRegister:
      return frame_->base[place.index];
    case RootKind::kCell:
      return frame_->base[place.index].as_cell().value;
    case RootKind::kShared:
      return frame_->function->cells[place.index].as_cell().value;
    case RootKind::kGlobal:
      break;
  }
  if (globals_[place.index].is_unset()) FailUnset(place.index);
  return globals_[place.index];
}

Value Vm::ReadStep(const PlaceStep& step, const Value& object) {
  if (step.is_member) return GetMember(tensors_, object, step.name, where());
  return GetSubscripts(
      tensors_, object,
      SubscriptsAt(step.subscripts, frame_->base + step.first_register),
      where());
}

void Vm::WriteStep(const PlaceStep& step, Value& object, Value value) {
  if (step.is_member) return SetMember(object, step.name, std::move(value));
  SetSubscripts(
      tensors_, object,
      SubscriptsAt(step.subscripts, frame_->base + step.first_register),
      std::move(value), where());
}

// The part of a list or map that a step means, to be changed where it is; null
// where the step is no plain index or the object is of another kind.
Value* Vm::FindInside(const PlaceStep& step, Value& object) {
  if (object.is_map()) {
    const Value name = step.is_member ? Value::String(step.name)
                                      : frame_->base[step.first_register];
    if (!step.is_member && step.subscripts.size() != 1) return nullptr;
    if (object.as_map().Find(name) == nullptr) return nullptr;
    return &object.OwnMap().At(name);
  }
  if (!object.is_list() || step.is_member || step.subscripts.size() != 1 ||
      step.subscripts[0].kind != SubscriptKind::kIndex) {
    return nullptr;
  }
  const Value& key = frame_->base[step.first_register];
  if (key.is_list()) return nullptr;
  std::vector<Value>& items = object.OwnList();
  return &items[PositionOf(WholeNumber(tensors_, key, "an index"), items.size(),
                           "a list")];
}

void Vm::UpdateInside(const Place& place, size_t step, Value& at, Value value) {
  if (step == place.steps.size()) {
    if (!place.combine) {
      at = std::move(value);
    } else if (place.op == BinaryOp::kAdd && at.is_string() &&
               value.is_string()) {
      at.OwnString() += value.as_string();
    } else {
      at = BinaryValue(tensors_, place.op, at, value, where());
    }
    return;
  }
  const PlaceStep& here = place.steps[step];
  if (Value* part = FindInside(here, at)) {
    return UpdateInside(place, step + 1, *part, std::move(value));
  }
  if (step + 1 == place.steps.size()) {
    if (place.combine) {
      value =
          BinaryValue(tensors_, place.op, ReadStep(here, at), value, where());
    }
    return WriteStep(here, at, std::move(value));
  }
  Value part = ReadStep(here, at);
  UpdateInside(place, step + 1, part, std::move(value));
  // What holds a handle holds what the handle stands for.
  if (!part.is_handle()) WriteStep(here, at, std::move(part));
}

void Vm::UpdatePlace(const Place& place, Value value) {
  UpdateInside(place, 0, RootOf(place), std::move(value));
  ClearSteps(place);
}

void Vm::ClearSteps(const Place& place) {
  for (const PlaceStep& step : place.steps) {
    if (step.is_member) continue;
    ClearSubscripts(step.subscripts, frame_->base + step.first_register);
  }
}

Value Vm::MutateInside(const Place& place, size_t step, Value& at,
                       std::span<Value> arguments) {
  if (step == place.steps.size()) {
    return Mutate(tensors_, place.mutator, at, arguments, where());
  }
  if (Value* part = FindInside(place.steps[step], at)) {
    return MutateInside(place, step + 1, *part, arguments);
  }
  return Value::Unset();
}

bool Vm::EnterOnPlace(Instruction i) {
  const Place& place = frame_->code->places[i.b];
  Value* const window = frame_->base + i.a;
  const std::span<Value> arguments(window, place.call.arguments);
  Value& root = RootOf(place);
  const bool pushes =
      place.mutator == Mutator::kPush || place.mutator == Mutator::kAppend;
  if (pushes && place.steps.empty() && root.is_list() &&
      arguments.size() == 1 && place.call.names.empty()) {
    // `v.push(x)`, the commonest by far. v.push(v) has v held twice.
    root.OwnList().push_back(std::move(arguments[0]));
    frame_->base[i.c].Clear();
    return false;
  }
  if (place.call.names.empty()) {
    Value result = MutateInside(place, 0, root, arguments);
    if (!result.is_unset()) {
      for (Value& argument : arguments) argument.Clear();
      ClearSteps(place);
      frame_->base[i.c] = std::move(result);
      return false;
    }
  }
  // No list or map: a call of a member or function like any other.
  Value receiver = root;
  for (const PlaceStep& step : place.steps) receiver = ReadStep(step, receiver);
  ClearSteps(place);
  for (size_t n = arguments.size(); n-- > 0;) {
    window[n + 1] = std::move(window[n]);
  }
  window[0] = std::move(receiver);
  return EnterMethodOf(place.call, i);
}

}  // namespace tl
