// Operators, and conditions as jumps.
#include "interp/function_compiler.h"

namespace tl {
namespace {

struct BinaryForm {
  Opcode registers;
  std::optional<Opcode> constant;  // with a constant on the right
};

BinaryForm FormOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return {Opcode::kAdd, Opcode::kAddConstant};
    case BinaryOp::kSubtract:
      return {Opcode::kSubtract, Opcode::kSubtractConstant};
    case BinaryOp::kMultiply:
      return {Opcode::kMultiply, Opcode::kMultiplyConstant};
    case BinaryOp::kDivide:
      return {Opcode::kDivide, Opcode::kDivideConstant};
    case BinaryOp::kRemainder:
      return {Opcode::kRemainder, Opcode::kRemainderConstant};
    case BinaryOp::kMatmul:
      return {Opcode::kMatmul, std::nullopt};
    case BinaryOp::kPower:
      return {Opcode::kPower, std::nullopt};
    case BinaryOp::kLess:
      return {Opcode::kLess, std::nullopt};
    case BinaryOp::kLessEqual:
      return {Opcode::kLessEqual, std::nullopt};
    case BinaryOp::kGreater:
      return {Opcode::kGreater, std::nullopt};
    case BinaryOp::kGreaterEqual:
      return {Opcode::kGreaterEqual, std::nullopt};
    case BinaryOp::kEqual:
      return {Opcode::kEqual, std::nullopt};
    case BinaryOp::kNotEqual:
      return {Opcode::kNotEqual, std::nullopt};
    case BinaryOp::kIn:
      return {Opcode::kIn, std::nullopt};
  }
  return {Opcode::kAdd, std::nullopt};
}

struct BranchForm {
  Opcode registers;
  Opcode constant;
};

