#include "lang/ast_print.h"

#include <fmt/format.h>

#include "lang/binary_op.h"
#include "lang/type_names.h"

namespace tl {
namespace {

std::string_view Sign(AssignOp op) {
  switch (op) {
    case AssignOp::kAssign:
      return "=";
    case AssignOp::kRebind:
      return ":=";
    case AssignOp::kAdd:
      return "+=";
    case AssignOp::kSubtract:
      return "-=";
    case AssignOp::kMultiply:
      return "*=";
    case AssignOp::kDivide:
      return "/=";
  }
  return "";
}

std::string PrintBlock(const StmtBlock& block) {
  std::string text = "{";
  for (const StmtPtr& statement : block.statements) {
    if (text.size() > 1) text += ' ';
    text += Print(*statement);
  }
  return text + '}';
}

std::string PrintPart(const ExprPtr& part) { return part ? Print(*part) : "_"; }

std::string PrintArguments(const std::vector<CallArgument>& arguments) {
  std::string text;
  for (const CallArgument& argument : arguments) {
    text += ' ';
    if (!argument.name.empty()) text += argument.name + ':';
    text += Print(*argument.value);
  }
  return text;
}

std::string PrintFunction(const FunctionDecl& function) {
  std::string text;
  for (const ParamDecl& parameter : function.parameters) {
    if (!text.empty()) text += ' ';
    text += parameter.name;
    if (parameter.type.kind != TypeKind::kAny) {
      text += ": " + ToString(parameter.type);
    }
    if (parameter.default_value) {
      text += " = " + Print(*parameter.default_value);
    }
  }
  std::string result = function.result.kind == TypeKind::kAny
                           ? ""
                           : " -> " + ToString(function.result);
  return fmt::format("({}){} {}", text, result, PrintBlock(function.body));
}

std::string PrintSubscript(const Subscript& subscript) {
  switch (subscript.kind) {
    case SubscriptKind::kIndex:
      return Print(*subscript.index);
    case SubscriptKind::kSlice:
      return fmt::format("(: {} {} {})", PrintPart(subscript.begin),
                         PrintPart(subscript.end), PrintPart(subscript.step));
    case SubscriptKind::kEllipsis:
      return "...";
  }
  return "";
}

std::string PrintPattern(const MatchPattern& pattern) {
  switch (pattern.kind) {
    case PatternKind::kLiteral:
      return Print(*pattern.literal);
    case PatternKind::kBinding:
      return pattern.name;
    case PatternKind::kAny:
      return "_";
  }
  return "";
}

std::string PrintArm(const MatchArm& arm) {
  std::string text;
  for (const MatchPattern& pattern : arm.patterns) {
    if (!text.empty()) text += " | ";
    text += PrintPattern(pattern);
  }
  if (arm.guard) text += " if " + Print(*arm.guard);
  return fmt::format(" ({} => {})", text, PrintBlock(arm.body));
}

std::string PrintIf(const IfExpr& node) {
  std::string text = "(if";
  for (const IfBranch& branch : node.branches) {
    text += fmt::format(" {} {}", Print(*branch.condition),
                        PrintBlock(branch.body));
  }
  if (node.otherwise) text += " " + PrintBlock(*node.otherwise);
  return text + ')';
}

std::string PrintMatch(const MatchExpr& node) {
  std::string text = "(match " + Print(*node.subject);
  for (const MatchArm& arm : node.arms) text += PrintArm(arm);
  return text + ')';
}

std::string PrintList(const ListExpr& node) {
  std::string text = "(list";
  for (const ExprPtr& element : node.elements) text += " " + Print(*element);
  return text + ')';
}

std::string PrintMap(const MapExpr& node) {
  std::string text = "(map";
  for (const MapEntryExpr& entry : node.entries) {
    text += fmt::format(" ({} {})", Print(*entry.key), Print(*entry.value));
  }
  return text + ')';
}

std::string PrintIndex(const IndexExpr& node) {
  std::string text = "([] " + Print(*node.object);
  for (const Subscript& subscript : node.subscripts) {
    text += " " + PrintSubscript(subscript);
  }
  return text + ')';
}

std::string PrintTensor(const TensorStmt& node) {
  std::string text =
      fmt::format("(tensor {}: {}", node.name, ToString(node.type));
  if (node.learning == LearnFlag::kLearnable) text += " learnable";
  if (node.learning == LearnFlag::kFrozen) text += " frozen";
  if (node.value) text += " " + Print(*node.value);
  return text + ')';
}

}  // namespace

std::string Print(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNone:
      return "none";
    case ExprKind::kBool:
      return As<BoolExpr>(expr).value ? "true" : "false";
    case ExprKind::kInt:
      return fmt::format("{}", As<IntExpr>(expr).value);
    case ExprKind::kFloat:
      return fmt::format("{}", As<FloatExpr>(expr).value);
    case ExprKind::kString:
      return fmt::format("\"{}\"", As<StringExpr>(expr).value);
    case ExprKind::kName:
      return As<NameExpr>(expr).name;
    case ExprKind::kPath:
      return As<PathExpr>(expr).scope + "::" + As<PathExpr>(expr).name;
    case ExprKind::kList:
      return PrintList(As<ListExpr>(expr));
    case ExprKind::kMap:
      return PrintMap(As<MapExpr>(expr));
    case ExprKind::kUnary: {
      const auto& node = As<UnaryExpr>(expr);
      return fmt::format("({} {})", node.op == UnaryOp::kNot ? "not" : "-",
                         Print(*node.operand));
    }
    case ExprKind::kBinary: {
      const auto& node = As<BinaryExpr>(expr);
      return fmt::format("({} {} {})", SignOf(node.op), Print(*node.left),
                         Print(*node.right));
    }
    case ExprKind::kLogical: {
      const auto& node = As<LogicalExpr>(expr);
      return fmt::format("({} {} {})",
                         node.op == LogicalOp::kAnd ? "and" : "or",
                         Print(*node.left), Print(*node.right));
    }
    case ExprKind::kRange: {
      const auto& node = As<RangeExpr>(expr);
      return fmt::format("({} {} {})", node.inclusive ? "..=" : "..",
                         Print(*node.low), Print(*node.high));
    }
    case ExprKind::kCast: {
      const auto& node = As<CastExpr>(expr);
      return fmt::format("(as {} {})", Print(*node.operand),
                         ToString(node.type));
    }
    case ExprKind::kCall: {
      const auto& node = As<CallExpr>(expr);
      return fmt::format("(call {}{})", Print(*node.callee),
                         PrintArguments(node.arguments));
    }
    case ExprKind::kTensor: {
      const auto& node = As<TensorExpr>(expr);
      return fmt::format("(tensor<{}>{})", NameOf(node.element),
                         PrintArguments(node.arguments));
    }
    case ExprKind::kMember: {
      const auto& node = As<MemberExpr>(expr);
      return fmt::format("(. {} {})", Print(*node.object), node.name);
    }
    case ExprKind::kIndex:
      return PrintIndex(As<IndexExpr>(expr));
    case ExprKind::kFunction:
      return "(fn " + PrintFunction(As<FunctionExpr>(expr).function) + ')';
    case ExprKind::kIf:
      return PrintIf(As<IfExpr>(expr));
    case ExprKind::kMatch:
      return PrintMatch(As<MatchExpr>(expr));
  }
  return "";
}

