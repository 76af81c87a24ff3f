// Names and scopes, functions with their parameters, and a module's top level.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "interp/function_compiler.h"

namespace tl {

void AddDimNames(const DimExpr& dim, std::vector<std::string>& names) {
  if (dim.kind == DimKind::kName) names.push_back(dim.name);
  for (const DimExpr& part : dim.parts) AddDimNames(part, names);
}

// --- Names -------------------------------------------------------------------

const FunctionCompiler::Variable* FunctionCompiler::FindLocal(
    const std::string& name) const {
  for (size_t i = variables_.size(); i-- > 0;) {
    if (variables_[i].name == name) return &variables_[i];
  }
  return nullptr;
}

std::optional<uint16_t> FunctionCompiler::FindCapture(const std::string& name) {
  if (around_ == nullptr) return std::nullopt;
  const auto known = captures_.find(name);
  if (known != captures_.end()) return known->second;
  Capture capture;
  if (const Variable* local = around_->FindLocal(name)) {
    capture = {true, local->in_register};
  } else if (std::optional<uint16_t> outer = around_->FindCapture(name)) {
    capture = {false, *outer};
  } else {
    return std::nullopt;
  }
  const uint16_t index =
      Numbered(code_.captures.size(), "shared variables", code_.span);
  code_.captures.push_back(capture);
  captures_.emplace(name, index);
  return index;
}

std::optional<uint16_t> FunctionCompiler::FindGlobal(
    const std::string& name) const {
  if (pending_.contains(name)) return std::nullopt;
  const auto slot = module_.names.globals.find(name);
  if (slot == module_.names.globals.end()) return std::nullopt;
  return slot->second;
}

std::optional<FunctionCompiler::Name> FunctionCompiler::FindVariable(
    const std::string& name) {
  if (const Variable* local = FindLocal(name)) {
    return Name{local->in_cell ? NameKind::kCell : NameKind::kRegister,
                local->in_register};
  }
  if (std::optional<uint16_t> shared = FindCapture(name)) {
    return Name{NameKind::kShared, *shared};
  }
  if (std::optional<uint16_t> slot = FindGlobal(name)) {
    return Name{NameKind::kGlobal, *slot};
  }
  return std::nullopt;
}

std::optional<FunctionCompiler::Name> FunctionCompiler::FindFunctionNamed(
    const std::string& name) const {
  const auto function = module_.names.functions.find(name);
  if (function != module_.names.functions.end()) {
    return Name{NameKind::kFunction, function->second};
  }
  if (std::optional<uint16_t> builtin = FindBuiltin(name)) {
    return Name{NameKind::kBuiltin, *builtin};
  }
  return std::nullopt;
}

FunctionCompiler::Name FunctionCompiler::Resolve(const std::string& name,
                                                 Span span) {
  if (std::optional<Name> variable = FindVariable(name)) return *variable;
  if (std::optional<Name> function = FindFunctionNamed(name)) return *function;
  FailAt(span, fmt::format("unknown name '{}'", name));
}

bool FunctionCompiler::IsVariableRegister(uint16_t in_register) const {
  for (const Variable& variable : variables_) {
    if (variable.in_register == in_register) return true;
  }
  return false;
}

FunctionCompiler::Scope FunctionCompiler::OpenScope() {
  ++depth_;
  return {variables_.size(), next_register_};
}

void FunctionCompiler::CloseScope(Scope scope) {
  --depth_;
  variables_.resize(scope.variables);
  next_register_ = scope.registers;
}

bool FunctionCompiler::IsGlobalHere(const std::string& name) const {
  return top_level_ && depth_ == 0 &&
         (module_.kind != TopLevel::kProgram || shared_.contains(name));
}

bool FunctionCompiler::IsModuleFunction(const std::string& name) const {
  return top_level_ && depth_ == 0 && module_.kind != TopLevel::kSession &&
         module_.names.functions.contains(name);
}

void FunctionCompiler::Declare(const std::string& name, uint16_t in_register,
                               Span span) {
  if (IsGlobalHere(name)) {
    pending_.erase(name);
    Emit(span, Opcode::kSetGlobal, in_register, module_.names.globals.at(name));
    next_register_ = in_register;
    return;
  }
  const bool in_cell = shared_.contains(name);
  if (in_cell) Emit(span, Opcode::kNewCell, in_register, in_register);
  variables_.push_back({name, in_register, in_cell});
}

// --- Functions ---------------------------------------------------------------

uint16_t FunctionCompiler::NewFunction(Span span) {
  return Numbered(module_.program.AddFunction(module_.unit), "functions", span);
}

void FunctionCompiler::FunctionInto(const FunctionDecl& function,
                                    uint16_t target, Span span) {
  const uint16_t index = NewFunction(span);
  FunctionCode& code = *module_.program.functions[index];
  code.signature = SignatureOf(function);
  code.span = function.name_span;
  FunctionCompiler(module_, this, code).CompileFunction(function);
  Emit(span, Opcode::kClosure, target, index);
}

void FunctionCompiler::CompileFunction(const FunctionDecl& function) {
  shared_ = NamesInFunctions(function.body);
  Parameters(function);
  returns_none_ = function.result.kind == TypeKind::kVoid;
  checks_result_ = !returns_none_ && function.result.kind != TypeKind::kAny;
  if (checks_result_) {
    result_type_ = AddType({function.result, "the result", dims_});
  }
  BodyResult(function.body);
}

void FunctionCompiler::CompileTest(const StmtBlock& body) {
  shared_ = NamesInFunctions(body);
  Statements(body);
  Emit(body.span, Opcode::kReturnNone);
}

void FunctionCompiler::Parameters(const FunctionDecl& function) {
  const uint16_t first = NewRegisters(
      static_cast<int>(function.parameters.size()), function.name_span);
  DimNames(function, first);
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const ParamDecl& parameter = function.parameters[i];
    const uint16_t in_register = static_cast<uint16_t>(first + i);
    if (parameter.default_value) {
      const size_t given =
          EmitJump(parameter.span, Opcode::kJumpIfSet, in_register);
      Into(*parameter.default_value, in_register);
      LandHere(given);
    }
    if (parameter.type.kind != TypeKind::kAny) {
      Emit(parameter.span, Opcode::kCheckParameter, in_register,
           AddType(
               {parameter.type, fmt::format("'{}'", parameter.name), dims_}));
    }
    Declare(parameter.name, in_register, parameter.span);
  }
  for (const DimName& dim : dims_) {
    if (FindLocal(dim.name) == nullptr) DeclareDim(dim, function.name_span);
  }
}

