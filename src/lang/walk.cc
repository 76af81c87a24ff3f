#include "lang/walk.h"

#include <algorithm>
#include <string_view>

namespace tl {
namespace {

void VisitBlock(const StmtBlock& block, const ChildVisitor& visit) {
  for (const StmtPtr& statement : block.statements) visit.stmt(*statement);
}

void VisitIfAny(const ExprPtr& expr, const ChildVisitor& visit) {
  if (expr) visit.expr(*expr);
}

void VisitArguments(const std::vector<CallArgument>& arguments,
                    const ChildVisitor& visit) {
  for (const CallArgument& argument : arguments) visit.expr(*argument.value);
}

void VisitFunction(const FunctionDecl& function, const ChildVisitor& visit) {
  for (const ParamDecl& parameter : function.parameters) {
    VisitIfAny(parameter.default_value, visit);
  }
  VisitBlock(function.body, visit);
}

void VisitIf(const IfExpr& node, const ChildVisitor& visit) {
  for (const IfBranch& branch : node.branches) {
    visit.expr(*branch.condition);
    VisitBlock(branch.body, visit);
  }
  if (node.otherwise) VisitBlock(*node.otherwise, visit);
}

void VisitMatch(const MatchExpr& node, const ChildVisitor& visit) {
  visit.expr(*node.subject);
  for (const MatchArm& arm : node.arms) {
    VisitIfAny(arm.guard, visit);
    VisitBlock(arm.body, visit);
  }
}

void VisitIndex(const IndexExpr& node, const ChildVisitor& visit) {
  visit.expr(*node.object);
  for (const Subscript& subscript : node.subscripts) {
    VisitIfAny(subscript.index, visit);
    VisitIfAny(subscript.begin, visit);
    VisitIfAny(subscript.end, visit);
    VisitIfAny(subscript.step, visit);
  }
}

// The variable that `x`, `x[i]`, `x.a[i].b` begin with.
const NameExpr* RootOf(const Expr& place) {
  const Expr* at = &place;
  while (true) {
    if (const auto* name = FindAs<NameExpr>(*at)) return name;
    if (const auto* index = FindAs<IndexExpr>(*at)) {
      at = index->object.get();
    } else if (const auto* member = FindAs<MemberExpr>(*at)) {
      at = member->object.get();
    } else {
      return nullptr;
    }
  }
}

// Methods that change the variable they are called on.
bool ChangesItsVariable(std::string_view method) {
  for (std::string_view name :
       {"push", "append", "pop", "set", "clear", "remove"}) {
    if (method == name) return true;
  }
  return false;
}

ChildVisitor Counter(ChangeCounts& counts) {
  return {[&counts](const Expr& expr) { CountChanges(expr, counts); },
          [&counts](const Stmt& stmt) { CountChanges(stmt, counts); }};
}

// Follows the scopes of a function, to tell its own names from others.
class OuterChangeFinder {
 public:
  std::unordered_set<std::string> Find(const FunctionDecl& function) {
    Function(function);
    return std::move(changed_);
  }

 private:
  void Function(const FunctionDecl& function) {
    size_t before = declared_.size();
    for (const ParamDecl& parameter : function.parameters) {
      if (parameter.default_value) Look(*parameter.default_value);
      declared_.push_back(parameter.name);
    }
    Block(function.body);
    declared_.resize(before);
  }

  void Block(const StmtBlock& block) {
    size_t before = declared_.size();
    for (const StmtPtr& statement : block.statements) Look(*statement);
    declared_.resize(before);
  }

  void Changes(const Expr& place) {
    const NameExpr* root = RootOf(place);
    if (!root) return;
    bool own = std::find(declared_.begin(), declared_.end(), root->name) !=
               declared_.end();
    if (!own) changed_.insert(root->name);
  }

  void Look(const Stmt& stmt) {
    if (const auto* loop = FindAs<ForStmt>(stmt)) {
      Look(*loop->sequence);
      size_t before = declared_.size();
      declared_.push_back(loop->name);
      Block(loop->body);
      declared_.resize(before);
      return;
    }
    if (const auto* loop = FindAs<WhileStmt>(stmt)) {
      Look(*loop->condition);
      return Block(loop->body);
    }
    if (const auto* loop = FindAs<LoopStmt>(stmt)) return Block(loop->body);
    if (const auto* function = FindAs<FunctionStmt>(stmt)) {
      declared_.push_back(function->function.name);
      return Function(function->function);
    }
    ForEachChild(stmt, visitor_);
    if (const auto* assign = FindAs<AssignStmt>(stmt)) Changes(*assign->target);
    if (const auto* let = FindAs<LetStmt>(stmt)) declared_.push_back(let->name);
    if (const auto* tensor = FindAs<TensorStmt>(stmt)) {
      declared_.push_back(tensor->name);
    }
  }

  void Look(const Expr& expr) {
    if (const auto* function = FindAs<FunctionExpr>(expr)) {
      return Function(function->function);
    }
    if (const auto* node = FindAs<IfExpr>(expr)) {
      for (const IfBranch& branch : node->branches) {
        Look(*branch.condition);
        Block(branch.body);
      }
      if (node->otherwise) Block(*node->otherwise);
      return;
    }
    if (const auto* match = FindAs<MatchExpr>(expr)) {
      Look(*match->subject);
      for (const MatchArm& arm : match->arms) {
        size_t before = declared_.size();
        declared_.push_back(arm.patterns[0].name);
        if (arm.guard) Look(*arm.guard);
        Block(arm.body);
        declared_.resize(before);
      }
      return;
    }
    if (const auto* call = FindAs<CallExpr>(expr)) {
      const auto* method = FindAs<MemberExpr>(*call->callee);
      if (method && ChangesItsVariable(method->name)) Changes(*method->object);
    }
    ForEachChild(expr, visitor_);
  }

