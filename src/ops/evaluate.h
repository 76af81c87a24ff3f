// The formulas of elementwise.def in float64: what a function of the language
// means for plain numbers, and the reference that kernels are tested against.
#pragma once

#include "ops/op.h"

namespace tl {

// `op` is a row of elementwise.def; operands beyond its arity are ignored.
double Evaluate(OpId op, double x, double y = 0, double z = 0);

}  // namespace tl