// Each name of a dimension has a register, in which the call's value of it is
// found; a parameter of that name gives it.
void FunctionCompiler::DimNames(const FunctionDecl& function, uint16_t first) {
  std::vector<std::string> names;
  for (const ParamDecl& parameter : function.parameters) {
    for (const DimExpr& dim : parameter.type.dims) AddDimNames(dim, names);
  }
  for (const DimExpr& dim : function.result.dims) AddDimNames(dim, names);
  NameSet seen;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const std::string& name = function.parameters[i].name;
    if (std::find(names.begin(), names.end(), name) != names.end() &&
        seen.insert(name).second) {
      dims_.push_back({name, static_cast<uint16_t>(first + i)});
    }
  }
  for (const std::string& name : names) {
    if (!seen.insert(name).second) continue;
    const uint16_t in_register = NewRegister(function.name_span);
    Emit(function.name_span, Opcode::kLoadUnset, in_register);
    dims_.push_back({name, in_register});
  }
}

void FunctionCompiler::DeclareDim(const DimName& dim, Span span) {
  if (!shared_.contains(dim.name)) {
    variables_.push_back({dim.name, dim.in_register, false});
    return;
  }
  // The check of the result reads the number itself, so the cell is another.
  const uint16_t cell = NewRegister(span);
  Emit(span, Opcode::kNewCell, cell, dim.in_register);
  variables_.push_back({dim.name, cell, true});
}

// --- The top level -----------------------------------------------------------

void FunctionCompiler::DeclareGlobal(const std::string& name, Span span) {
  if (!IsGlobalHere(name)) return;
  if (module_.names.own.contains(name)) return;
  const uint16_t slot = Numbered(module_.program.global_names.size(),
                                 "names at the top level", span);
  module_.program.global_names.push_back(name);
  module_.names.globals[name] = slot;
  module_.names.own.insert(name);
  pending_.insert(name);
}

void FunctionCompiler::DeclareImports(const SyntaxTree& tree) {
  size_t next = 0;
  for (const StmtPtr& stmt : tree.statements) {
    if (stmt->kind != StmtKind::kImport) continue;
    const TopLevelNames& names = *module_.imports.at(next++).names;
    for (const auto& [name, slot] : names.globals) {
      if (!module_.names.own.contains(name)) {
        module_.names.globals[name] = slot;
        module_.names.functions.erase(name);
      }
    }
    for (const auto& [name, function] : names.functions) {
      if (!module_.names.own.contains(name)) {
        module_.names.functions[name] = function;
      }
    }
  }
}