std::optional<BranchForm> FindBranch(BinaryOp op) {
  switch (op) {
    case BinaryOp::kLess:
      return BranchForm{Opcode::kBranchLess, Opcode::kBranchLessConstant};
    case BinaryOp::kLessEqual:
      return BranchForm{Opcode::kBranchLessEqual,
                        Opcode::kBranchLessEqualConstant};
    case BinaryOp::kGreater:
      return BranchForm{Opcode::kBranchGreater, Opcode::kBranchGreaterConstant};
    case BinaryOp::kGreaterEqual:
      return BranchForm{Opcode::kBranchGreaterEqual,
                        Opcode::kBranchGreaterEqualConstant};
    case BinaryOp::kEqual:
      return BranchForm{Opcode::kBranchEqual, Opcode::kBranchEqualConstant};
    case BinaryOp::kNotEqual:
      return BranchForm{Opcode::kBranchNotEqual,
                        Opcode::kBranchNotEqualConstant};
    case BinaryOp::kAdd:
    case BinaryOp::kSubtract:
    case BinaryOp::kMultiply:
    case BinaryOp::kDivide:
    case BinaryOp::kRemainder:
    case BinaryOp::kMatmul:
    case BinaryOp::kPower:
    case BinaryOp::kIn:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint16_t> FunctionCompiler::ScalarConstant(const Expr& expr) {
  std::optional<Value> value = FindLiteral(expr);
  if (!value || value->is_list()) return std::nullopt;
  return Constant(std::move(*value), expr.span);
}

void FunctionCompiler::UnaryInto(const UnaryExpr& unary, uint16_t target) {
  const int mark = next_register_;
  const Operand operand = Read(*unary.operand);
  Emit(unary.span,
       unary.op == UnaryOp::kNegate ? Opcode::kNegate : Opcode::kNot, target,
       operand.in_register, 0, operand.temporary ? kFreeB : 0);
  next_register_ = mark;
}

FunctionCompiler::Operand FunctionCompiler::LeftOperand(
    const BinaryExpr& binary, uint16_t target) {
  const auto* name = FindAs<NameExpr>(*binary.left);
  const Variable* local = name != nullptr ? FindLocal(name->name) : nullptr;
  if ((local != nullptr && !local->in_cell) || IsVariableRegister(target)) {
    return ReadBefore(*binary.left, *binary.right);
  }
  // Nobody reads the target yet, so a chain like a + b + c stays in it.
  Into(*binary.left, target);
  return {target, false};
}

void FunctionCompiler::BinaryInto(const BinaryExpr& binary, uint16_t target) {
  const int mark = next_register_;
  const Operand left = LeftOperand(binary, target);
  CombineInto(binary.op, left, *binary.right, target, binary.span);
  next_register_ = mark;
}

void FunctionCompiler::CombineInto(BinaryOp op, Operand left, const Expr& right,
                                   uint16_t target, Span span) {
  const BinaryForm form = FormOf(op);
  const int free_left = left.temporary ? kFreeB : 0;
  std::optional<uint16_t> constant;
  if (form.constant) constant = ScalarConstant(right);
  if (constant) {
    Emit(span, *form.constant, target, left.in_register, *constant, free_left);
    return;
  }
  const Operand read = Read(right);
  Emit(span, form.registers, target, left.in_register, read.in_register,
       free_left | (read.temporary ? kFreeC : 0));
}

void FunctionCompiler::LogicalInto(const LogicalExpr& logical,
                                   uint16_t target) {
  std::vector<size_t> when_false = JumpsWhen(logical, false);
  Emit(logical.span, Opcode::kLoadBool, target, 1);
  const size_t end = EmitJump(logical.span, Opcode::kJump);
  LandHere(when_false);
  Emit(logical.span, Opcode::kLoadBool, target, 0);
  LandHere(end);
}

std::vector<size_t> FunctionCompiler::JumpsWhen(const Expr& expr, bool when) {
  if (const auto* unary = FindAs<UnaryExpr>(expr)) {
    if (unary->op == UnaryOp::kNot) return JumpsWhen(*unary->operand, !when);
  }
  if (const auto* logical = FindAs<LogicalExpr>(expr)) {
    return LogicalJumps(*logical, when);
  }
  if (const auto* binary = FindAs<BinaryExpr>(expr)) {
    if (FindBranch(binary->op)) return CompareJumps(*binary, when);
  }
  const int mark = next_register_;
  const Operand operand = Read(expr);
  const size_t jump =
      EmitJump(expr.span, when ? Opcode::kJumpIf : Opcode::kJumpUnless,
               operand.in_register);
  if (operand.temporary) code_.code[jump].flags = kFreeA;
  next_register_ = mark;
  return {jump};
}

std::vector<size_t> FunctionCompiler::CompareJumps(const BinaryExpr& binary,
                                                   bool when) {
  const int mark = next_register_;
  const BranchForm form = *FindBranch(binary.op);
  const Operand left = ReadBefore(*binary.left, *binary.right);
  int flags = (when ? kWhenTrue : 0) | (left.temporary ? kFreeA : 0);
  if (std::optional<uint16_t> constant = ScalarConstant(*binary.right)) {
    Emit(binary.span, form.constant, left.in_register, *constant, 0, flags);
  } else {
    const Operand right = Read(*binary.right);
    if (right.temporary) flags |= kFreeB;
    Emit(binary.span, form.registers, left.in_register, right.in_register, 0,
         flags);
  }
  next_register_ = mark;
  return {EmitJump(binary.span, Opcode::kJump)};
}

std::vector<size_t> FunctionCompiler::LogicalJumps(const LogicalExpr& logical,
                                                   bool when) {
  // `a and b` is false as soon as a is: then both sides jump. It is true only
  // if b is, too: then a's jump goes past b. `or` is the mirror image.
  const bool decides = logical.op == LogicalOp::kOr;
  std::vector<size_t> left = JumpsWhen(*logical.left, decides);
  std::vector<size_t> right = JumpsWhen(*logical.right, when);
  if (decides != when) {
    LandHere(left);
    return right;
  }
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace tl
