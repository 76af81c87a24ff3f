// Statements, blocks, branches and loops.
#include <fmt/format.h>

#include "lang/checker_rules.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

bool HasCall(const Expr& expr) {
  if (expr.kind == ExprKind::kCall || expr.kind == ExprKind::kTensor) {
    return true;
  }
  bool found = false;
  ForEachChild(
      expr, {[&found](const Expr& child) { found = found || HasCall(child); },
             [](const Stmt&) {}});
  return found;
}

BinaryOp OperatorOf(AssignOp op) {
  switch (op) {
    case AssignOp::kAssign:
    case AssignOp::kRebind:
    case AssignOp::kAdd:
      return BinaryOp::kAdd;
    case AssignOp::kSubtract:
      return BinaryOp::kSubtract;
    case AssignOp::kMultiply:
      return BinaryOp::kMultiply;
    case AssignOp::kDivide:
      return BinaryOp::kDivide;
  }
  return BinaryOp::kAdd;
}

bool IsPlain(AssignOp op) {
  return op == AssignOp::kAssign || op == AssignOp::kRebind;
}

}  // namespace

StaticType Checker::CheckBlock(const StmtBlock& block, BlockUse use) {
  size_t before = OpenScope();
  StaticType value = CheckStatements(block.statements, use);
  CloseScope(before);
  return value;
}

StaticType Checker::CheckStatements(const std::vector<StmtPtr>& statements,
                                    BlockUse use) {
  CheckFunctionNames(statements);
  size_t outer_functions = local_functions_.size();
  for (const StmtPtr& stmt : statements) {
    const auto* function = FindAs<FunctionStmt>(*stmt);
    if (function) local_functions_.push_back(function->function.name);
  }
  StaticType value = StaticType::Of(Kind::kNone);
  for (const StmtPtr& stmt : statements) {
    const auto* last = FindAs<ExprStmt>(*stmt);
    if (use == BlockUse::kStatements || !last || stmt != statements.back()) {
      CheckStatement(*stmt);
      value = {};
      continue;
    }
    if (const auto* branches = FindAs<IfExpr>(*last->value)) {
      value = CheckIf(*branches, BlockUse::kValue);
    } else if (const auto* match = FindAs<MatchExpr>(*last->value)) {
      value = CheckMatch(*match, BlockUse::kValue);
    } else {
      value = Check(*last->value);
    }
  }
  local_functions_.resize(outer_functions);
  return value;
}

void Checker::CheckStatement(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kLet: {
      StaticType value = Check(*As<LetStmt>(stmt).value);
      Declare(As<LetStmt>(stmt).name, std::move(value));
      return;
    }
    case StmtKind::kAssign:
      return CheckAssign(As<AssignStmt>(stmt));
    case StmtKind::kTensor:
      return CheckTensorDeclaration(As<TensorStmt>(stmt));
    case StmtKind::kExpr:
      return CheckExprStatement(As<ExprStmt>(stmt));
    case StmtKind::kFor:
      return CheckFor(As<ForStmt>(stmt));
    case StmtKind::kWhile: {
      const auto& loop = As<WhileStmt>(stmt);
      ChangeCounts changed;
      CountChanges(stmt, changed);
      Forget(changed);
      Check(*loop.condition);
      return CheckLoopBody(loop.body, "", {});
    }
    case StmtKind::kLoop:
      return CheckLoopBody(As<LoopStmt>(stmt).body, "", {});
    case StmtKind::kBreak:
      return CheckInLoop(stmt, "break");
    case StmtKind::kContinue:
      return CheckInLoop(stmt, "continue");
    case StmtKind::kReturn:
      return CheckReturn(As<ReturnStmt>(stmt));
    case StmtKind::kFunction: {
      const FunctionDecl& function = As<FunctionStmt>(stmt).function;
      StaticType type = StaticType::Of(Kind::kFunction);
      type.function = &function;
      Declare(function.name, std::move(type));
      return CheckFunction(function, Naming::kLocal);
    }
    case StmtKind::kImport:
      return;
    case StmtKind::kMain:
      CheckBlock(As<MainStmt>(stmt).body, BlockUse::kStatements);
      return;
    case StmtKind::kTest:
      CheckBlock(As<TestStmt>(stmt).body, BlockUse::kStatements);
      return;
  }
}

void Checker::CheckExprStatement(const ExprStmt& stmt) {
  const Expr& value = *stmt.value;
  if (const auto* branches = FindAs<IfExpr>(value)) {
    CheckIf(*branches, BlockUse::kStatements);
  } else if (const auto* match = FindAs<MatchExpr>(value)) {
    CheckMatch(*match, BlockUse::kStatements);
  } else {
    size_t errors = diagnostics_.errors();
    Check(value);
    if (diagnostics_.errors() == errors) WarnWithoutEffect(value);
  }
}

