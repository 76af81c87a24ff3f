#include "lang/checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "lang/checker_rules.h"

namespace tl {

void Check(const LoadedProgram& program, const CheckOptions& options,
           Diagnostics& diagnostics) {
  if (!program.complete) return;
  Diagnostics found;
  Checker checker(program, options, Checker::Models::kRead, found);
  checker.Run();
  if (checker.models_change() && checker.read_headers()) {
    // The headers told what the program changes later: look again without.
    found = Diagnostics();
    Checker(program, options, Checker::Models::kLeftToTheRun, found).Run();
  }
  diagnostics.Append(found);
}

void Checker::Run() {
  modules_.resize(program_.modules.size());
  for (size_t i = 0; i < program_.modules.size(); ++i) CheckModule(i);
}

// --- Modules -----------------------------------------------------------------

void Checker::CheckModule(size_t index) {
  const LoadedModule& module = program_.modules[index];
  names_ = &modules_[index];
  variables_.clear();
  by_name_.clear();
  ended_.clear();
  top_level_changes_.clear();
  for (const std::string& name : options_.known_names) {
    Declare(name, {}).forgotten = true;
  }
  for (const std::string& name : module.tree.faulty_names) {
    Declare(name, {}).forgotten = true;
  }
  CollectNames(module);
  CheckFunctionNames(module.tree.statements);
  changed_by_functions_.clear();
  for (const StmtPtr& stmt : module.tree.statements) {
    const auto* function = FindAs<FunctionStmt>(*stmt);
    if (!function) {
      CountChanges(*stmt, top_level_changes_);
      continue;
    }
    for (const std::string& name : OuterChanges(function->function)) {
      ++top_level_changes_[name];
      changed_by_functions_.insert(name);
    }
  }
  CheckTopLevel(module.tree);
  CheckFunctions(module.tree);
}

// An imported module's names are this one's too.
void Checker::CollectNames(const LoadedModule& module) {
  for (size_t import : module.imports) {
    const ModuleNames& names = modules_[import];
    names_->functions.insert(names.functions.begin(), names.functions.end());
    for (const std::string& name : names.variables) {
      names_->variables.insert(name);
      Declare(name, {}).forgotten = true;
    }
  }
  for (const StmtPtr& stmt : module.tree.statements) {
    if (const auto* function = FindAs<FunctionStmt>(*stmt)) {
      const FunctionDecl& decl = function->function;
      names_->functions[decl.name] = &decl;
      // A session's function may be defined again.
      if (options_.mode == CheckOptions::Mode::kSession) {
        Declare(decl.name, {}).forgotten = true;
      }
    } else if (const auto* let = FindAs<LetStmt>(*stmt)) {
      names_->variables.insert(let->name);
    } else if (const auto* tensor = FindAs<TensorStmt>(*stmt)) {
      names_->variables.insert(tensor->name);
    } else if (const auto* assign = FindAs<AssignStmt>(*stmt)) {
      const auto* name = FindAs<NameExpr>(*assign->target);
      if (name) names_->variables.insert(name->name);
    }
  }
}

void Checker::CheckFunctionNames(const std::vector<StmtPtr>& statements) {
  std::unordered_map<std::string_view, Span> first;
  for (const StmtPtr& stmt : statements) {
    const auto* found = FindAs<FunctionStmt>(*stmt);
    if (!found) continue;
    const FunctionDecl& function = found->function;
    auto [place, added] = first.try_emplace(function.name, function.name_span);
    if (added) continue;
    Report(function.name_span,
           fmt::format("'{}' is declared a second time", function.name));
    diagnostics_.Note(place->second, "the first is here");
  }
}

void Checker::CheckTopLevel(const SyntaxTree& tree) {
  const MainStmt* main = nullptr;
  for (const StmtPtr& stmt : tree.statements) {
    if (const auto* found = FindAs<MainStmt>(*stmt)) main = found;
    const auto* value = FindAs<ExprStmt>(*stmt);
    bool shown = options_.mode == CheckOptions::Mode::kSession && value &&
                 &stmt == &tree.statements.back();
    if (shown) {
      Check(*value->value);
    } else if (stmt->kind != StmtKind::kMain && stmt->kind != StmtKind::kTest &&
               stmt->kind != StmtKind::kFunction) {
      CheckStatement(*stmt);
    }
  }
  if (main) CheckBlock(main->body, BlockUse::kStatements);
}

// Functions and tests run when the top level has: what it leaves is known.
void Checker::CheckFunctions(const SyntaxTree& tree) {
  for (const StmtPtr& stmt : tree.statements) {
    if (const auto* function = FindAs<FunctionStmt>(*stmt)) {
      CheckFunction(function->function, Naming::kNamed);
    } else if (const auto* test = FindAs<TestStmt>(*stmt)) {
      CheckBlock(test->body, BlockUse::kStatements);
    }
  }
}

// --- Functions ---------------------------------------------------------------

void Checker::CheckFunction(const FunctionDecl& function, Naming naming) {
  FunctionScope scope;
  scope.function = &function;
  scope.dim_scope = ++next_dim_scope_;
  scope.first_variable = variables_.size();
  scope.named = naming == Naming::kNamed;
  CountChanges(function.body, scope.changes);
  // Whatever it changes of the variables around it may change at any time.
  if (naming == Naming::kLocal) {
    for (const std::string& name : OuterChanges(function)) {
      if (Variable* variable = FindVariable(name)) variable->forgotten = true;
    }
  }
  int dim_scope = scope.dim_scope;
  functions_.push_back(std::move(scope));
  std::unordered_set<std::string> ended_around = ended_;
  size_t before = OpenScope();
  DeclareParameters(function, dim_scope);
  if (function.result.kind == TypeKind::kElementTensor) {
    Lowered(function.result.span, [&] {
      return StaticType::Tensor(DeclaredTensor(function.result, dim_scope));
    });
  }
  StaticType last = CheckStatements(function.body.statements, BlockUse::kValue);
  const std::vector<StmtPtr>& body = function.body.statements;
  if (!body.empty() && body.back()->kind == StmtKind::kExpr) {
    const Expr& value = *As<ExprStmt>(*body.back()).value;
    bool branches =
        value.kind == ExprKind::kIf || value.kind == ExprKind::kMatch;
    if (!branches) CheckAgainstResult(last, value.span);
  }
  CheckResultGiven(function);
  CloseScope(before);
  functions_.pop_back();
  ended_ = std::move(ended_around);
}

void Checker::DeclareParameters(const FunctionDecl& function, int dim_scope) {
  for (const ParamDecl& parameter : function.parameters) {
    if (parameter.default_value) Check(*parameter.default_value);
    StaticType type = TypeInside(parameter, dim_scope);
    Declare(parameter.name, std::move(type)).own_changes = 0;
  }
  for (const ParamDecl& parameter : function.parameters) {
    for (const DimExpr& dim : parameter.type.dims) DeclareDims(dim, dim_scope);
  }
  for (const DimExpr& dim : function.result.dims) DeclareDims(dim, dim_scope);
}

// The names in a type are ints of the body, unless a parameter has the name.
void Checker::DeclareDims(const DimExpr& dim, int dim_scope) {
  for (const DimExpr& part : dim.parts) DeclareDims(part, dim_scope);
  if (dim.kind != DimKind::kName) return;
  for (size_t i = functions_.back().first_variable; i < variables_.size();
       ++i) {
    if (variables_[i].name == dim.name) return;
  }
  Declare(dim.name, StaticType::Int(Dim::Named(dim.name, dim_scope)))
      .own_changes = 0;
}

StaticType Checker::TypeInside(const ParamDecl& parameter, int dim_scope) {
  bool may_be_none = parameter.default_value &&
                     parameter.default_value->kind == ExprKind::kNone;
  if (may_be_none) return {};
  switch (parameter.type.kind) {
    case TypeKind::kElementTensor:
      return Lowered(parameter.type.span, [&] {
        return StaticType::Tensor(DeclaredTensor(parameter.type, dim_scope));
      });
    case TypeKind::kInt:
      return StaticType::Int(Dim::Named(parameter.name, dim_scope));
    case TypeKind::kTensor:  // a number or a list may be given for it
    case TypeKind::kList:    // and a tensor for this
      return {};
    case TypeKind::kAny:
    case TypeKind::kFloat:
    case TypeKind::kBool:
    case TypeKind::kString:
    case TypeKind::kMap:
    case TypeKind::kModel:
    case TypeKind::kCache:
    case TypeKind::kTokenizer:
    case TypeKind::kFunction:
    case TypeKind::kVoid:
      break;
  }
  return OfType(parameter.type.kind);
}

// A function that says what it gives must give something.
void Checker::CheckResultGiven(const FunctionDecl& function) {
  if (function.result.kind == TypeKind::kAny ||
      function.result.kind == TypeKind::kVoid ||
      functions_.back().returns_value) {
    return;
  }
  const std::vector<StmtPtr>& body = function.body.statements;
  bool may_end = body.empty() || (body.back()->kind != StmtKind::kExpr &&
                                  body.back()->kind != StmtKind::kLoop &&
                                  body.back()->kind != StmtKind::kWhile);
  if (!may_end) return;
  Report(function.name_span,
         fmt::format("'{}' gives no value; expected {}",
                     function.name.empty() ? "fn" : function.name,
                     Described(function.result.kind)),
         "the last expression of the body is its value, or 'return' gives it");
}

// --- Names -------------------------------------------------------------------

Checker::Variable& Checker::Declare(const std::string& name, StaticType type) {
  Variable variable;
  variable.name = name;
  variable.type = std::move(type);
  variable.top_level = depth_ == 0 && functions_.empty();
  variable.in_function = !functions_.empty();
  variable.forgotten =
      variable.top_level && changed_by_functions_.contains(name);
  by_name_[name].push_back(variables_.size());
  variables_.push_back(std::move(variable));
  return variables_.back();
}

Checker::Variable* Checker::FindVariable(std::string_view name) {
  auto found = by_name_.find(std::string(name));
  if (found == by_name_.end() || found->second.empty()) return nullptr;
  return &variables_[found->second.back()];
}

// A function runs later than it is made: of a variable around it, only what
// never changes is known.
StaticType Checker::TypeOf(const Variable& variable) const {
  if (variable.forgotten) return {};
  if (functions_.empty()) return variable.type;
  size_t index = static_cast<size_t>(&variable - variables_.data());
  if (index >= functions_.back().first_variable) return variable.type;
  const ChangeCounts& changes =
      variable.in_function ? functions_[0].changes : top_level_changes_;
  auto count = changes.find(variable.name);
  bool stable = count == changes.end() || count->second <= variable.own_changes;
  return stable ? variable.type : StaticType();
}

const FunctionDecl* Checker::FindProgramFunction(std::string_view name) const {
  auto found = names_->functions.find(std::string(name));
  return found == names_->functions.end() ? nullptr : found->second;
}

bool Checker::IsLaterGlobal(std::string_view name) const {
  return InFunction() && names_->variables.contains(std::string(name));
}

std::vector<std::string_view> Checker::VisibleNames() const {
  std::vector<std::string_view> names;
  for (const Variable& variable : variables_) names.push_back(variable.name);
  for (const auto& [name, function] : names_->functions) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

void Checker::ReportUnknown(Span span, std::string_view what,
                            std::string_view name) {
  std::string hint;
  std::string nearest = NearestName(name, VisibleNames());
  if (nearest.empty()) nearest = NearestName(name, BuiltinNames());
  if (!nearest.empty()) hint = fmt::format("did you mean '{}'?", nearest);
  if (std::find(local_functions_.begin(), local_functions_.end(), name) !=
      local_functions_.end()) {
    hint = "inside a block a function stands before its use";
  }
  if (ended_.contains(std::string(name))) {
    hint = fmt::format(
        "'{}' was declared inside a block that has ended; declare it before "
        "the block",
        name);
  }
  Report(span, fmt::format("unknown {} '{}'", what, name), std::move(hint));
}

size_t Checker::OpenScope() {
  ++depth_;
  return variables_.size();
}

void Checker::CloseScope(size_t variables) {
  --depth_;
  while (variables_.size() > variables) {
    by_name_[variables_.back().name].pop_back();
    ended_.insert(variables_.back().name);
    variables_.pop_back();
  }
}

void Checker::Forget(const ChangeCounts& changed) {
  for (const auto& [name, count] : changed) {
    if (Variable* variable = FindVariable(name)) variable->type = {};
  }
}

// The variable that the place begins with was changed in part.
void Checker::ForgetFacts(const Expr& place) {
  const Expr* at = &place;
  while (at->kind != ExprKind::kName) {
    if (const auto* index = FindAs<IndexExpr>(*at)) {
      at = index->object.get();
    } else if (const auto* member = FindAs<MemberExpr>(*at)) {
      at = member->object.get();
    } else {
      return;
    }
  }
  Variable* variable = FindVariable(As<NameExpr>(*at).name);
  if (!variable || variable->type.is(StaticType::Kind::kTensor) ||
      variable->type.is(StaticType::Kind::kModel)) {
    return;
  }
  variable->type = StaticType::Of(variable->type.kind);
}

}  // namespace tl
