// The functions of the language by number: first the program built-ins (by
// BuiltinId), then the tensor functions (by their place in Functions()).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "interp/value.h"
#include "lang/signature.h"

namespace tl {

std::optional<uint16_t> FindBuiltin(std::string_view name);
const Signature& SignatureOfBuiltin(uint16_t builtin);
std::string_view NameOfBuiltin(uint16_t builtin);
// The number of the first tensor function.
uint16_t FirstTensorFunction();

Value ToValue(const DefaultValue& value);
// What a built-in gets for an argument that was left out: the default; unset
// where a program built-in's default is `none`, so that it can tell.
Value OmittedArgument(uint16_t builtin, const SignatureParameter& parameter);

}  // namespace tl
