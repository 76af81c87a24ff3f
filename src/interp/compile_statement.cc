// Statements, and the expressions made of blocks: if and match.
#include <fmt/format.h>

#include "interp/function_compiler.h"

namespace tl {

void FunctionCompiler::Statement(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kLet:
      return Let(As<LetStmt>(stmt));
    case StmtKind::kAssign:
      return AssignTo(As<AssignStmt>(stmt));
    case StmtKind::kTensor:
      return TensorDeclaration(As<TensorStmt>(stmt));
    case StmtKind::kExpr:
      return Effect(*As<ExprStmt>(stmt).value);
    case StmtKind::kFor:
      return For(As<ForStmt>(stmt));
    case StmtKind::kWhile:
      return While(As<WhileStmt>(stmt));
    case StmtKind::kLoop:
      return Forever(As<LoopStmt>(stmt));
    case StmtKind::kBreak:
      if (loops_.empty()) FailAt(stmt.span, "'break' outside of a loop");
      loops_.back().breaks.push_back(EmitJump(stmt.span, Opcode::kJump));
      return;
    case StmtKind::kContinue:
      if (loops_.empty()) FailAt(stmt.span, "'continue' outside of a loop");
      loops_.back().continues.push_back(EmitJump(stmt.span, Opcode::kJump));
      return;
    case StmtKind::kReturn:
      return ReturnValue(As<ReturnStmt>(stmt));
    case StmtKind::kFunction:
      return NestedFunction(As<FunctionStmt>(stmt));
    case StmtKind::kImport:
      return Import(As<ImportStmt>(stmt));
    case StmtKind::kMain:
    case StmtKind::kTest:
      return;  // compiled after the rest, see CompileTopLevel
  }
}

void FunctionCompiler::DeclareFunctions(const StmtBlock& block) {
  for (const StmtPtr& stmt : block.statements) {
    const auto* function = FindAs<FunctionStmt>(*stmt);
    if (function == nullptr) continue;
    const FunctionDecl& decl = function->function;
    const uint16_t variable = NewRegister(decl.name_span);
    Emit(decl.name_span, Opcode::kLoadNone, variable);
    Declare(decl.name, variable, decl.name_span);
  }
}

// Functions of one block see each other whatever their order.
void FunctionCompiler::NestedFunction(const FunctionStmt& stmt) {
  if (IsModuleFunction(stmt.function.name)) return;
  const int mark = next_register_;
  const Span span = stmt.function.name_span;
  const uint16_t function = NewRegister(span);
  FunctionInto(stmt.function, function, span);
  StoreName(*FindVariable(stmt.function.name), function, span);
  next_register_ = mark;
}

void FunctionCompiler::Statements(const StmtBlock& block) {
  DeclareFunctions(block);
  for (const StmtPtr& stmt : block.statements) Statement(*stmt);
}

void FunctionCompiler::BlockScope(const StmtBlock& block) {
  const Scope scope = OpenScope();
  Statements(block);
  CloseScope(scope);
}

void FunctionCompiler::BlockInto(const StmtBlock& block, uint16_t target) {
  const Scope scope = OpenScope();
  DeclareFunctions(block);
  const Expr* value = nullptr;
  for (size_t i = 0; i < block.statements.size(); ++i) {
    const auto* last = FindAs<ExprStmt>(*block.statements[i]);
    if (i + 1 == block.statements.size() && last != nullptr) {
      value = last->value.get();
    } else {
      Statement(*block.statements[i]);
    }
  }
  if (value != nullptr) {
    Into(*value, target);
  } else {
    Emit(block.span, Opcode::kLoadNone, target);
  }
  CloseScope(scope);
}

void FunctionCompiler::BlockOrValue(const StmtBlock& block,
                                    std::optional<uint16_t> target) {
  if (target) {
    BlockInto(block, *target);
  } else {
    BlockScope(block);
  }
}

void FunctionCompiler::IfInto(const IfExpr& expr,
                              std::optional<uint16_t> target) {
  std::vector<size_t> ends;
  for (const IfBranch& branch : expr.branches) {
    const std::vector<size_t> misses = JumpsWhen(*branch.condition, false);
    BlockOrValue(branch.body, target);
    const bool last = &branch == &expr.branches.back();
    if (!last || expr.otherwise || target) {
      ends.push_back(EmitJump(expr.span, Opcode::kJump));
    }
    LandHere(misses);
  }
  if (expr.otherwise) {
    BlockOrValue(*expr.otherwise, target);
  } else if (target) {
    Emit(expr.span, Opcode::kLoadNone, *target);
  }
  LandHere(ends);
}

void FunctionCompiler::MatchInto(const MatchExpr& match,
                                 std::optional<uint16_t> target) {
  const int mark = next_register_;
  const uint16_t subject = Temporary(*match.subject);
  std::vector<size_t> ends;
  for (const MatchArm& arm : match.arms) ArmInto(arm, subject, target, ends);
  if (target) Emit(match.span, Opcode::kLoadNone, *target);
  LandHere(ends);
  Emit(match.span, Opcode::kLoadNone, subject);
  next_register_ = mark;
}

