#include "lang/binary_op.h"

#include "base/error.h"

namespace tl {

std::string_view SignOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSubtract:
      return "-";
    case BinaryOp::kMultiply:
      return "*";
    case BinaryOp::kDivide:
      return "/";
    case BinaryOp::kRemainder:
      return "%";
    case BinaryOp::kMatmul:
      return "@";
    case BinaryOp::kPower:
      return "**";
    case BinaryOp::kLess:
      return "<";
    case BinaryOp::kLessEqual:
      return "<=";
    case BinaryOp::kGreater:
      return ">";
    case BinaryOp::kGreaterEqual:
      return ">=";
    case BinaryOp::kEqual:
      return "==";
    case BinaryOp::kNotEqual:
      return "!=";
    case BinaryOp::kIn:
      return "in";
  }
  return "";
}

OpId OperationOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return OpId::Add;
    case BinaryOp::kSubtract:
      return OpId::Sub;
    case BinaryOp::kMultiply:
      return OpId::Mul;
    case BinaryOp::kDivide:
      return OpId::Div;
    case BinaryOp::kRemainder:
      return OpId::Fmod;
    case BinaryOp::kPower:
      return OpId::Pow;
    case BinaryOp::kLess:
      return OpId::Less;
    case BinaryOp::kLessEqual:
      return OpId::LessEqual;
    case BinaryOp::kGreater:
      return OpId::Greater;
    case BinaryOp::kGreaterEqual:
      return OpId::GreaterEqual;
    case BinaryOp::kEqual:
      return OpId::Equal;
    case BinaryOp::kNotEqual:
      return OpId::NotEqual;
    case BinaryOp::kMatmul:
      return OpId::Matmul;
    case BinaryOp::kIn:
      break;
  }
  Fail(ErrorKind::kProgram, "'in' does not look into a tensor");
}

std::optional<BinaryOp> OperatorOf(OpId op) {
  using enum BinaryOp;
  for (BinaryOp known :
       {kAdd, kSubtract, kMultiply, kDivide, kRemainder, kMatmul, kPower, kLess,
        kLessEqual, kGreater, kGreaterEqual, kEqual, kNotEqual}) {
    if (OperationOf(known) == op) return known;
  }
  return std::nullopt;
}

}  // namespace tl
