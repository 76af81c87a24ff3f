// Folding view operations into an operand's offset and strides.
#pragma once

#include <optional>

#include "exec/plan.h"

namespace tl {

// A row-major operand over the whole of something of `shape`.
Operand WholeOperand(Operand::Source source, int index, DType dtype,
                     const Shape& shape);

// The view `op` of x; its numbers start at run-time argument `first_number`.
// Nothing where strides cannot express it (a reshape of a transposed tensor):
// then x must be copied first.
std::optional<Operand> FoldView(OpId op, const Operand& x,
                                std::span<const int64_t> ints,
                                const Shape& result, int32_t first_number);

// x with stride 0 along axes that broadcasting to `shape` repeats.
Operand BroadcastOperand(const Operand& x, const Shape& shape);

}  // namespace tl
