// Subscripts and members, and assignment to variables and into them.
#include <fmt/format.h>

#include "interp/function_compiler.h"

namespace tl {
namespace {

std::optional<BinaryOp> OperatorOf(AssignOp op) {
  switch (op) {
    case AssignOp::kAssign:
    case AssignOp::kRebind:
      return std::nullopt;
    case AssignOp::kAdd:
      return BinaryOp::kAdd;
    case AssignOp::kSubtract:
      return BinaryOp::kSubtract;
    case AssignOp::kMultiply:
      return BinaryOp::kMultiply;
    case AssignOp::kDivide:
      return BinaryOp::kDivide;
  }
  return std::nullopt;
}

bool IsSingle(const IndexExpr& index) {
  return index.subscripts.size() == 1 &&
         index.subscripts[0].kind == SubscriptKind::kIndex;
}

// These write their target before they have read everything.
bool WritesEarly(const Expr& expr) {
  return expr.kind == ExprKind::kIf || expr.kind == ExprKind::kMatch ||
         expr.kind == ExprKind::kLogical;
}

}  // namespace

SubscriptForms FunctionCompiler::SubscriptsFrom(const IndexExpr& index) {
  SubscriptForms forms;
  const auto bound = [&](const ExprPtr& expr, Span span) {
    if (expr) {
      Temporary(*expr);
    } else {
      Emit(span, Opcode::kLoadNone, NewRegister(span));
    }
  };
  for (const Subscript& subscript : index.subscripts) {
    forms.push_back({subscript.kind});
    switch (subscript.kind) {
      case SubscriptKind::kIndex:
        Temporary(*subscript.index);
        break;
      case SubscriptKind::kSlice:
        bound(subscript.begin, subscript.span);
        bound(subscript.end, subscript.span);
        bound(subscript.step, subscript.span);
        break;
      case SubscriptKind::kEllipsis:
        break;
    }
  }
  return forms;
}

void FunctionCompiler::IndexInto(const IndexExpr& index, uint16_t target) {
  const int mark = next_register_;
  if (!IsSingle(index)) {
    const uint16_t window = Temporary(*index.object);
    SubscriptForms forms = SubscriptsFrom(index);
    const uint16_t at =
        Numbered(code_.subscripts.size(), "subscripts", index.span);
    code_.subscripts.push_back(std::move(forms));
    Emit(index.span, Opcode::kGetSubscripts, target, window, at);
  } else {
    const Expr& key = *index.subscripts[0].index;
    const Operand object = ReadBefore(*index.object, key);
    const int free_object = object.temporary ? kFreeB : 0;
    if (std::optional<uint16_t> constant = ScalarConstant(key)) {
      Emit(index.span, Opcode::kGetIndexConstant, target, object.in_register,
           *constant, free_object);
    } else {
      const Operand at = Read(key);
      Emit(index.span, Opcode::kGetIndex, target, object.in_register,
           at.in_register, free_object | (at.temporary ? kFreeC : 0));
    }
  }
  next_register_ = mark;
}

void FunctionCompiler::MemberInto(const MemberExpr& member, uint16_t target) {
  const int mark = next_register_;
  const Operand object = Read(*member.object);
  Emit(member.span, Opcode::kGetMember, target, object.in_register,
       Constant(Value::String(member.name), member.name_span),
       object.temporary ? kFreeB : 0);
  next_register_ = mark;
}

bool FunctionCompiler::IsPlace(const Expr& expr) {
  if (const auto* name = FindAs<NameExpr>(expr)) {
    return FindVariable(name->name).has_value();
  }
  if (const auto* index = FindAs<IndexExpr>(expr)) {
    return IsPlace(*index->object);
  }
  if (const auto* member = FindAs<MemberExpr>(expr)) {
    return IsPlace(*member->object);
  }
  return false;
}

Place FunctionCompiler::PlaceOf(const Expr& expr) {
  if (const auto* index = FindAs<IndexExpr>(expr)) {
    Place place = PlaceOf(*index->object);
    PlaceStep step;
    step.first_register = static_cast<uint16_t>(next_register_);
    step.subscripts = SubscriptsFrom(*index);
    place.steps.push_back(std::move(step));
    return place;
  }
  if (const auto* member = FindAs<MemberExpr>(expr)) {
    Place place = PlaceOf(*member->object);
    PlaceStep step;
    step.is_member = true;
    step.name = member->name;
    place.steps.push_back(std::move(step));
    return place;
  }
  const auto* name = FindAs<NameExpr>(expr);
  if (name == nullptr) FailAt(expr.span, "only a variable can be assigned to");
  const std::optional<Name> variable = FindVariable(name->name);
  if (!variable) {
    FailAt(expr.span, fmt::format("unknown variable '{}'", name->name));
  }
  Place place;
  place.name = name->name;
  place.index = variable->index;
  switch (variable->kind) {
    case NameKind::kRegister:
      place.root = RootKind::kRegister;
      break;
    case NameKind::kCell:
      place.root = RootKind::kCell;
      break;
    case NameKind::kShared:
      place.root = RootKind::kShared;
      break;
    case NameKind::kGlobal:
    case NameKind::kFunction:
    case NameKind::kBuiltin:
      place.root = RootKind::kGlobal;
      break;
  }
  return place;
}

uint16_t FunctionCompiler::AddPlace(Place place, Span span) {
  const uint16_t index = Numbered(code_.places.size(), "places", span);
  code_.places.push_back(std::move(place));
  return index;
}

void FunctionCompiler::AssignTo(const AssignStmt& assign) {
  const int mark = next_register_;
  const auto* name = FindAs<NameExpr>(*assign.target);
  const std::optional<Name> variable =
      name != nullptr ? FindVariable(name->name) : std::nullopt;
  if (name != nullptr && !OperatorOf(assign.op)) {
    if (!variable) return DeclareByAssignment(*name, *assign.value);
    AssignName(assign, *variable);
  } else if (variable && variable->kind == NameKind::kRegister &&
             !MayAssign(*assign.value)) {
    // One instruction, which adds to a string in place.
    CombineInto(*OperatorOf(assign.op), {variable->index, false}, *assign.value,
                variable->index, assign.span);
  } else {
    AssignPlace(assign);
  }
  next_register_ = mark;
}

void FunctionCompiler::DeclareByAssignment(const NameExpr& name,
                                           const Expr& value) {
  const uint16_t target = NewRegister(name.span);
  Into(value, target);
  Declare(name.name, target, name.span);
}

void FunctionCompiler::AssignName(const AssignStmt& assign, Name variable) {
  const Expr& value = *assign.value;
  if (variable.kind == NameKind::kRegister && !WritesEarly(value)) {
    return Into(value, variable.index);
  }
  StoreName(variable, Temporary(value), assign.span);
}

// Of a temporary.
void FunctionCompiler::StoreName(Name variable, uint16_t value, Span span) {
  switch (variable.kind) {
    case NameKind::kRegister:
      Emit(span, Opcode::kTake, variable.index, value);
      return;
    case NameKind::kCell:
      Emit(span, Opcode::kSetCell, value, variable.index);
      return;
    case NameKind::kShared:
      Emit(span, Opcode::kSetShared, value, variable.index);
      return;
    case NameKind::kGlobal:
    case NameKind::kFunction:
    case NameKind::kBuiltin:
      Emit(span, Opcode::kSetGlobal, value, variable.index);
      return;
  }
}

void FunctionCompiler::AssignPlace(const AssignStmt& assign) {
  const auto* index = FindAs<IndexExpr>(*assign.target);
  const std::optional<BinaryOp> op = OperatorOf(assign.op);
  if (index != nullptr && !op && IsSingle(*index)) {
    const auto* name = FindAs<NameExpr>(*index->object);
    const Variable* local = name ? FindLocal(name->name) : nullptr;
    if (local != nullptr && !local->in_cell) {
      const Operand at = ReadBefore(*index->subscripts[0].index, *assign.value);
      const Operand value = Read(*assign.value);
      Emit(assign.span, Opcode::kSetIndex, local->in_register, at.in_register,
           value.in_register,
           (at.temporary ? kFreeB : 0) | (value.temporary ? kFreeC : 0));
      return;
    }
  }
  Place place = PlaceOf(*assign.target);
  if (op) {
    place.combine = true;
    place.op = *op;
  }
  const uint16_t value = Temporary(*assign.value);
  Emit(assign.span, Opcode::kUpdate, value,
       AddPlace(std::move(place), assign.span));
}

}  // namespace tl
