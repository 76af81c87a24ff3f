// The checker: walks the tree once, in running order, with what is known of
// every variable at that point (static_type.h). Where paths meet, only what
// holds on both is kept; what a loop or a function may change is forgotten.
// checker.cc: modules, names, functions. checker_statement.cc,
// checker_expression.cc, checker_operator.cc, checker_call.cc: what they say.
// checker_tensor.cc: tensor functions and shapes. checker_model.cc: models.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lang/checker.h"
#include "lang/signature.h"
#include "lang/static_type.h"
#include "lang/walk.h"
#include "ops/functions.h"

namespace tl {

class Checker {
 public:
  enum class Models { kRead, kLeftToTheRun };

  Checker(const LoadedProgram& program, const CheckOptions& options,
          Models models, Diagnostics& diagnostics)
      : program_(program),
        options_(options),
        models_(models),
        diagnostics_(diagnostics) {}

  void Run();
  // Whether a model was, or may have been, changed by the program: then its
  // file's header no longer tells what it holds.
  bool models_change() const { return models_change_; }
  bool read_headers() const { return read_headers_; }

 private:
  struct Variable {
    std::string name;
    StaticType type;
    bool top_level = false;    // declared outside of all blocks
    bool in_function = false;  // declared inside a function
    bool forgotten = false;    // a function may change it at any time
    size_t own_changes = 1;    // how often its declaration counts as a change
  };

  // A function whose body is being checked.
  struct FunctionScope {
    const FunctionDecl* function = nullptr;
    int dim_scope = 0;  // of Dim::Named
    size_t first_variable = 0;
    bool named = false;
    bool returns_value = false;
    int loops = 0;
    ChangeCounts changes;  // in its body
  };

  struct Arg {  // of a call, receiver included
    std::string_view name;
    Span span;
    StaticType type;
  };

  enum class BlockUse { kValue, kStatements };

  using DimBinding = std::map<std::string, Dim>;

  struct ModuleNames {
    std::unordered_map<std::string, const FunctionDecl*> functions;
    std::unordered_set<std::string> variables;
  };

  // checker.cc: modules, names, functions.
  void CheckModule(size_t index);
  void CollectNames(const LoadedModule& module);
  void CheckTopLevel(const SyntaxTree& tree);
  // No two functions of one name stand in the same block.
  void CheckFunctionNames(const std::vector<StmtPtr>& statements);
  void CheckFunctions(const SyntaxTree& tree);
  enum class Naming { kNamed, kLocal };
  void CheckFunction(const FunctionDecl& function, Naming naming);
  void DeclareParameters(const FunctionDecl& function, int dim_scope);
  void DeclareDims(const DimExpr& dim, int dim_scope);
  StaticType TypeInside(const ParamDecl& parameter, int dim_scope);
  void CheckResultGiven(const FunctionDecl& function);
  Variable& Declare(const std::string& name, StaticType type);
  Variable* FindVariable(std::string_view name);
  // What is known of it where it is read.
  StaticType TypeOf(const Variable& variable) const;
  const FunctionDecl* FindProgramFunction(std::string_view name) const;
  // Whether a function may use the name before its declaration is reached.
  bool IsLaterGlobal(std::string_view name) const;
  void ReportUnknown(Span span, std::string_view what, std::string_view name);
  std::vector<std::string_view> VisibleNames() const;
  size_t OpenScope();
  void CloseScope(size_t variables);
  void Forget(const ChangeCounts& changed);
  void ForgetFacts(const Expr& place);
  bool InFunction() const { return !functions_.empty(); }

  // checker_statement.cc
  StaticType CheckBlock(const StmtBlock& block, BlockUse use);
  StaticType CheckStatements(const std::vector<StmtPtr>& statements,
                             BlockUse use);
  void CheckStatement(const Stmt& stmt);
  void CheckExprStatement(const ExprStmt& stmt);
  void WarnWithoutEffect(const Expr& expr);
  void CheckAssign(const AssignStmt& assign);
  void AssignName(const AssignStmt& assign, const NameExpr& target,
                  StaticType value);
  void AssignPlace(const AssignStmt& assign);
  void CheckTensorDeclaration(const TensorStmt& tensor);
  void CheckInitialiser(const StaticType& value, const StaticType& declared,
                        const TensorStmt& tensor);
  void CheckFor(const ForStmt& loop);
  void CheckLoopBody(const StmtBlock& body, const std::string& name,
                     StaticType element);
  void CheckReturn(const ReturnStmt& stmt);
  void CheckAgainstResult(const StaticType& value, Span span);
  void CheckInLoop(const Stmt& stmt, std::string_view word);
  // Runs each branch from the same state and joins what they leave.
  enum class Coverage { kAllCases, kSomeCases };
  StaticType CheckBranches(const std::vector<std::function<StaticType()>>& run,
                           const ChangeCounts& changed, Coverage coverage);

