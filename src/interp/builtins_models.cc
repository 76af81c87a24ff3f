// Opening, making, merging and saving models.
#include "interp/builtins.h"
#include "interp/operators.h"
#include "interp/vm.h"

namespace tl::builtins {

Value LoadModel(Vm& vm, std::span<Value> arguments) {
  return vm.models().Load(PathArgument(arguments[0], "load_model"),
                          arguments[1], arguments[2].as_bool(),
                          arguments[3].as_string());
}

Value SaveModel(Vm& vm, std::span<Value> arguments) {
  vm.models().Save(arguments[0], PathArgument(arguments[1], "save_model"),
                   arguments[2].as_string());
  return Value();
}

Value ApplyLora(Vm& vm, std::span<Value> arguments) {
  const double scale =
      RealNumber(vm.tensors(), arguments[2], "apply_lora: 'scale'");
  return vm.models().ApplyLora(
      arguments[0], PathArgument(arguments[1], "apply_lora"), scale);
}

Value NewModel(Vm& vm, std::span<Value>) { return vm.models().New(); }

}  // namespace tl::builtins
