// Operators, on numbers, strings and tensors.
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "lang/binary_op.h"
#include "lang/checker_rules.h"
#include "ops/build.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

bool IsArithmetic(BinaryOp op) { return op <= BinaryOp::kPower; }

// Kinds that no arithmetic operator takes.
bool IsNoOperand(const StaticType& type) {
  return type.is(Kind::kNone) || type.is(Kind::kMap) || type.is(Kind::kModel) ||
         type.is(Kind::kFunction) || type.is(Kind::kTokenizer) ||
         type.is(Kind::kCache);
}

// Whether an arithmetic operator certainly refuses such operands.
bool Refuses(BinaryOp op, const StaticType& left, const StaticType& right) {
  if (IsNoOperand(left) || IsNoOperand(right)) return true;
  bool left_text = left.is(Kind::kString);
  bool right_text = right.is(Kind::kString);
  if (!left_text && !right_text) return false;
  if (!left.known() || !right.known()) {
    return op != BinaryOp::kAdd && op != BinaryOp::kMultiply;
  }
  if (op == BinaryOp::kAdd) return !left_text || !right_text;
  if (op == BinaryOp::kMultiply) {
    const StaticType& times = left_text ? right : left;
    return times.is(Kind::kString) || times.is(Kind::kList) ||
           times.is(Kind::kFloat);
  }
  return true;
}

std::optional<int64_t> Folded(BinaryOp op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = true;
  if (op == BinaryOp::kAdd) {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (op == BinaryOp::kSubtract) {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (op == BinaryOp::kMultiply) {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else if (op == BinaryOp::kDivide && right > 0) {
    return left / right;
  } else if (op == BinaryOp::kRemainder && right > 0) {
    return left % right;
  }
  if (overflow) return std::nullopt;
  return result;
}

Dim Folded(BinaryOp op, Dim left, Dim right) {
  if (op == BinaryOp::kAdd) return left + right;
  if (op == BinaryOp::kSubtract) return left - right;
  if (op == BinaryOp::kMultiply) return left * right;
  if (op == BinaryOp::kDivide) return DivideExact(left, right);
  return Dim::Unknown();
}

}  // namespace

StaticType Checker::CheckUnary(const UnaryExpr& unary) {
  StaticType operand = Check(*unary.operand);
  if (unary.op == UnaryOp::kNot) {
    return operand.is(Kind::kTensor) || !operand.known() ? StaticType()
                                                         : StaticType::Bool();
  }
  if (IsNoOperand(operand) || operand.is(Kind::kString)) {
    Report(unary.span,
           fmt::format("'-' does not work on {}", operand.ToString()));
    return {};
  }
  if (operand.is(Kind::kInt)) {
    bool negates = operand.integer &&
                   *operand.integer != std::numeric_limits<int64_t>::min();
    return negates ? StaticType::Int(-*operand.integer)
                   : StaticType::Int(Dim::Unknown());
  }
  if (operand.is(Kind::kFloat)) {
    return operand.real ? StaticType::Float(-*operand.real) : operand;
  }
  if (operand.is(Kind::kTensor)) return operand;
  return {};
}

StaticType Checker::CheckBinary(const BinaryExpr& binary) {
  StaticType left = Check(*binary.left);
  StaticType right = Check(*binary.right);
  return Combine(binary.op, left, right, binary.span);
}

StaticType Checker::Combine(BinaryOp op, const StaticType& left,
                            const StaticType& right, Span span) {
  if (op == BinaryOp::kIn) return StaticType::Bool();
  if (IsArithmetic(op) && Refuses(op, left, right)) {
    bool text = op == BinaryOp::kAdd &&
                (left.is(Kind::kString) || right.is(Kind::kString));
    Report(span,
           fmt::format("'{}' does not work on {} and {}", SignOf(op),
                       left.ToString(), right.ToString()),
           text ? "'str(x)' makes a string of any value" : "");
    return {};
  }
  if (!left.known() || !right.known()) return {};
  if (left.is_number() && right.is_number()) {
    return CombineNumbers(op, left, right);
  }
  if (left.is(Kind::kTensor) || right.is(Kind::kTensor)) {
    return CombineTensors(op, left, right, span);
  }
  bool lists = left.is(Kind::kList) || right.is(Kind::kList);
  if (lists && IsArithmetic(op)) return CombineTensors(op, left, right, span);
  if (left.is(Kind::kString) && IsArithmetic(op)) {
    return StaticType::Of(Kind::kString);
  }
  return !IsArithmetic(op) && !lists ? StaticType::Bool() : StaticType();
}

StaticType Checker::CombineNumbers(BinaryOp op, const StaticType& left,
                                   const StaticType& right) {
  if (!IsArithmetic(op)) return StaticType::Bool();
  if (op == BinaryOp::kPower || op == BinaryOp::kMatmul) return {};
  if (!left.is(Kind::kInt) || !right.is(Kind::kInt)) {
    return StaticType::Float();
  }
  if (left.integer && right.integer) {
    std::optional<int64_t> value = Folded(op, *left.integer, *right.integer);
    return value ? StaticType::Int(*value) : StaticType::Int(Dim::Unknown());
  }
  try {
    return StaticType::Int(Folded(op, left.AsDim(), right.AsDim()));
  } catch (const tl::Error&) {  // too large a dimension is not a dimension
    return StaticType::Int(Dim::Unknown());
  }
}

StaticType Checker::CombineTensors(BinaryOp op, const StaticType& left,
                                   const StaticType& right, Span span) {
  std::optional<TensorRef> a = AsTensor(left);
  std::optional<TensorRef> b = AsTensor(right);
  if (!a || !b) return StaticType::Tensor(nullptr);
  return Lowered(
      span,
      [&] {
        if (op == BinaryOp::kMatmul) {
          return StaticType::Tensor(MatrixProduct(Typing(), *a, *b));
        }
        return StaticType::Tensor(Binary(Typing(), OperationOf(op), *a, *b));
      },
      [&] { return op == BinaryOp::kMatmul ? TransposeHint(*a, *b) : ""; });
}

// PyTorch's weights are [out, in]: then the transpose is what was meant.
std::string Checker::TransposeHint(const TensorRef& left,
                                   const TensorRef& right) {
  if (left->rank() < 1 || right->rank() != 2) return "";
  Dim inner = left->shape()[left->rank() - 1];
  if (!Same(inner, right->shape()[1])) return "";
  return "the transpose would fit: '@ w.T'";
}

}  // namespace tl