void FunctionCompiler::DeclareFunction(const FunctionDecl& function) {
  if (module_.kind == TopLevel::kSession) {
    return DeclareGlobal(function.name, function.name_span);
  }
  const uint16_t index = NewFunction(function.name_span);
  module_.names.functions[function.name] = index;
  module_.names.own.insert(function.name);
  FunctionCode& code = *module_.program.functions[index];
  code.signature = SignatureOf(function);
  code.span = function.name_span;
}

// Functions may use names that stand below them, so all names come first.
void FunctionCompiler::DeclareTopLevel(const SyntaxTree& tree) {
  DeclareImports(tree);
  for (const StmtPtr& stmt : tree.statements) {
    if (const auto* function = FindAs<FunctionStmt>(*stmt)) {
      DeclareFunction(function->function);
    } else if (const auto* let = FindAs<LetStmt>(*stmt)) {
      DeclareGlobal(let->name, let->name_span);
    } else if (const auto* tensor = FindAs<TensorStmt>(*stmt)) {
      DeclareGlobal(tensor->name, tensor->name_span);
    } else if (const auto* assign = FindAs<AssignStmt>(*stmt)) {
      const auto* name = FindAs<NameExpr>(*assign->target);
      if (name != nullptr && !module_.names.globals.contains(name->name)) {
        DeclareGlobal(name->name, name->span);
      }
    }
  }
}

void FunctionCompiler::ModuleFunctions(const SyntaxTree& tree) {
  for (const StmtPtr& stmt : tree.statements) {
    const auto* function = FindAs<FunctionStmt>(*stmt);
    if (function == nullptr) continue;
    const FunctionDecl& decl = function->function;
    if (module_.kind == TopLevel::kSession) {
      const uint16_t value = NewRegister(decl.name_span);
      FunctionInto(decl, value, decl.name_span);
      Declare(decl.name, value, decl.name_span);
    } else {
      const uint16_t index = module_.names.functions.at(decl.name);
      FunctionCode& code = *module_.program.functions[index];
      FunctionCompiler(module_, nullptr, code).CompileFunction(decl);
    }
  }
}

void FunctionCompiler::CompileTopLevel(const SyntaxTree& tree) {
  top_level_ = true;
  shared_ = NamesInFunctions(tree);
  DeclareTopLevel(tree);
  ModuleFunctions(tree);
  const MainStmt* main = nullptr;
  for (const StmtPtr& stmt : tree.statements) {
    if (const auto* found = FindAs<MainStmt>(*stmt)) main = found;
    const auto* value = FindAs<ExprStmt>(*stmt);
    if (module_.kind == TopLevel::kSession && value != nullptr &&
        &stmt == &tree.statements.back()) {
      return EmitReturn(Read(*value->value).in_register, value->span);
    }
    if (stmt->kind != StmtKind::kFunction) Statement(*stmt);
  }
  if (main != nullptr && module_.kind != TopLevel::kModule) {
    BlockScope(main->body);
  }
  Emit({tree.source, 0, 0}, Opcode::kReturnNone);
}

void FunctionCompiler::Import(const ImportStmt& import) {
  Emit(import.span, Opcode::kRunModule, 0,
       module_.imports.at(next_import_++).module);
}

// --- Modules -----------------------------------------------------------------

uint16_t CompileModule(const SyntaxTree& tree, TopLevel kind,
                       const ImportedModules& imports, const Sources& sources,
                       TopLevelNames& names, ProgramCode& program) {
  Ref<CodeUnit> unit;
  if (kind == TopLevel::kSession) {
    unit = MakeRef<CodeUnit>();
    unit->source = tree.source;
    program.units.push_back(unit);
  }
  ModuleScope scope{kind, sources, imports, names, program, unit};
  const auto new_function = [&](Span span) -> FunctionCode& {
    FunctionCode& code = *program.functions[program.AddFunction(unit)];
    code.span = span;
    return code;
  };
  ModuleCode module;
  FunctionCode& top_level = new_function({tree.source, 0, 0});
  top_level.is_top_level = true;
  FunctionCompiler(scope, nullptr, top_level).CompileTopLevel(tree);
  module.top_level = &top_level;
  for (const StmtPtr& stmt : tree.statements) {
    const auto* test = FindAs<TestStmt>(*stmt);
    if (test == nullptr) continue;
    FunctionCode& code = new_function(test->span);
    code.is_top_level = true;
    FunctionCompiler(scope, nullptr, code).CompileTest(test->body);
    module.tests.push_back({test->name, test->span, &code});
  }
  const size_t number = program.AddModule(std::move(module), unit);
  if (number > kMaxNumbered) {
    Fail(ErrorKind::kProgram, "{}: more than {} modules",
         sources.Get(tree.source).name(), kMaxNumbered);
  }
  return static_cast<uint16_t>(number);
}

}  // namespace tl
