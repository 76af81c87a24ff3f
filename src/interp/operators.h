// What operators mean for values: numbers and strings here, tensors (and lists
// of numbers, which are tensors to an operator) by way of tensors.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "interp/tensors.h"
#include "interp/value.h"
#include "lang/ast.h"

namespace tl {

Value BinaryValue(Tensors& tensors, BinaryOp op, const Value& a, const Value& b,
                  Span where);
Value NegateValue(Tensors& tensors, const Value& x, Span where);
// Whether a condition holds; fails on what is neither true nor false.
bool Truth(Tensors& tensors, const Value& x);
// Whether two values are the same, element by element: for match, assert_eq
// and lists. A tensor of one element is a number.
bool Same(Tensors& tensors, const Value& a, const Value& b, Span where);
// Whether no element is 0.
bool AllTrue(Tensors& tensors, const Value& x, Span where);
bool ContainsValue(Tensors& tensors, const Value& container,
                   const Value& element, Span where);
// `x as int` and the like.
Value CastValue(Tensors& tensors, const Value& x, const TypeExpr& type,
                Span where);

// An int from an int, a whole float or a tensor of one such element; fails,
// saying what it was for.
int64_t WholeNumber(Tensors& tensors, const Value& x, std::string_view what);
// A double from any number or tensor of one element.
double RealNumber(Tensors& tensors, const Value& x, std::string_view what);
// The int that a float cut toward zero is; fails where there is none.
int64_t TruncateToInt(double value);

// "an int", "a string", "none", "float16[2, 3]".
std::string Describe(const Value& value);

}  // namespace tl
