#include "interp/plain_numbers.h"

#include <algorithm>
#include <array>

#include "interp/operators.h"
#include "lang/binary_op.h"
#include "ops/evaluate.h"

namespace tl {
namespace {

// The row that a function is for numbers, and its operands.
struct NumberCall {
  OpId op = OpId::kLeaf;  // none
  int arity = 0;
  std::array<Value, 3> operands = {};
};

// Whether an argument that changes nothing was left out or said so.
bool IsOff(const Value& flag) {
  return flag.is_none() || (flag.is_bool() && !flag.as_bool());
}

NumberCall RowFor(const FunctionInfo& function, std::span<const Value> x) {
  if (function.row != OpId::kLeaf) {
    NumberCall call{function.row, static_cast<int>(x.size())};
    std::copy(x.begin(), x.end(), call.operands.begin());
    return call;
  }
  if (function.name == "max" && IsOff(x[2])) {
    return {OpId::Maximum, 2, {x[0], x[1]}};
  }
  if (function.name == "min" && IsOff(x[2])) {
    return {OpId::Minimum, 2, {x[0], x[1]}};
  }
  if (function.name != "clamp") return {};
  if (x[1].is_none()) return {OpId::Minimum, 2, {x[0], x[2]}};
  if (x[2].is_none()) return {OpId::Maximum, 2, {x[0], x[1]}};
  return {OpId::Clamp, 3, {x[0], x[1], x[2]}};
}

bool IsScalar(const Value& value) {
  return value.is_number() || value.is_bool();
}

bool RoundsToWhole(OpId op) {
  return op == OpId::Floor || op == OpId::Ceil || op == OpId::Round;
}

}  // namespace

std::optional<Value> CallOnNumbers(Tensors& tensors,
                                   const FunctionInfo& function,
                                   std::span<const Value> arguments,
                                   Span where) {
  if (arguments.empty() || !IsScalar(arguments[0])) return std::nullopt;
  auto [op, arity, x] = RowFor(function, arguments);
  if (op == OpId::kLeaf) return std::nullopt;
  bool ints = true;
  for (Value& operand : std::span(x).first(arity)) {
    if (!IsScalar(operand)) return std::nullopt;
    if (operand.is_bool()) operand = Value::Int(operand.as_bool());
    ints = ints && operand.is_int();
  }
  if (const std::optional<BinaryOp> same = OperatorOf(op)) {
    return BinaryValue(tensors, *same, x[0], x[1], where);
  }
  if (ints && RoundsToWhole(op)) return x[0];
  const Domain domain = Info(op).domain;
  const auto number = [domain](auto result, auto make) {
    return domain == Domain::kCompare ? Value::Bool(result != 0) : make(result);
  };
  for (Value& unused : std::span(x).subspan(arity)) unused = Value::Int(0);
  if (ints && domain != Domain::kFloat) {
    return number(EvaluateInts(op, x[0].as_int(), x[1].as_int(), x[2].as_int()),
                  Value::Int);
  }
  return number(Evaluate(op, x[0].as_number(), x[1].as_number(),
                         x[2].as_number()),
                Value::Float);
}

}  // namespace tl