  // checker_expression.cc
  StaticType Check(const Expr& expr);
  StaticType CheckName(const NameExpr& name);
  StaticType CheckList(const ListExpr& list);
  StaticType CheckMap(const MapExpr& map);
  StaticType CheckIf(const IfExpr& node, BlockUse use);
  StaticType CheckMatch(const MatchExpr& node, BlockUse use);
  StaticType CheckMember(const MemberExpr& member);
  StaticType MemberOf(const StaticType& object, const MemberExpr& member);
  StaticType TensorMember(const StaticType& object, const MemberExpr& member);
  StaticType CheckIndex(const IndexExpr& index);
  StaticType IndexTensor(const StaticType& object, const IndexExpr& index);
  StaticType CheckCast(const CastExpr& cast);
  StaticType CheckFunctionExpr(const FunctionExpr& expr);

  // checker_operator.cc
  StaticType CheckUnary(const UnaryExpr& unary);
  StaticType CheckBinary(const BinaryExpr& binary);
  StaticType Combine(BinaryOp op, const StaticType& left,
                     const StaticType& right, Span span);
  StaticType CombineNumbers(BinaryOp op, const StaticType& left,
                            const StaticType& right);
  StaticType CombineTensors(BinaryOp op, const StaticType& left,
                            const StaticType& right, Span span);
  std::string TransposeHint(const TensorRef& left, const TensorRef& right);

  // checker_call.cc
  StaticType CheckCall(const CallExpr& call);
  StaticType CheckPath(const CallExpr& call, const PathExpr& path);
  StaticType CheckMethod(const CallExpr& call, const MemberExpr& method);
  StaticType CheckTypedTensor(const TensorExpr& tensor);
  StaticType CallNamed(std::string_view name, Span name_span, Span span,
                       std::vector<Arg> args);
  StaticType CallFunction(const FunctionDecl& function, Span span,
                          const std::vector<Arg>& args);
  StaticType CallBuiltin(BuiltinId builtin, Span span,
                         const std::vector<Arg>& args);
  std::vector<Arg> CheckArguments(const std::vector<CallArgument>& arguments);
  std::optional<ArgumentBinding> BindArguments(const Signature& signature,
                                               Span span,
                                               const std::vector<Arg>& args);
  bool CheckKinds(const Signature& signature, const ArgumentBinding& binding,
                  const std::vector<Arg>& args);
  void BindDims(const FunctionDecl& function, const ParamDecl& parameter,
                const Arg& arg, DimBinding& dims);
  std::optional<Dim> DimOf(const DimExpr& dim, const DimBinding& dims) const;
  StaticType ResultOf(const FunctionDecl& function, const DimBinding& dims);

  // checker_tensor.cc
  StaticType CallTensorFunction(const FunctionInfo& function,
                                const Signature& signature, Span span,
                                const ArgumentBinding& binding,
                                const std::vector<Arg>& args);
  // Runs f, which may throw what lowering throws: an Error is reported at
  // `span`, NotKnown gives an unknown value.
  StaticType Lowered(Span span, const std::function<StaticType()>& f,
                     const std::function<std::string()>& hint = nullptr);
  static Lowering& Typing();  // gives types and no nodes
  std::optional<TensorRef> AsTensor(const StaticType& value);
  StaticType ListType(std::vector<StaticType> elements, size_t count);
  // The type as a function's body sees it; null where its rank is open.
  TensorRef DeclaredTensor(const TypeExpr& type, int dim_scope);
  void CheckFits(const StaticType& value, const TypeExpr& type, int dim_scope,
                 std::string_view what, Span span);

  // checker_model.cc
  StaticType LoadModel(const std::vector<Arg>& args,
                       const ArgumentBinding& binding);
  StaticType ModelMember(const StaticType& model, const MemberExpr& member);
  StaticType ModelIndex(const StaticType& model, const Expr& key);
  enum class Absence { kFault, kNone };
  StaticType ModelTensor(const StaticType& model, const std::string& name,
                         Span span, Absence absence);
  void NoteModelChange(const StaticType& changed, const Expr* key);

  void Report(Span span, std::string message, std::string hint = "") {
    diagnostics_.Error(span, std::move(message), std::move(hint));
  }

  const LoadedProgram& program_;
  const CheckOptions& options_;
  const Models models_;
  Diagnostics& diagnostics_;
  bool models_change_ = false;
  bool read_headers_ = false;

  std::vector<ModuleNames> modules_;
  ModuleNames* names_ = nullptr;    // of the module being checked
  ChangeCounts top_level_changes_;  // in the whole module
  std::unordered_set<std::string> changed_by_functions_;
  size_t depth_ = 0;  // of blocks; 0 at the top level

  std::vector<Variable> variables_;
  std::unordered_map<std::string, std::vector<size_t>> by_name_;
  std::unordered_set<std::string> ended_;  // names of blocks that ended
  // Of the blocks around the statement, also those further down.
  std::vector<std::string_view> local_functions_;
  std::vector<FunctionScope> functions_;
  int loops_ = 0;  // around the statement, outside of functions
  int next_dim_scope_ = 0;
  std::unordered_map<std::string, std::shared_ptr<const ModelFacts>> headers_;
};

}  // namespace tl
