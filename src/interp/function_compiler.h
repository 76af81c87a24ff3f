// Writes the bytecode of one function (or of a module's top level).
//
// Registers are a stack: variables of the open scopes first, temporaries above
// them, and the arguments of a call last, where the callee's own registers
// begin. An expression is compiled into a register that the caller names, so
// `let x = a + b` is one instruction.
// One .cc file per subject: compile_expression, compile_operator, compile_call,
// compile_place, compile_statement, compile_loop, compile_function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interp/bytecode.h"
#include "interp/compiler.h"
#include "interp/shared_names.h"
#include "interp/signatures.h"
#include "lang/ast.h"

namespace tl {

// What every function of one module is compiled against.
struct ModuleScope {
  TopLevel kind = TopLevel::kProgram;
  const Sources& sources;
  const ImportedModules& imports;
  TopLevelNames& names;
  ProgramCode& program;
  const Ref<CodeUnit> unit;  // of an entry of a session
};

class FunctionCompiler {
 public:
  // `around`: the function this one stands in, null at the top level.
  FunctionCompiler(ModuleScope& module, FunctionCompiler* around,
                   FunctionCode& code)
      : module_(module), around_(around), code_(code) {}

  // compile_function.cc
  void CompileFunction(const FunctionDecl& function);
  void CompileTopLevel(const SyntaxTree& tree);
  void CompileTest(const StmtBlock& body);

 private:
  // --- Names (compile_function.cc) ---
  struct Variable {
    std::string name;
    uint16_t in_register = 0;
    bool in_cell = false;
  };
  enum class NameKind {
    kRegister,
    kCell,
    kShared,
    kGlobal,
    kFunction,
    kBuiltin
  };
  struct Name {
    NameKind kind;
    uint16_t index = 0;
  };
  struct Scope {
    size_t variables = 0;
    int registers = 0;
  };

  std::optional<Name> FindVariable(const std::string& name);
  std::optional<Name> FindFunctionNamed(const std::string& name) const;
  Name Resolve(const std::string& name, Span span);
  std::optional<uint16_t> FindCapture(const std::string& name);
  const Variable* FindLocal(const std::string& name) const;
  std::optional<uint16_t> FindGlobal(const std::string& name) const;
  bool IsVariableRegister(uint16_t in_register) const;
  Scope OpenScope();
  void CloseScope(Scope scope);
  // The value of a new variable comes first, into a NewRegister.
  void Declare(const std::string& name, uint16_t in_register, Span span);
  bool IsGlobalHere(const std::string& name) const;
  bool IsModuleFunction(const std::string& name) const;

  // --- Emitting (compile_expression.cc) ---
  struct Operand {
    uint16_t in_register = 0;
    bool temporary = false;
  };

  size_t Emit(Span span, Opcode op, int a = 0, int b = 0, int c = 0,
              int flags = 0);
  size_t EmitJump(Span span, Opcode op, int a = 0);
  void JumpTo(size_t jump, size_t target);
  void LandHere(size_t jump) { JumpTo(jump, Here()); }
  void LandHere(const std::vector<size_t>& jumps);
  void JumpBackTo(Span span, size_t target);
  size_t Here() const { return code_.code.size(); }
  uint16_t Constant(Value value, Span span);
  uint16_t Numbered(size_t count, std::string_view what, Span span) const;
  uint16_t NewRegister(Span span) { return NewRegisters(1, span); }
  uint16_t NewRegisters(int count, Span span);
  [[noreturn]] void FailAt(Span span, const std::string& text) const;

  // --- Expressions (compile_expression.cc) ---
  void Into(const Expr& expr, uint16_t target);
  Operand Read(const Expr& expr);  // a variable's own register, or a new one
  // The same, safe to be read after `later` was evaluated.
  Operand ReadBefore(const Expr& expr, const Expr& later);
  uint16_t Temporary(const Expr& expr);  // always a new register
  void Effect(const Expr& expr);         // the value is not wanted
  void NameInto(const NameExpr& expr, uint16_t target);
  void LoadName(Name name, const std::string& text, uint16_t target, Span span);
  void ConstantInto(Value value, uint16_t target, Span span);
  void ListInto(const ListExpr& list, uint16_t target);
  void ElementsInto(const std::vector<const Expr*>& elements, uint16_t target,
                    Span span);
  void MapInto(const MapExpr& map, uint16_t target);
  uint16_t NewFunction(Span span);
  void FunctionInto(const FunctionDecl& function, uint16_t target, Span span);
  void RangeInto(const RangeExpr& range, uint16_t target);
  void CastInto(const CastExpr& cast, uint16_t target);
  // The value of a literal, or of a list of such.
  std::optional<Value> FindLiteral(const Expr& expr) const;
  uint16_t AddType(TypeCheck check);

  // --- Operators (compile_operator.cc) ---
  void UnaryInto(const UnaryExpr& unary, uint16_t target);
  void BinaryInto(const BinaryExpr& binary, uint16_t target);
  // target = left op right, with a constant inside the instruction if it can.
  void CombineInto(BinaryOp op, Operand left, const Expr& right,
                   uint16_t target, Span span);
  Operand LeftOperand(const BinaryExpr& binary, uint16_t target);
  void LogicalInto(const LogicalExpr& logical, uint16_t target);
  // Jumps (returned, to be landed) where the truth of `expr` is `when`.
  std::vector<size_t> JumpsWhen(const Expr& expr, bool when);
  std::vector<size_t> CompareJumps(const BinaryExpr& binary, bool when);
  std::vector<size_t> LogicalJumps(const LogicalExpr& logical, bool when);
  std::optional<uint16_t> ScalarConstant(const Expr& expr);

