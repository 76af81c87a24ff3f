// Opening, making and saving models.
#include "base/error.h"
#include "interp/builtins.h"
#include "interp/operators.h"
#include "interp/vm.h"

namespace tl::builtins {
namespace {

const std::string& Path(const Value& value, std::string_view what) {
  if (!value.is_string()) {
    Fail(ErrorKind::kProgram, "{} is {}; expected a string", what,
         Describe(value));
  }
  if (value.as_string().empty()) {
    Fail(ErrorKind::kInput, "{} is ''; expected the name of a file", what);
  }
  return value.as_string();
}

}  // namespace

Value LoadModel(Vm& vm, std::span<Value> arguments) {
  return vm.models().Load(Path(arguments[0], "load_model: 'path'"),
                          arguments[1], arguments[2].as_bool(),
                          arguments[3].as_string());
}

Value SaveModel(Vm& vm, std::span<Value> arguments) {
  vm.models().Save(arguments[0], Path(arguments[1], "save_model: 'path'"),
                   arguments[2].as_string());
  return Value();
}

Value NewModel(Vm& vm, std::span<Value>) { return vm.models().New(); }

}  // namespace tl::builtins
