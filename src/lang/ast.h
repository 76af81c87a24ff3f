// The syntax tree: what a program says, before any name is resolved.
// The kinds are closed: a walk is a `switch` over `kind` without `default` and
// As<CallExpr>(expr) inside each case. Every node has a span. No tree is taller
// than kMaxTreeHeight, so walking one (and freeing it) may recurse.
// The tree holds no pointer into the text: it may outlive its Source.
// Read next: parser.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "lang/source.h"

namespace tl {

// Nobody nests this deeply, and a recursive walk of this height fits in the
// stack even with the wide frames of a sanitizer build.
inline constexpr int kMaxTreeHeight = 1000;

// --- Types -----------------------------------------------------------------

enum class ElementType { kFloat16, kFloat32, kInt32 };

enum class DimKind {
  kNumber,   // value
  kName,     // name
  kSum,      // parts
  kProduct,  // parts
  kAny,      // ?
};

struct DimExpr {
  DimKind kind = DimKind::kAny;
  Span span;
  int64_t value = 0;
  std::string name;
  std::vector<DimExpr> parts;
};

enum class TypeKind {
  kAny,            // no type written
  kElementTensor,  // float16[2, N]: element, leading_any, dims
  kTensor,         // Tensor
  kInt,
  kFloat,
  kBool,
  kString,
  kList,
  kMap,
  kModel,
  kCache,
  kTokenizer,
  kFunction,
  kVoid,  // only as a return type
};

struct TypeExpr {
  TypeKind kind = TypeKind::kAny;
  Span span;
  ElementType element = ElementType::kFloat16;
  bool leading_any = false;  // float16[..., D]; also float16 without dims
  std::vector<DimExpr> dims;
};

// --- Nodes -----------------------------------------------------------------

enum class ExprKind {
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kName,
  kPath,
  kList,
  kMap,
  kUnary,
  kBinary,
  kLogical,
  kRange,
  kCast,
  kCall,
  kTensor,
  kMember,
  kIndex,
  kFunction,
  kIf,
  kMatch,
};

enum class StmtKind {
  kLet,
  kAssign,
  kTensor,
  kExpr,
  kFor,
  kWhile,
  kLoop,
  kBreak,
  kContinue,
  kReturn,
  kFunction,
  kImport,
  kMain,
  kTest,
};

struct Expr {
  Expr(ExprKind kind, Span span) : kind(kind), span(span) {}
  virtual ~Expr() = default;

  const ExprKind kind;
  Span span;
};

struct Stmt {
  Stmt(StmtKind kind, Span span) : kind(kind), span(span) {}
  virtual ~Stmt() = default;

