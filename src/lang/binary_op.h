// The binary operators: how each is written, and the operation it is on
// tensors. For the checker, the machine and messages alike.
#pragma once

#include <optional>
#include <string_view>

#include "lang/ast.h"
#include "ops/op.h"

namespace tl {

std::string_view SignOf(BinaryOp op);  // "+", "in"

// Fails for kIn, which has no meaning on tensors.
OpId OperationOf(BinaryOp op);
// The operator that is this operation, if one is.
std::optional<BinaryOp> OperatorOf(OpId op);

}  // namespace tl