  // --- Calls (compile_call.cc) ---
  // An argument as written, or (without expr) a constant we add.
  struct NamedArgument {
    std::string name;
    const Expr* expr = nullptr;
    Value constant;
    Span span;
  };

  void CallInto(const CallExpr& call, uint16_t target);
  void NamedCallInto(const CallExpr& call, const NameExpr& callee,
                     uint16_t target);
  void FunctionCallInto(const CallExpr& call, uint16_t function,
                        uint16_t target);
  void BuiltinCallInto(std::span<const NamedArgument> arguments, Span span,
                       uint16_t builtin, uint16_t target);
  ArgumentBinding BindOrFail(const Signature& signature,
                             std::span<const NamedArgument> arguments,
                             Span span) const;
  void ArgumentsInto(const ArgumentBinding& binding,
                     std::span<const NamedArgument> arguments, uint16_t window);
  void ValueCallInto(const CallExpr& call, uint16_t callee, uint16_t target);
  void MethodCallInto(const CallExpr& call, const MemberExpr& callee,
                      uint16_t target);
  void VariableMethodInto(const CallExpr& call, const MemberExpr& callee,
                          Name variable, uint16_t target);
  bool IsPlaceCall(const MemberExpr& callee);
  void PlaceCallInto(const CallExpr& call, const MemberExpr& callee,
                     uint16_t target);
  void PathCallInto(const CallExpr& call, const PathExpr& path,
                    uint16_t target);
  void TensorInto(const TensorExpr& tensor, uint16_t target);
  static std::vector<NamedArgument> ArgumentsOf(const CallExpr& call);
  uint16_t Shape(const CallExpr& call, CallShape shape);
  Value FunctionValue(const std::string& name) const;

  // --- Places and subscripts (compile_place.cc) ---
  void IndexInto(const IndexExpr& index, uint16_t target);
  void MemberInto(const MemberExpr& member, uint16_t target);
  SubscriptForms SubscriptsFrom(const IndexExpr& index);
  void AssignTo(const AssignStmt& assign);
  void AssignName(const AssignStmt& assign, Name variable);
  void DeclareByAssignment(const NameExpr& name, const Expr& value);
  void StoreName(Name variable, uint16_t value, Span span);
  void AssignPlace(const AssignStmt& assign);
  bool IsPlace(const Expr& expr);
  Place PlaceOf(const Expr& expr);
  uint16_t AddPlace(Place place, Span span);

  // --- Statements (compile_statement.cc) ---
  void Statement(const Stmt& stmt);
  void Statements(const StmtBlock& block);
  void BlockScope(const StmtBlock& block);
  void BlockInto(const StmtBlock& block, uint16_t target);
  void BlockOrValue(const StmtBlock& block, std::optional<uint16_t> target);
  void DeclareFunctions(const StmtBlock& block);
  // Without a target the value is not wanted.
  void IfInto(const IfExpr& expr, std::optional<uint16_t> target);
  void MatchInto(const MatchExpr& match, std::optional<uint16_t> target);
  void ArmInto(const MatchArm& arm, uint16_t subject,
               std::optional<uint16_t> target, std::vector<size_t>& ends);
  std::vector<size_t> PatternMisses(const MatchArm& arm, uint16_t subject);
  void Let(const LetStmt& let);
  std::vector<DimName> DimValues(const TypeExpr& type);
  void TensorDeclaration(const TensorStmt& tensor);
  void ReturnValue(const ReturnStmt& stmt);
  void EmitReturn(uint16_t in_register, Span span);
  void NestedFunction(const FunctionStmt& stmt);
  void BodyResult(const StmtBlock& body);

  // --- Loops (compile_loop.cc) ---
  struct Loop {
    std::vector<size_t> breaks;     // to land behind the loop
    std::vector<size_t> continues;  // to land where it goes on
  };
  void For(const ForStmt& loop);
  bool CountedFor(const ForStmt& loop);
  void EachFor(const ForStmt& loop);
  bool IsRangeCall(const CallExpr& call);
  void LoopBody(const ForStmt& loop, Opcode next, uint16_t first,
                uint16_t variable);
  void While(const WhileStmt& loop);
  void Forever(const LoopStmt& loop);

  // --- Top level and parameters (compile_function.cc) ---
  void DeclareTopLevel(const SyntaxTree& tree);
  void DeclareImports(const SyntaxTree& tree);
  void DeclareFunction(const FunctionDecl& function);
  void DeclareGlobal(const std::string& name, Span span);
  void ModuleFunctions(const SyntaxTree& tree);
  void Import(const ImportStmt& import);
  void Parameters(const FunctionDecl& function);
  void DimNames(const FunctionDecl& function, uint16_t first);
  void DeclareDim(const DimName& dim, Span span);

  ModuleScope& module_;
  FunctionCompiler* const around_;
  FunctionCode& code_;
  NameSet shared_;  // names that functions inside this one mention
  std::vector<Variable> variables_;
  std::unordered_map<std::string, uint16_t> captures_;
  std::vector<Loop> loops_;
  std::vector<DimName> dims_;  // of the parameters' and the result's types
  // At the top level: globals whose declaration stands further down.
  NameSet pending_;
  bool top_level_ = false;
  size_t next_import_ = 0;
  int depth_ = 0;  // of open blocks, at the top level
  int next_register_ = 0;
  uint16_t result_type_ = 0;
  bool checks_result_ = false;
  bool returns_none_ = false;
};

}  // namespace tl
