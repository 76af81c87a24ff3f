// Arguments, results and declared tensors against the types written for them.
// What the language converts is converted in place: a list to a tensor, a
// whole float to an int.
#pragma once

#include "interp/bytecode.h"
#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

// `base`: the registers of the call, where the dims of the check live; those
// still unset are bound here. `of`: whose parameter or result it is.
void CheckType(Tensors& tensors, Value& value, const TypeCheck& check,
               Value* base, const FunctionCode& of, Span where);

// `tensor w: type = value`; none means zeros.
void CheckDeclaredTensor(Tensors& tensors, Value& value, const TypeCheck& check,
                         Value* base, Span where);

}  // namespace tl