  const StmtKind kind;
  Span span;
};

using ExprPtr = std::unique_ptr<Expr>;
using StmtPtr = std::unique_ptr<Stmt>;

// Every concrete node derives from one of these two, which tie a struct to its
// kind.
template <ExprKind k>
struct ExprOf : Expr {
  static constexpr ExprKind kKind = k;
  explicit ExprOf(Span span) : Expr(k, span) {}
};

template <StmtKind k>
struct StmtOf : Stmt {
  static constexpr StmtKind kKind = k;
  explicit StmtOf(Span span) : Stmt(k, span) {}
};

// Null if the node is of another kind.
template <class T, class Node>
const T* FindAs(const Node& node) {
  return node.kind == T::kKind ? static_cast<const T*>(&node) : nullptr;
}

// The node is known to be of kind T (inside a case of a switch).
template <class T, class Node>
const T& As(const Node& node) {
  return static_cast<const T&>(node);
}

// `{ ... }`. Its value is that of its last statement if this is an ExprStmt.
struct StmtBlock {
  Span span;
  std::vector<StmtPtr> statements;
};

struct ParamDecl {
  std::string name;
  Span span;  // of the name
  TypeExpr type;
  ExprPtr default_value;  // null if required
};

// Shared by `function f(...) { }` and `fn(...) { }`.
struct FunctionDecl {
  std::string name;  // empty for an expression
  Span name_span;    // of the word `fn` for an expression
  std::vector<ParamDecl> parameters;
  TypeExpr result;
  StmtBlock body;
};

// --- Expressions -----------------------------------------------------------

struct NoneExpr : ExprOf<ExprKind::kNone> {
  using ExprOf::ExprOf;
};

struct BoolExpr : ExprOf<ExprKind::kBool> {
  using ExprOf::ExprOf;
  bool value = false;
};

struct IntExpr : ExprOf<ExprKind::kInt> {
  using ExprOf::ExprOf;
  int64_t value = 0;
};

struct FloatExpr : ExprOf<ExprKind::kFloat> {
  using ExprOf::ExprOf;
  double value = 0;
};

struct StringExpr : ExprOf<ExprKind::kString> {
  using ExprOf::ExprOf;
  std::string value;  // escapes resolved
};

struct NameExpr : ExprOf<ExprKind::kName> {
  using ExprOf::ExprOf;
  std::string name;
};

// `f16::zeros`, `IntVec::new`.
struct PathExpr : ExprOf<ExprKind::kPath> {
  using ExprOf::ExprOf;
  std::string scope;
  std::string name;
};

struct ListExpr : ExprOf<ExprKind::kList> {
  using ExprOf::ExprOf;
  std::vector<ExprPtr> elements;
};

struct MapEntryExpr {
  ExprPtr key;
  ExprPtr value;
};

struct MapExpr : ExprOf<ExprKind::kMap> {
  using ExprOf::ExprOf;
  std::vector<MapEntryExpr> entries;
};

enum class UnaryOp { kNegate, kNot };  // `!` and `not` are both kNot

struct UnaryExpr : ExprOf<ExprKind::kUnary> {
  using ExprOf::ExprOf;
  UnaryOp op = UnaryOp::kNegate;
  ExprPtr operand;
};

enum class BinaryOp {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRemainder,
  kMatmul,
  kPower,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kEqual,
  kNotEqual,
  kIn,
};

struct BinaryExpr : ExprOf<ExprKind::kBinary> {
  using ExprOf::ExprOf;
  BinaryOp op = BinaryOp::kAdd;
  Span op_span;
  ExprPtr left;
  ExprPtr right;
};

enum class LogicalOp { kAnd, kOr };

struct LogicalExpr : ExprOf<ExprKind::kLogical> {
  using ExprOf::ExprOf;
  LogicalOp op = LogicalOp::kAnd;
  ExprPtr left;
  ExprPtr right;
};

// `low..high`, `low..=high`.
struct RangeExpr : ExprOf<ExprKind::kRange> {
  using ExprOf::ExprOf;
  ExprPtr low;
  ExprPtr high;
  bool inclusive = false;
};

// `operand as type`.
struct CastExpr : ExprOf<ExprKind::kCast> {
  using ExprOf::ExprOf;
  ExprPtr operand;
  TypeExpr type;
};

struct CallArgument {
  std::string name;  // empty if positional; named ones come last
  Span span;         // with the name
  ExprPtr value;
};

// A method call is a call whose callee is a MemberExpr.
struct CallExpr : ExprOf<ExprKind::kCall> {
  using ExprOf::ExprOf;
  ExprPtr callee;
  std::vector<CallArgument> arguments;
};

// `tensor<float16>(arguments)`; without `<...>` it is a call of `tensor`.
struct TensorExpr : ExprOf<ExprKind::kTensor> {
  using ExprOf::ExprOf;
  ElementType element = ElementType::kFloat16;
  std::vector<CallArgument> arguments;
};

struct MemberExpr : ExprOf<ExprKind::kMember> {
  using ExprOf::ExprOf;
  ExprPtr object;
  std::string name;
  Span name_span;
};

enum class SubscriptKind {
  kIndex,     // index
  kSlice,     // begin : end : step, each may be null
  kEllipsis,  // ...
};

struct Subscript {
  SubscriptKind kind = SubscriptKind::kIndex;
  Span span;
  ExprPtr index;
  ExprPtr begin;
  ExprPtr end;
  ExprPtr step;
};

struct IndexExpr : ExprOf<ExprKind::kIndex> {
  using ExprOf::ExprOf;
  ExprPtr object;
  std::vector<Subscript> subscripts;  // at least one
};

// `fn(x) { }`: shares the variables around it.
struct FunctionExpr : ExprOf<ExprKind::kFunction> {
  using ExprOf::ExprOf;
  FunctionDecl function;
};

struct IfBranch {
  ExprPtr condition;
  StmtBlock body;
};

// As a statement it stands in an ExprStmt.
struct IfExpr : ExprOf<ExprKind::kIf> {
  using ExprOf::ExprOf;
  std::vector<IfBranch> branches;  // `if`, then each `else if`
  std::optional<StmtBlock> otherwise;
};

enum class PatternKind {
  kLiteral,  // literal: a (negated) number, a string, true, false, none
  kBinding,  // name: matches anything, and names it in guard and body
  kAny,      // _
};

struct MatchPattern {
  PatternKind kind = PatternKind::kAny;
  Span span;
  ExprPtr literal;
  std::string name;
};

struct MatchArm {
  Span span;
  std::vector<MatchPattern> patterns;  // `1 | 2`; a binding stands alone
  ExprPtr guard;                       // null if none
  StmtBlock body;  // `=> statement` is a block of one statement
};

// As a statement it stands in an ExprStmt.
struct MatchExpr : ExprOf<ExprKind::kMatch> {
  using ExprOf::ExprOf;
  ExprPtr subject;
  std::vector<MatchArm> arms;
};

// --- Statements ------------------------------------------------------------

struct LetStmt : StmtOf<StmtKind::kLet> {
  using StmtOf::StmtOf;
  std::string name;
  Span name_span;
  ExprPtr value;
};

enum class AssignOp {
  kAssign,    // =   warned about where it reaches out of a function
  kRebind,    // :=  the same, and meant
  kAdd,       // +=
  kSubtract,  // -=
  kMultiply,  // *=
  kDivide,    // /=
};

struct AssignStmt : StmtOf<StmtKind::kAssign> {
  using StmtOf::StmtOf;
  ExprPtr target;  // a NameExpr, IndexExpr or MemberExpr
  AssignOp op = AssignOp::kAssign;
  ExprPtr value;
};

enum class LearnFlag { kUnsaid, kLearnable, kFrozen };

// `tensor w: float16[2, 3] learnable = value`.
struct TensorStmt : StmtOf<StmtKind::kTensor> {
  using StmtOf::StmtOf;
  std::string name;
  Span name_span;
  TypeExpr type;  // kElementTensor
  LearnFlag learning = LearnFlag::kUnsaid;
  ExprPtr value;  // null means zeros
};

struct ExprStmt : StmtOf<StmtKind::kExpr> {
  using StmtOf::StmtOf;
  ExprPtr value;
};

struct ForStmt : StmtOf<StmtKind::kFor> {
  using StmtOf::StmtOf;
  std::string name;
  Span name_span;
  ExprPtr sequence;
  StmtBlock body;
};

struct WhileStmt : StmtOf<StmtKind::kWhile> {
  using StmtOf::StmtOf;
  ExprPtr condition;
  StmtBlock body;
};

struct LoopStmt : StmtOf<StmtKind::kLoop> {
  using StmtOf::StmtOf;
  StmtBlock body;
};

struct BreakStmt : StmtOf<StmtKind::kBreak> {
  using StmtOf::StmtOf;
};

struct ContinueStmt : StmtOf<StmtKind::kContinue> {
  using StmtOf::StmtOf;
};

struct ReturnStmt : StmtOf<StmtKind::kReturn> {
  using StmtOf::StmtOf;
  ExprPtr value;  // null if none
};

struct FunctionStmt : StmtOf<StmtKind::kFunction> {
  using StmtOf::StmtOf;
  FunctionDecl function;
};

// `import "path.tl"` or `import std.llama`; only at the top level.
struct ImportStmt : StmtOf<StmtKind::kImport> {
  using StmtOf::StmtOf;
  std::string path;  // "path.tl", or "std.llama" if `module`
  Span path_span;
  bool module = false;
};

// Only at the top level, at most once.
struct MainStmt : StmtOf<StmtKind::kMain> {
  using StmtOf::StmtOf;
  StmtBlock body;
};

// Only at the top level.
struct TestStmt : StmtOf<StmtKind::kTest> {
  using StmtOf::StmtOf;
  std::string name;
  StmtBlock body;
};

// One source, parsed.
struct SyntaxTree {
  uint32_t source = 0;
  std::vector<StmtPtr> statements;
  // Names in statements that were left out for their faults: some of them may
  // be declared there.
  std::unordered_set<std::string> faulty_names;
  bool ends_early = false;  // nothing after some fault could be understood
};

}  // namespace tl