void Checker::WarnWithoutEffect(const Expr& expr) {
  if (expr.kind == ExprKind::kNone) return;  // an arm that does nothing
  if (!HasCall(expr)) {
    const auto* binary = FindAs<BinaryExpr>(expr);
    bool compared = binary && binary->op == BinaryOp::kEqual;
    diagnostics_.Warning(expr.span, "this statement has no effect",
                         compared ? "a value is assigned with '='" : "");
    return;
  }
  const auto* call = FindAs<CallExpr>(expr);
  if (!call) return;
  const auto* name = FindAs<NameExpr>(*call->callee);
  if (!name || FindVariable(name->name) || FindProgramFunction(name->name)) {
    return;
  }
  if (name->name == "push" || name->name == "append") {
    diagnostics_.Warning(
        expr.span, "the list this makes is not used",
        fmt::format("'v.{}(x)' changes the variable v", name->name));
  } else if (!FindBuiltinId(name->name) && FindFunction(name->name)) {
    diagnostics_.Warning(
        expr.span, fmt::format("the result of '{}' is not used", name->name));
  }
}

// --- Assignment --------------------------------------------------------------

void Checker::CheckAssign(const AssignStmt& assign) {
  const auto* name = FindAs<NameExpr>(*assign.target);
  if (!name) return AssignPlace(assign);
  AssignName(assign, *name, Check(*assign.value));
}

void Checker::AssignName(const AssignStmt& assign, const NameExpr& target,
                         StaticType value) {
  Variable* variable = FindVariable(target.name);
  if (!variable) {
    if (!IsPlain(assign.op) && !IsLaterGlobal(target.name)) {
      return ReportUnknown(target.span, "name", target.name);
    }
    if (!IsLaterGlobal(target.name)) Declare(target.name, std::move(value));
    return;
  }
  bool reaches_out = variable->top_level && !functions_.empty() &&
                     functions_[0].named && assign.op == AssignOp::kAssign;
  if (reaches_out) {
    diagnostics_.Warning(
        target.span,
        fmt::format("this changes '{}' of the top level", target.name),
        fmt::format("':=' says that this is meant; 'let {} = ...' makes a new "
                    "name",
                    target.name));
  }
  if (!IsPlain(assign.op)) {
    value =
        Combine(OperatorOf(assign.op), TypeOf(*variable), value, assign.span);
    variable = FindVariable(target.name);
  }
  variable->type = std::move(value);
}

void Checker::AssignPlace(const AssignStmt& assign) {
  const auto* index = FindAs<IndexExpr>(*assign.target);
  const Expr& object_expr =
      index ? *index->object : *As<MemberExpr>(*assign.target).object;
  StaticType object;
  if (IsPlain(assign.op)) {
    object = Check(object_expr);
    if (object.is(Kind::kTensor) && index) {
      CheckIndex(*index);
    } else if (index) {
      for (const Subscript& subscript : index->subscripts) {
        if (subscript.index) Check(*subscript.index);
        if (subscript.begin) Check(*subscript.begin);
        if (subscript.end) Check(*subscript.end);
        if (subscript.step) Check(*subscript.step);
      }
    }
  } else {
    Check(*assign.target);
    object = Check(object_expr);
  }
  Check(*assign.value);
  const Expr* key = nullptr;
  if (index && index->subscripts.size() == 1) {
    key = index->subscripts[0].index.get();
  }
  if (!index || key) NoteModelChange(object, key);
  ForgetFacts(*assign.target);
}

void Checker::CheckTensorDeclaration(const TensorStmt& tensor) {
  int dim_scope = functions_.empty() ? 0 : functions_.back().dim_scope;
  StaticType declared;
  for (const DimExpr& dim : tensor.type.dims) {
    if (dim.kind == DimKind::kName) {
      if (!FindVariable(dim.name) && !IsLaterGlobal(dim.name)) {
        ReportUnknown(dim.span, "name", dim.name);
      }
    }
  }
  declared = Lowered(tensor.type.span, [&] {
    return StaticType::Tensor(DeclaredTensor(tensor.type, dim_scope));
  });
  if (!declared.known()) declared = StaticType::Of(Kind::kTensor);
  if (tensor.value) {
    StaticType value = Check(*tensor.value);
    if (!MayBe(value, TypeKind::kTensor)) {
      Report(tensor.value->span,
             fmt::format("'{}' is {}; expected {}", tensor.name,
                         value.ToString(), Described(TypeKind::kTensor)));
    }
    CheckInitialiser(value, declared, tensor);
  }
  Declare(tensor.name, std::move(declared));
}