  ChildVisitor visitor_{[this](const Expr& expr) { Look(expr); },
                        [this](const Stmt& stmt) { Look(stmt); }};
  std::vector<std::string> declared_;
  std::unordered_set<std::string> changed_;
};

}  // namespace

void ForEachChild(const Expr& expr, const ChildVisitor& visit) {
  switch (expr.kind) {
    case ExprKind::kNone:
    case ExprKind::kBool:
    case ExprKind::kInt:
    case ExprKind::kFloat:
    case ExprKind::kString:
    case ExprKind::kName:
    case ExprKind::kPath:
      return;
    case ExprKind::kList:
      for (const ExprPtr& element : As<ListExpr>(expr).elements) {
        visit.expr(*element);
      }
      return;
    case ExprKind::kMap:
      for (const MapEntryExpr& entry : As<MapExpr>(expr).entries) {
        visit.expr(*entry.key);
        visit.expr(*entry.value);
      }
      return;
    case ExprKind::kUnary:
      return visit.expr(*As<UnaryExpr>(expr).operand);
    case ExprKind::kBinary:
      visit.expr(*As<BinaryExpr>(expr).left);
      return visit.expr(*As<BinaryExpr>(expr).right);
    case ExprKind::kLogical:
      visit.expr(*As<LogicalExpr>(expr).left);
      return visit.expr(*As<LogicalExpr>(expr).right);
    case ExprKind::kRange:
      visit.expr(*As<RangeExpr>(expr).low);
      return visit.expr(*As<RangeExpr>(expr).high);
    case ExprKind::kCast:
      return visit.expr(*As<CastExpr>(expr).operand);
    case ExprKind::kCall:
      visit.expr(*As<CallExpr>(expr).callee);
      return VisitArguments(As<CallExpr>(expr).arguments, visit);
    case ExprKind::kTensor:
      return VisitArguments(As<TensorExpr>(expr).arguments, visit);
    case ExprKind::kMember:
      return visit.expr(*As<MemberExpr>(expr).object);
    case ExprKind::kIndex:
      return VisitIndex(As<IndexExpr>(expr), visit);
    case ExprKind::kFunction:
      return VisitFunction(As<FunctionExpr>(expr).function, visit);
    case ExprKind::kIf:
      return VisitIf(As<IfExpr>(expr), visit);
    case ExprKind::kMatch:
      return VisitMatch(As<MatchExpr>(expr), visit);
  }
}

void ForEachChild(const Stmt& stmt, const ChildVisitor& visit) {
  switch (stmt.kind) {
    case StmtKind::kLet:
      return visit.expr(*As<LetStmt>(stmt).value);
    case StmtKind::kAssign:
      visit.expr(*As<AssignStmt>(stmt).target);
      return visit.expr(*As<AssignStmt>(stmt).value);
    case StmtKind::kTensor:
      return VisitIfAny(As<TensorStmt>(stmt).value, visit);
    case StmtKind::kExpr:
      return visit.expr(*As<ExprStmt>(stmt).value);
    case StmtKind::kFor:
      visit.expr(*As<ForStmt>(stmt).sequence);
      return VisitBlock(As<ForStmt>(stmt).body, visit);
    case StmtKind::kWhile:
      visit.expr(*As<WhileStmt>(stmt).condition);
      return VisitBlock(As<WhileStmt>(stmt).body, visit);
    case StmtKind::kLoop:
      return VisitBlock(As<LoopStmt>(stmt).body, visit);
    case StmtKind::kReturn:
      return VisitIfAny(As<ReturnStmt>(stmt).value, visit);
    case StmtKind::kFunction:
      return VisitFunction(As<FunctionStmt>(stmt).function, visit);
    case StmtKind::kMain:
      return VisitBlock(As<MainStmt>(stmt).body, visit);
    case StmtKind::kTest:
      return VisitBlock(As<TestStmt>(stmt).body, visit);
    case StmtKind::kBreak:
    case StmtKind::kContinue:
    case StmtKind::kImport:
      return;
  }
}

void CountChanges(const Stmt& stmt, ChangeCounts& counts) {
  if (const auto* assign = FindAs<AssignStmt>(stmt)) {
    if (const NameExpr* root = RootOf(*assign->target)) ++counts[root->name];
  }
  if (const auto* let = FindAs<LetStmt>(stmt)) ++counts[let->name];
  if (const auto* tensor = FindAs<TensorStmt>(stmt)) ++counts[tensor->name];
  if (const auto* loop = FindAs<ForStmt>(stmt)) ++counts[loop->name];
  ForEachChild(stmt, Counter(counts));
}

void CountChanges(const Expr& expr, ChangeCounts& counts) {
  if (const auto* call = FindAs<CallExpr>(expr)) {
    const auto* method = FindAs<MemberExpr>(*call->callee);
    if (method && ChangesItsVariable(method->name)) {
      if (const NameExpr* root = RootOf(*method->object)) ++counts[root->name];
    }
  }
  ForEachChild(expr, Counter(counts));
}

void CountChanges(const StmtBlock& block, ChangeCounts& counts) {
  for (const StmtPtr& statement : block.statements) {
    CountChanges(*statement, counts);
  }
}

std::unordered_set<std::string> OuterChanges(const FunctionDecl& function) {
  return OuterChangeFinder().Find(function);
}

}  // namespace tl