void FunctionCompiler::ArmInto(const MatchArm& arm, uint16_t subject,
                               std::optional<uint16_t> target,
                               std::vector<size_t>& ends) {
  const Scope scope = OpenScope();
  std::vector<size_t> misses = PatternMisses(arm, subject);
  if (arm.guard) {
    const std::vector<size_t> refused = JumpsWhen(*arm.guard, false);
    misses.insert(misses.end(), refused.begin(), refused.end());
  }
  BlockOrValue(arm.body, target);
  ends.push_back(EmitJump(arm.span, Opcode::kJump));
  LandHere(misses);
  CloseScope(scope);
}

// Falls through on a match; the jumps are those of a miss.
std::vector<size_t> FunctionCompiler::PatternMisses(const MatchArm& arm,
                                                    uint16_t subject) {
  std::vector<size_t> hits;
  for (const MatchPattern& pattern : arm.patterns) {
    if (pattern.kind == PatternKind::kBinding) {
      const uint16_t variable = NewRegister(pattern.span);
      Emit(pattern.span, Opcode::kMove, variable, subject);
      Declare(pattern.name, variable, pattern.span);
    }
    if (pattern.kind != PatternKind::kLiteral) {
      LandHere(hits);
      return {};
    }
    const std::optional<uint16_t> literal = ScalarConstant(*pattern.literal);
    if (!literal) FailAt(pattern.span, "a pattern is a literal or a name");
    const bool last = &pattern == &arm.patterns.back();
    Emit(pattern.span, Opcode::kBranchMatches, subject, *literal, 0,
         last ? 0 : kWhenTrue);
    hits.push_back(EmitJump(pattern.span, Opcode::kJump));
  }
  const size_t miss = hits.back();
  hits.pop_back();
  LandHere(hits);
  return {miss};
}

void FunctionCompiler::Let(const LetStmt& let) {
  const uint16_t target = NewRegister(let.name_span);
  Into(*let.value, target);
  Declare(let.name, target, let.name_span);
}

// The names in a declaration's type are variables that hold sizes.
std::vector<DimName> FunctionCompiler::DimValues(const TypeExpr& type) {
  std::vector<std::string> names;
  for (const DimExpr& dim : type.dims) AddDimNames(dim, names);
  std::vector<DimName> dims;
  for (const std::string& name : names) {
    const uint16_t in_register = NewRegister(type.span);
    LoadName(Resolve(name, type.span), name, in_register, type.span);
    dims.push_back({name, in_register});
  }
  return dims;
}

void FunctionCompiler::TensorDeclaration(const TensorStmt& tensor) {
  const uint16_t target = NewRegister(tensor.name_span);
  if (tensor.value) {
    Into(*tensor.value, target);
  } else {
    Emit(tensor.span, Opcode::kLoadNone, target);
  }
  std::vector<DimName> dims = DimValues(tensor.type);
  next_register_ = target + 1;
  Emit(tensor.span, Opcode::kCheckTensor, target,
       AddType(
           {tensor.type, fmt::format("'{}'", tensor.name), std::move(dims)}));
  Declare(tensor.name, target, tensor.name_span);
}

void FunctionCompiler::ReturnValue(const ReturnStmt& stmt) {
  const int mark = next_register_;
  if (stmt.value) {
    EmitReturn(Read(*stmt.value).in_register, stmt.span);
  } else if (checks_result_) {
    const uint16_t none = NewRegister(stmt.span);
    Emit(stmt.span, Opcode::kLoadNone, none);
    EmitReturn(none, stmt.span);
  } else {
    Emit(stmt.span, Opcode::kReturnNone);
  }
  next_register_ = mark;
}

void FunctionCompiler::EmitReturn(uint16_t in_register, Span span) {
  if (returns_none_) {
    Emit(span, Opcode::kReturnNone);
    return;
  }
  if (checks_result_) {
    Emit(span, Opcode::kCheckResult, in_register, result_type_);
  }
  Emit(span, Opcode::kReturn, in_register);
}

void FunctionCompiler::BodyResult(const StmtBlock& body) {
  DeclareFunctions(body);
  for (const StmtPtr& stmt : body.statements) {
    const auto* value = FindAs<ExprStmt>(*stmt);
    if (&stmt == &body.statements.back() && value != nullptr &&
        !returns_none_) {
      return EmitReturn(Read(*value->value).in_register, value->span);
    }
    Statement(*stmt);
  }
  if (!body.statements.empty() &&
      body.statements.back()->kind == StmtKind::kReturn) {
    return;
  }
  const Span end{body.span.source, body.span.end, body.span.end};
  if (checks_result_) {
    const uint16_t none = NewRegister(end);
    Emit(end, Opcode::kLoadNone, none);
    EmitReturn(none, end);
  } else {
    Emit(end, Opcode::kReturnNone);
  }
}

}  // namespace tl
