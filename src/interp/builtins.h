// The built-in functions of the program: one C++ function for each row of
// lang/builtins.def, in builtins_*.cc by subject. Tensor functions are not
// here: they are ops/functions.h, called through Tensors.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "interp/value.h"
#include "lang/signature.h"

namespace tl {

class Vm;

// Arguments come in the order of the row's parameters. One that was left out
// and whose default is `none` is unset, so that a function can tell.
using BuiltinFunction = Value (*)(Vm& vm, std::span<Value> arguments);

BuiltinFunction FunctionOf(BuiltinId builtin);

// The text of an argument that must be a string; fails by naming both.
const std::string& StringArgument(const Value& value, std::string_view function,
                                  std::string_view parameter);

// The 'path' of a function; fails where it can be no name of a file.
const std::string& PathArgument(const Value& value, std::string_view function);

namespace builtins {
#define TL_BUILTIN(id, signature, doc) Value id(Vm&, std::span<Value>);
#define TL_CONSTANT(name, value, doc)
#define TL_MEMBER(owner, name, result, doc)
#include "lang/builtins.def"
}  // namespace builtins

}  // namespace tl