std::string Print(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kLet: {
      const auto& node = As<LetStmt>(stmt);
      return fmt::format("(let {} {})", node.name, Print(*node.value));
    }
    case StmtKind::kAssign: {
      const auto& node = As<AssignStmt>(stmt);
      return fmt::format("({} {} {})", Sign(node.op), Print(*node.target),
                         Print(*node.value));
    }
    case StmtKind::kTensor:
      return PrintTensor(As<TensorStmt>(stmt));
    case StmtKind::kExpr:
      return Print(*As<ExprStmt>(stmt).value);
    case StmtKind::kFor: {
      const auto& node = As<ForStmt>(stmt);
      return fmt::format("(for {} {} {})", node.name, Print(*node.sequence),
                         PrintBlock(node.body));
    }
    case StmtKind::kWhile: {
      const auto& node = As<WhileStmt>(stmt);
      return fmt::format("(while {} {})", Print(*node.condition),
                         PrintBlock(node.body));
    }
    case StmtKind::kLoop:
      return fmt::format("(loop {})", PrintBlock(As<LoopStmt>(stmt).body));
    case StmtKind::kBreak:
      return "(break)";
    case StmtKind::kContinue:
      return "(continue)";
    case StmtKind::kReturn: {
      const auto& node = As<ReturnStmt>(stmt);
      return node.value ? fmt::format("(return {})", Print(*node.value))
                        : "(return)";
    }
    case StmtKind::kFunction: {
      const FunctionDecl& function = As<FunctionStmt>(stmt).function;
      return fmt::format("(function {} {})", function.name,
                         PrintFunction(function));
    }
    case StmtKind::kImport: {
      const auto& node = As<ImportStmt>(stmt);
      std::string path = node.module ? node.path : '"' + node.path + '"';
      return fmt::format("(import {})", path);
    }
    case StmtKind::kMain:
      return fmt::format("(main {})", PrintBlock(As<MainStmt>(stmt).body));
    case StmtKind::kTest: {
      const auto& node = As<TestStmt>(stmt);
      return fmt::format("(test \"{}\" {})", node.name, PrintBlock(node.body));
    }
  }
  return "";
}

std::string Print(const SyntaxTree& tree) {
  std::string text;
  for (const StmtPtr& statement : tree.statements) {
    text += Print(*statement) + '\n';
  }
  return text;
}

}  // namespace tl
