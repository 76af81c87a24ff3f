#include "interp/shared_names.h"

#include <unordered_map>
#include <vector>

#include "interp/mutators.h"

namespace tl {
namespace {

// Within a function, names that the function itself declares are its own and
// not mentioned.
class NameWalk {
 public:
  NameSet names;
  bool assigns = false;

  void Block(const StmtBlock& block) {
    const size_t mark = own_.size();
    for (const StmtPtr& stmt : block.statements) Statement(*stmt);
    Forget(mark);
  }

  void Test(const StmtBlock& body) {  // compiled as a function of its own
    ++functions_around_;
    Block(body);
    --functions_around_;
  }

  void Statement(const Stmt& stmt);
  void Expression(const Expr& expr);

 private:
  void Maybe(const ExprPtr& expr) {
    if (expr) Expression(*expr);
  }
  void Mention(const std::string& name) {
    if (functions_around_ == 0) return;
    if (!own_count_.contains(name)) names.insert(name);
  }
  void Declare(const std::string& name) {
    if (functions_around_ == 0) return;
    own_.push_back(name);
    ++own_count_[name];
  }
  void Forget(size_t mark) {
    for (; own_.size() > mark; own_.pop_back()) {
      const auto count = own_count_.find(own_.back());
      if (--count->second == 0) own_count_.erase(count);
    }
  }
  void Function(const FunctionDecl& function);
  void CallOf(const CallExpr& call);
  void IndexOf(const IndexExpr& index);
  void MatchOf(const MatchExpr& match);
  void ForOf(const ForStmt& loop);

  int functions_around_ = 0;
  std::vector<std::string> own_;
  std::unordered_map<std::string, int> own_count_;
};

void NameWalk::Function(const FunctionDecl& function) {
  ++functions_around_;
  const size_t mark = own_.size();
  for (const ParamDecl& parameter : function.parameters) {
    Maybe(parameter.default_value);
    Declare(parameter.name);
  }
  Block(function.body);
  Forget(mark);
  --functions_around_;
}

void NameWalk::ForOf(const ForStmt& loop) {
  Expression(*loop.sequence);
  const size_t mark = own_.size();
  Declare(loop.name);
  Block(loop.body);
  Forget(mark);
}

void NameWalk::CallOf(const CallExpr& call) {
  if (const auto* member = FindAs<MemberExpr>(*call.callee)) {
    Mention(member->name);
    if (IsMutator(member->name)) assigns = true;
  }
  Expression(*call.callee);
  for (const CallArgument& argument : call.arguments) {
    Expression(*argument.value);
  }
}

void NameWalk::IndexOf(const IndexExpr& index) {
  Expression(*index.object);
  for (const Subscript& subscript : index.subscripts) {
    Maybe(subscript.index);
    Maybe(subscript.begin);
    Maybe(subscript.end);
    Maybe(subscript.step);
  }
}

void NameWalk::MatchOf(const MatchExpr& match) {
  assigns = true;
  Expression(*match.subject);
  for (const MatchArm& arm : match.arms) {
    Maybe(arm.guard);
    Block(arm.body);
  }
}

void NameWalk::Expression(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNone:
    case ExprKind::kBool:
    case ExprKind::kInt:
    case ExprKind::kFloat:
    case ExprKind::kString:
    case ExprKind::kPath:
      return;
    case ExprKind::kName:
      return Mention(As<NameExpr>(expr).name);
    case ExprKind::kList:
      for (const ExprPtr& element : As<ListExpr>(expr).elements) {
        Expression(*element);
      }
      return;
    case ExprKind::kMap:
      for (const MapEntryExpr& entry : As<MapExpr>(expr).entries) {
        Expression(*entry.key);
        Expression(*entry.value);
      }
      return;
    case ExprKind::kUnary:
      return Expression(*As<UnaryExpr>(expr).operand);
    case ExprKind::kBinary:
      Expression(*As<BinaryExpr>(expr).left);
      return Expression(*As<BinaryExpr>(expr).right);
    case ExprKind::kLogical:
      Expression(*As<LogicalExpr>(expr).left);
      return Expression(*As<LogicalExpr>(expr).right);
    case ExprKind::kRange:
      Expression(*As<RangeExpr>(expr).low);
      return Expression(*As<RangeExpr>(expr).high);
    case ExprKind::kCast:
      return Expression(*As<CastExpr>(expr).operand);
    case ExprKind::kCall:
      return CallOf(As<CallExpr>(expr));
    case ExprKind::kTensor:
      for (const CallArgument& argument : As<TensorExpr>(expr).arguments) {
        Expression(*argument.value);
      }
      return;
    case ExprKind::kMember:
      return Expression(*As<MemberExpr>(expr).object);
    case ExprKind::kIndex:
      return IndexOf(As<IndexExpr>(expr));
    case ExprKind::kFunction:
      return Function(As<FunctionExpr>(expr).function);
    case ExprKind::kIf:
      assigns = true;
      for (const IfBranch& branch : As<IfExpr>(expr).branches) {
        Expression(*branch.condition);
        Block(branch.body);
      }
      if (As<IfExpr>(expr).otherwise) Block(*As<IfExpr>(expr).otherwise);
      return;
    case ExprKind::kMatch:
      return MatchOf(As<MatchExpr>(expr));
  }
}

void NameWalk::Statement(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kLet:
      Maybe(As<LetStmt>(stmt).value);
      return Declare(As<LetStmt>(stmt).name);
    case StmtKind::kAssign:
      Expression(*As<AssignStmt>(stmt).target);
      return Expression(*As<AssignStmt>(stmt).value);
    case StmtKind::kTensor:
      Maybe(As<TensorStmt>(stmt).value);
      return Declare(As<TensorStmt>(stmt).name);
    case StmtKind::kExpr:
      return Expression(*As<ExprStmt>(stmt).value);
    case StmtKind::kFor:
      return ForOf(As<ForStmt>(stmt));
    case StmtKind::kWhile:
      Expression(*As<WhileStmt>(stmt).condition);
      return Block(As<WhileStmt>(stmt).body);
    case StmtKind::kLoop:
      return Block(As<LoopStmt>(stmt).body);
    case StmtKind::kReturn:
      return Maybe(As<ReturnStmt>(stmt).value);
    case StmtKind::kFunction:
      return Function(As<FunctionStmt>(stmt).function);
    case StmtKind::kMain:
      return Block(As<MainStmt>(stmt).body);
    case StmtKind::kTest:
      return Test(As<TestStmt>(stmt).body);
    case StmtKind::kBreak:
    case StmtKind::kContinue:
    case StmtKind::kImport:
      return;
  }
}

}  // namespace

NameSet NamesInFunctions(const StmtBlock& body) {
  NameWalk walk;
  walk.Block(body);
  return std::move(walk.names);
}

NameSet NamesInFunctions(const SyntaxTree& tree) {
  NameWalk walk;
  for (const StmtPtr& stmt : tree.statements) walk.Statement(*stmt);
  return std::move(walk.names);
}

bool MayAssign(const Expr& expr) {
  NameWalk walk;
  walk.Expression(expr);
  return walk.assigns;
}

}  // namespace tl
