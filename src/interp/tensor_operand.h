// Values of the program as operands of tensor operations: tensors themselves,
// numbers, and nested lists of numbers.
#pragma once

#include <span>

#include "graph/builder.h"
#include "interp/tensors.h"

namespace tl {

DType ToDType(ElementType element);

// The type that lists of numbers that are not all ints take beside these
// values: float32 beside a float32 tensor, so that 0.1 does not pass through
// float16 on its way there.
DType ListTypeBeside(std::span<const Value> values);

// A tensor, number, bool or nested list as a tensor. Lists of ints are int32,
// other lists of numbers `list_type`. Fails for anything else, naming it.
TensorRef OperandOf(Builder& builder, const Value& value, DType list_type);

// The same with the element type given: every number is rounded once.
TensorRef TensorOfType(Builder& builder, const Value& value, DType dtype);

// Makes a fresh argument of a tensor function say this value: lists stay lists.
void SetArgument(Argument& argument, const Value& value);

}  // namespace tl
