#include "interp/signatures.h"

#include "ops/functions.h"

namespace tl {

std::optional<uint16_t> FindBuiltin(std::string_view name) {
  if (std::optional<BuiltinId> id = FindBuiltinId(name)) {
    return static_cast<uint16_t>(*id);
  }
  if (const FunctionInfo* function = FindFunction(name)) {
    return static_cast<uint16_t>(FirstTensorFunction() +
                                 (function - Functions().data()));
  }
  return std::nullopt;
}

const Signature& SignatureOfBuiltin(uint16_t builtin) {
  const uint16_t first = FirstTensorFunction();
  if (builtin < first) return SignatureOf(static_cast<BuiltinId>(builtin));
  return SignatureOf(Functions()[builtin - first]);
}

std::string_view NameOfBuiltin(uint16_t builtin) {
  const uint16_t first = FirstTensorFunction();
  return builtin < first ? Builtins()[builtin].name
                         : Functions()[builtin - first].name;
}

uint16_t FirstTensorFunction() {
  return static_cast<uint16_t>(Builtins().size());
}

Value ToValue(const DefaultValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return Value::Bool(*flag);
  if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    return Value::Int(*integer);
  }
  if (const double* real = std::get_if<double>(&value)) {
    return Value::Float(*real);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    return Value::String(*text);
  }
  return Value();
}

Value OmittedArgument(uint16_t builtin, const SignatureParameter& parameter) {
  const bool none =
      std::holds_alternative<std::monostate>(parameter.default_value);
  if (none && builtin < FirstTensorFunction()) return Value::Unset();
  return ToValue(parameter.default_value);
}

}  // namespace tl
