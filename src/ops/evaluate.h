// The formulas of elementwise.def in 64 bits: what a function of the language
// means for plain numbers, and the reference that kernels are tested against.
#pragma once

#include "ops/op.h"

namespace tl {

// `op` is a row of elementwise.def; operands beyond its arity are ignored.
double Evaluate(OpId op, double x, double y = 0, double z = 0);
// The same for ints, exactly, where the row is not of Domain::kFloat; fails
// where the result does not fit.
int64_t EvaluateInts(OpId op, int64_t x, int64_t y = 0, int64_t z = 0);

}  // namespace tl