// A scalar fills the tensor, a flat list of the right count is its elements in
// order; anything else has its shape.
void Checker::CheckInitialiser(const StaticType& value,
                               const StaticType& declared,
                               const TensorStmt& tensor) {
  if (!value.tensor || !declared.tensor) return;
  const Shape& shape = value.tensor->shape();
  const Shape& expected = declared.tensor->shape();
  StaticType made = value;
  if (value.is(Kind::kList)) {
    made = StaticType::Tensor(
        MakeRef<TensorValue>(TensorType{declared.tensor->dtype(), shape}));
    if (shape.rank() == 1 && expected.rank() != 1) {
      Dim count = 1;
      for (Dim dim : expected) count = count * dim;
      if (!Clash(count, shape[0])) return;
    }
  }
  if (shape.rank() == 0) return;
  int dim_scope = functions_.empty() ? 0 : functions_.back().dim_scope;
  CheckFits(made, tensor.type, dim_scope, fmt::format("'{}'", tensor.name),
            tensor.value->span);
}

// --- Branches and loops ------------------------------------------------------

StaticType Checker::CheckBranches(
    const std::vector<std::function<StaticType()>>& run,
    const ChangeCounts& changed, Coverage coverage) {
  bool exhaustive = coverage == Coverage::kAllCases;
  std::vector<std::pair<size_t, StaticType>> before, after;
  for (const auto& [name, count] : changed) {
    Variable* variable = FindVariable(name);
    if (!variable) continue;
    size_t index = static_cast<size_t>(variable - variables_.data());
    before.emplace_back(index, variable->type);
  }
  if (!exhaustive) after = before;
  StaticType value;
  for (size_t i = 0; i < run.size(); ++i) {
    for (const auto& [index, type] : before) variables_[index].type = type;
    StaticType given = run[i]();
    value = i == 0 ? given : Join(value, given);
    bool first = i == 0 && exhaustive;
    if (first) after = before;
    for (auto& [index, type] : after) {
      type =
          first ? variables_[index].type : Join(type, variables_[index].type);
    }
  }
  for (const auto& [index, type] : after) variables_[index].type = type;
  return exhaustive ? value : StaticType();
}

void Checker::CheckLoopBody(const StmtBlock& body, const std::string& name,
                            StaticType element) {
  ChangeCounts changed;
  CountChanges(body, changed);
  Forget(changed);
  int& loops = functions_.empty() ? loops_ : functions_.back().loops;
  ++loops;
  size_t before = OpenScope();
  if (!name.empty()) Declare(name, std::move(element));
  CheckStatements(body.statements, BlockUse::kStatements);
  CloseScope(before);
  --(functions_.empty() ? loops_ : functions_.back().loops);
  Forget(changed);
}

void Checker::CheckFor(const ForStmt& loop) {
  StaticType sequence = Check(*loop.sequence);
  StaticType element;
  if (sequence.is(Kind::kRange)) {
    element = StaticType::Int(Dim::Unknown());
  } else if (sequence.is(Kind::kTensor) && sequence.tensor &&
             sequence.tensor->rank() > 0) {
    Shape shape = sequence.tensor->shape();
    shape.Erase(0);
    if (shape.rank() > 0) {
      element = StaticType::Tensor(
          MakeRef<TensorValue>(TensorType{sequence.tensor->dtype(), shape}));
    }
  } else if (sequence.is(Kind::kString) ||
             (sequence.is(Kind::kModel) && sequence.prefix.empty())) {
    element = StaticType::Of(Kind::kString);
  } else if (sequence.is(Kind::kNone) || sequence.is(Kind::kBool) ||
             sequence.is(Kind::kFunction) || sequence.is_number()) {
    Report(loop.sequence->span,
           fmt::format("a loop cannot go over {}; expected a range, list, map, "
                       "tensor or model",
                       sequence.ToString()),
           sequence.is(Kind::kInt) ? "count with '0..n'" : "");
  }
  CheckLoopBody(loop.body, loop.name, std::move(element));
}

void Checker::CheckInLoop(const Stmt& stmt, std::string_view word) {
  int loops = functions_.empty() ? loops_ : functions_.back().loops;
  if (loops > 0) return;
  Report(stmt.span, fmt::format("'{}' stands only inside a loop", word));
}

// --- Results -----------------------------------------------------------------

void Checker::CheckReturn(const ReturnStmt& stmt) {
  StaticType value = StaticType::Of(Kind::kNone);
  if (stmt.value) value = Check(*stmt.value);
  if (functions_.empty()) return;
  functions_.back().returns_value = true;
  if (stmt.value) {
    CheckAgainstResult(value, stmt.value->span);
  } else {
    CheckAgainstResult(value, stmt.span);
  }
}

void Checker::CheckAgainstResult(const StaticType& value, Span span) {
  const FunctionDecl& function = *functions_.back().function;
  const TypeExpr& result = function.result;
  if (result.kind == TypeKind::kAny || result.kind == TypeKind::kVoid) return;
  std::string name = function.name.empty() ? "fn" : function.name;
  if (!MayBe(value, result.kind)) {
    Report(span, fmt::format("{}: the result is {}; expected {}", name,
                             value.ToString(), Described(result.kind)));
    return;
  }
  CheckFits(value, result, functions_.back().dim_scope,
            fmt::format("{}: the result", name), span);
}

}  // namespace tl
