#include "interp/mutators.h"

#include "base/error.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/subscripts.h"

namespace tl {
namespace {

struct MutatorRow {
  std::string_view name;
  Mutator mutator;
  size_t arguments;
};

constexpr MutatorRow kMutators[] = {
    {"push", Mutator::kPush, 1},   {"append", Mutator::kAppend, 1},
    {"pop", Mutator::kPop, 0},     {"set", Mutator::kSet, 2},
    {"clear", Mutator::kClear, 0}, {"remove", Mutator::kRemove, 1},
};

const MutatorRow& RowOf(Mutator mutator) {
  return kMutators[static_cast<size_t>(mutator)];
}

Value MutateList(Tensors& tensors, Mutator method, Value& place,
                 std::span<const Value> arguments, Span where) {
  switch (method) {
    case Mutator::kPush:
    case Mutator::kAppend: {
      Value element = arguments[0];  // may be the list itself
      place.OwnList().push_back(std::move(element));
      return Value();
    }
    case Mutator::kPop: {
      std::vector<Value>& items = place.OwnList();
      if (items.empty()) Fail(ErrorKind::kProgram, "pop: the list is empty");
      Value last = std::move(items.back());
      items.pop_back();
      return last;
    }
    case Mutator::kSet:
      SetIndex(tensors, place, arguments[0], arguments[1], where);
      return Value();
    case Mutator::kClear:
      place = Value::List({});
      return Value();
    case Mutator::kRemove:
      break;
  }
  return Value::Unset();
}

Value MutateMap(Tensors& tensors, Mutator method, Value& place,
                std::span<const Value> arguments, Span where) {
  switch (method) {
    case Mutator::kSet:
      SetIndex(tensors, place, arguments[0], arguments[1], where);
      return Value();
    case Mutator::kClear:
      place = Value::Map();
      return Value();
    case Mutator::kRemove:
      return Value::Bool(place.OwnMap().Remove(arguments[0]));
    case Mutator::kPush:
    case Mutator::kAppend:
    case Mutator::kPop:
      break;
  }
  return Value::Unset();
}

}  // namespace

std::optional<Mutator> FindMutator(std::string_view name) {
  for (const MutatorRow& row : kMutators) {
    if (row.name == name) return row.mutator;
  }
  return std::nullopt;
}

Value Mutate(Tensors& tensors, Mutator method, Value& place,
             std::span<const Value> arguments, Span where) {
  if (!place.is_list() && !place.is_map()) return Value::Unset();
  const MutatorRow& row = RowOf(method);
  if (arguments.size() != row.arguments) {
    Fail(ErrorKind::kProgram, "'{}' takes {} argument{}, not {}", row.name,
         row.arguments, row.arguments == 1 ? "" : "s", arguments.size());
  }
  return place.is_list() ? MutateList(tensors, method, place, arguments, where)
                         : MutateMap(tensors, method, place, arguments, where);
}

}  // namespace tl
