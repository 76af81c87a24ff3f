// Functions of plain numbers: computed at once in 64 bits, not as tensors. What
// an operator says too (`div(a, b)`, `a / b`) means the same as the operator.
#pragma once

#include <optional>
#include <span>

#include "interp/tensors.h"
#include "interp/value.h"
#include "ops/functions.h"

namespace tl {

// Nothing where an argument is no number, or the function works on tensors
// only: then they are tensors of rank 0.
std::optional<Value> CallOnNumbers(Tensors& tensors,
                                   const FunctionInfo& function,
                                   std::span<const Value> arguments,
                                   Span where);

}  // namespace tl
