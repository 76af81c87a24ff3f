// Literals, names, lists and maps, and how instructions are written down.
#include <fmt/format.h>

#include "base/error.h"
#include "interp/function_compiler.h"

namespace tl {
namespace {

// A literal of many elements is built piece by piece, so that it does not ask
// for as many registers.
constexpr size_t kListPiece = 64;

bool FitsImmediate(const Value& value) {
  return value.is_int() && value.as_int() >= INT32_MIN &&
         value.as_int() <= INT32_MAX;
}

}  // namespace

std::string FunctionCode::ShownName() const {
  return signature.name.empty() ? "fn" : signature.name;
}

std::string FunctionCode::QuotedName() const {
  return signature.name.empty() ? "a function"
                                : fmt::format("'{}'", signature.name);
}

void FunctionCompiler::FailAt(Span span, const std::string& text) const {
  Error error(ErrorKind::kProgram, text);
  error.AddNote("at " + module_.sources.Where(span));
  throw error;
}

size_t FunctionCompiler::Emit(Span span, Opcode op, int a, int b, int c,
                              int flags) {
  code_.code.push_back({op, static_cast<uint8_t>(flags),
                        static_cast<uint16_t>(a), static_cast<uint16_t>(b),
                        static_cast<uint16_t>(c)});
  code_.spans.push_back(span);
  return code_.code.size() - 1;
}

size_t FunctionCompiler::EmitJump(Span span, Opcode op, int a) {
  return Emit(span, op, a);
}

void FunctionCompiler::JumpTo(size_t jump, size_t target) {
  code_.code[jump].set_jump(static_cast<int32_t>(target) -
                            static_cast<int32_t>(jump) - 1);
}

void FunctionCompiler::LandHere(const std::vector<size_t>& jumps) {
  for (size_t jump : jumps) LandHere(jump);
}

void FunctionCompiler::JumpBackTo(Span span, size_t target) {
  JumpTo(EmitJump(span, Opcode::kJumpBack), target);
}

uint16_t FunctionCompiler::Numbered(size_t count, std::string_view what,
                                    Span span) const {
  if (count > kMaxNumbered) {
    FailAt(span, fmt::format("{} has more than {} {}", code_.QuotedName(),
                             kMaxNumbered, what));
  }
  return static_cast<uint16_t>(count);
}

uint16_t FunctionCompiler::Constant(Value value, Span span) {
  // The last few are looked at, which finds the `1` of `i + 1` and keeps a
  // function of many constants linear.
  constexpr size_t kLook = 16;
  const size_t size = code_.constants.size();
  for (size_t i = size > kLook ? size - kLook : 0; i < size; ++i) {
    const Value& old = code_.constants[i];
    if (old.tag() != value.tag()) continue;
    if (value.is_int() && old.as_int() == value.as_int()) return i;
    if (value.is_string() && old.as_string() == value.as_string()) return i;
  }
  const uint16_t index = Numbered(size, "constants", span);
  code_.constants.push_back(std::move(value));
  return index;
}

uint16_t FunctionCompiler::NewRegisters(int count, Span span) {
  const int first = next_register_;
  next_register_ += count;
  Numbered(static_cast<size_t>(next_register_), "values at once", span);
  code_.registers = std::max(code_.registers, next_register_);
  return static_cast<uint16_t>(first);
}

std::optional<Value> FunctionCompiler::FindLiteral(const Expr& expr) const {
  switch (expr.kind) {
    case ExprKind::kNone:
      return Value();
    case ExprKind::kBool:
      return Value::Bool(As<BoolExpr>(expr).value);
    case ExprKind::kInt:
      return Value::Int(As<IntExpr>(expr).value);
    case ExprKind::kFloat:
      return Value::Float(As<FloatExpr>(expr).value);
    case ExprKind::kString:
      return Value::String(As<StringExpr>(expr).value);
    case ExprKind::kUnary: {
      const UnaryExpr& unary = As<UnaryExpr>(expr);
      if (unary.op != UnaryOp::kNegate) return std::nullopt;
      if (const auto* number = FindAs<IntExpr>(*unary.operand)) {
        return Value::Int(-number->value);
      }
      if (const auto* number = FindAs<FloatExpr>(*unary.operand)) {
        return Value::Float(-number->value);
      }
      return std::nullopt;
    }
    case ExprKind::kList: {
      std::vector<Value> items;
      for (const ExprPtr& element : As<ListExpr>(expr).elements) {
        std::optional<Value> item = FindLiteral(*element);
        if (!item) return std::nullopt;
        items.push_back(std::move(*item));
      }
      return Value::List(std::move(items));
    }
    case ExprKind::kName:
    case ExprKind::kPath:
    case ExprKind::kMap:
    case ExprKind::kBinary:
    case ExprKind::kLogical:
    case ExprKind::kRange:
    case ExprKind::kCast:
    case ExprKind::kCall:
    case ExprKind::kTensor:
    case ExprKind::kMember:
    case ExprKind::kIndex:
    case ExprKind::kFunction:
    case ExprKind::kIf:
    case ExprKind::kMatch:
      return std::nullopt;
  }
  return std::nullopt;
}

void FunctionCompiler::ConstantInto(Value value, uint16_t target, Span span) {
  if (value.is_none()) {
    Emit(span, Opcode::kLoadNone, target);
  } else if (value.is_unset()) {
    Emit(span, Opcode::kLoadUnset, target);
  } else if (value.is_bool()) {
    Emit(span, Opcode::kLoadBool, target, value.as_bool());
  } else if (FitsImmediate(value)) {
    const size_t at = Emit(span, Opcode::kLoadInt, target);
    code_.code[at].set_jump(static_cast<int32_t>(value.as_int()));
  } else {
    Emit(span, Opcode::kLoadConstant, target, Constant(std::move(value), span));
  }
}

void FunctionCompiler::Into(const Expr& expr, uint16_t target) {
  if (std::optional<Value> value = FindLiteral(expr)) {
    return ConstantInto(std::move(*value), target, expr.span);
  }
  switch (expr.kind) {
    case ExprKind::kNone:
    case ExprKind::kBool:
    case ExprKind::kInt:
    case ExprKind::kFloat:
    case ExprKind::kString:
      return;  // constants, above
    case ExprKind::kName:
      return NameInto(As<NameExpr>(expr), target);
    case ExprKind::kPath:
      FailAt(expr.span,
             fmt::format("'{}::{}' can only be called",
                         As<PathExpr>(expr).scope, As<PathExpr>(expr).name));
    case ExprKind::kList:
      return ListInto(As<ListExpr>(expr), target);
    case ExprKind::kMap:
      return MapInto(As<MapExpr>(expr), target);
    case ExprKind::kUnary:
      return UnaryInto(As<UnaryExpr>(expr), target);
    case ExprKind::kBinary:
      return BinaryInto(As<BinaryExpr>(expr), target);
    case ExprKind::kLogical:
      return LogicalInto(As<LogicalExpr>(expr), target);
    case ExprKind::kRange:
      return RangeInto(As<RangeExpr>(expr), target);
    case ExprKind::kCast:
      return CastInto(As<CastExpr>(expr), target);
    case ExprKind::kCall:
      return CallInto(As<CallExpr>(expr), target);
    case ExprKind::kTensor:
      return TensorInto(As<TensorExpr>(expr), target);
    case ExprKind::kMember:
      return MemberInto(As<MemberExpr>(expr), target);
    case ExprKind::kIndex:
      return IndexInto(As<IndexExpr>(expr), target);
    case ExprKind::kFunction:
      return FunctionInto(As<FunctionExpr>(expr).function, target, expr.span);
    case ExprKind::kIf:
      return IfInto(As<IfExpr>(expr), target);
    case ExprKind::kMatch:
      return MatchInto(As<MatchExpr>(expr), target);
  }
}

FunctionCompiler::Operand FunctionCompiler::Read(const Expr& expr) {
  if (const auto* name = FindAs<NameExpr>(expr)) {
    const Variable* local = FindLocal(name->name);
    if (local != nullptr && !local->in_cell) return {local->in_register, false};
  }
  return {Temporary(expr), true};
}

FunctionCompiler::Operand FunctionCompiler::ReadBefore(const Expr& expr,
                                                       const Expr& later) {
  if (expr.kind == ExprKind::kName && MayAssign(later)) {
    return {Temporary(expr), true};
  }
  return Read(expr);
}

uint16_t FunctionCompiler::Temporary(const Expr& expr) {
  const uint16_t target = NewRegister(expr.span);
  Into(expr, target);
  return target;
}

void FunctionCompiler::Effect(const Expr& expr) {
  const int mark = next_register_;
  if (const auto* choice = FindAs<IfExpr>(expr)) {
    IfInto(*choice, std::nullopt);
  } else if (const auto* match = FindAs<MatchExpr>(expr)) {
    MatchInto(*match, std::nullopt);
  } else {
    const uint16_t scratch = Temporary(expr);
    // What nobody wants must not stay alive in a forgotten register.
    const Opcode last = code_.code.back().op;
    if (last != Opcode::kCallBuiltin && last != Opcode::kCallOnPlace) {
      Emit(expr.span, Opcode::kLoadNone, scratch);
    }
  }
  next_register_ = mark;
}

void FunctionCompiler::NameInto(const NameExpr& expr, uint16_t target) {
  if (!FindVariable(expr.name)) {
    if (const ConstantInfo* constant = FindConstant(expr.name)) {
      return ConstantInto(Value::String(std::string(constant->value)), target,
                          expr.span);
    }
  }
  LoadName(Resolve(expr.name, expr.span), expr.name, target, expr.span);
}

void FunctionCompiler::LoadName(Name name, const std::string& text,
                                uint16_t target, Span span) {
  switch (name.kind) {
    case NameKind::kRegister:
      if (name.index != target) Emit(span, Opcode::kMove, target, name.index);
      return;
    case NameKind::kCell:
      Emit(span, Opcode::kGetCell, target, name.index);
      return;
    case NameKind::kShared:
      Emit(span, Opcode::kGetShared, target, name.index);
      return;
    case NameKind::kGlobal:
      Emit(span, Opcode::kGetGlobal, target, name.index);
      return;
    case NameKind::kFunction:
    case NameKind::kBuiltin:
      Emit(span, Opcode::kLoadConstant, target,
           Constant(FunctionValue(text), span));
      return;
  }
}

void FunctionCompiler::ListInto(const ListExpr& list, uint16_t target) {
  std::vector<const Expr*> elements;
  for (const ExprPtr& element : list.elements) {
    elements.push_back(element.get());
  }
  ElementsInto(elements, target, list.span);
}

void FunctionCompiler::ElementsInto(const std::vector<const Expr*>& elements,
                                    uint16_t target, Span span) {
  const int mark = next_register_;
  // The target may be a variable that later elements still read.
  const uint16_t list =
      elements.size() > kListPiece ? NewRegister(span) : target;
  for (size_t begin = 0; begin == 0 || begin < elements.size();
       begin += kListPiece) {
    const size_t count = std::min(kListPiece, elements.size() - begin);
    const uint16_t first = NewRegisters(static_cast<int>(count), span);
    for (size_t i = 0; i < count; ++i) {
      Into(*elements[begin + i], static_cast<uint16_t>(first + i));
    }
    Emit(span, begin == 0 ? Opcode::kNewList : Opcode::kExtendList, list, first,
         static_cast<int>(count));
    next_register_ = first;
  }
  if (list != target) Emit(span, Opcode::kTake, target, list);
  next_register_ = mark;
}

void FunctionCompiler::MapInto(const MapExpr& map, uint16_t target) {
  const int mark = next_register_;
  const uint16_t fresh = NewRegister(map.span);
  Emit(map.span, Opcode::kNewMap, fresh);
  for (const MapEntryExpr& entry : map.entries) {
    const int pair = next_register_;
    const uint16_t key = Temporary(*entry.key);
    const uint16_t value = Temporary(*entry.value);
    Emit(entry.key->span, Opcode::kAddEntry, fresh, key, value);
    next_register_ = pair;
  }
  Emit(map.span, Opcode::kTake, target, fresh);
  next_register_ = mark;
}

void FunctionCompiler::RangeInto(const RangeExpr& range, uint16_t target) {
  const int mark = next_register_;
  const Operand low = ReadBefore(*range.low, *range.high);
  const Operand high = Read(*range.high);
  Emit(range.span, Opcode::kRange, target, low.in_register, high.in_register,
       range.inclusive ? kInclusive : 0);
  next_register_ = mark;
}

void FunctionCompiler::CastInto(const CastExpr& cast, uint16_t target) {
  const int mark = next_register_;
  const Operand operand = Read(*cast.operand);
  const uint16_t type = AddType({cast.type, "", {}});
  Emit(cast.span, Opcode::kCast, target, operand.in_register, type,
       operand.temporary ? kFreeB : 0);
  next_register_ = mark;
}

uint16_t FunctionCompiler::AddType(TypeCheck check) {
  const uint16_t index = Numbered(code_.types.size(), "types", check.type.span);
  code_.types.push_back(std::move(check));
  return index;
}

}  // namespace tl
