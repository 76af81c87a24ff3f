// Lists, maps and models as things that hold others.
#include "base/error.h"
#include "interp/builtins.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/vm.h"

namespace tl {
namespace builtins {

// The list is the call's own where nobody else holds it: then nothing is
// copied.
Value Push(Vm&, std::span<Value> arguments) {
  if (!arguments[0].is_list()) {
    Fail(ErrorKind::kProgram, "push: 'v' is {}; expected a list",
         Describe(arguments[0]));
  }
  Value list = std::move(arguments[0]);
  list.OwnList().push_back(std::move(arguments[1]));
  return list;
}

Value Append(Vm& vm, std::span<Value> arguments) { return Push(vm, arguments); }

Value NewIntVec(Vm&, std::span<Value>) { return Value::List({}); }
Value NewFloatVec(Vm&, std::span<Value>) { return Value::List({}); }
Value NewStringVec(Vm&, std::span<Value>) { return Value::List({}); }
Value NewBoolVec(Vm&, std::span<Value>) { return Value::List({}); }

Value Contains(Vm& vm, std::span<Value> arguments) {
  return Value::Bool(
      ContainsValue(vm.tensors(), arguments[0], arguments[1], vm.where()));
}

Value Has(Vm& vm, std::span<Value> arguments) {
  return Contains(vm, arguments);
}

// A handle loses the tensor itself; of a map the result is one without the key.
Value Remove(Vm&, std::span<Value> arguments) {
  Value& from = arguments[0];
  if (from.is_map()) {
    Value map = std::move(from);
    map.OwnMap().Remove(arguments[1]);
    return map;
  }
  if (from.is_handle()) {
    from.as_handle().Remove(arguments[1]);
    return Value();
  }
  Fail(ErrorKind::kProgram, "nothing can be removed from {}", Describe(from));
}

// Values are copied when they are changed, so only a handle has work to do.
Value Copy(Vm&, std::span<Value> arguments) {
  if (arguments[0].is_handle()) return arguments[0].as_handle().Copy();
  return arguments[0];
}

Value GetTensor(Vm&, std::span<Value> arguments) {
  if (!arguments[0].is_handle()) {
    Fail(ErrorKind::kProgram, "get_tensor: 'model' is {}; expected a model",
         Describe(arguments[0]));
  }
  const Handle& model = arguments[0].as_handle();
  const bool optional = !arguments[2].is_unset();
  if (optional && !model.Contains(arguments[1])) return arguments[2];
  return model.Index(arguments[1]);
}

}  // namespace builtins
}  // namespace tl
