// Statements, blocks, and going on after a faulty one.
#include <fmt/format.h>

#include "lang/parse_rules.h"

namespace tl {
namespace {

std::optional<AssignOp> AssignOpOf(TokenKind kind) {
  if (kind == TokenKind::kAssign) return AssignOp::kAssign;
  if (kind == TokenKind::kRebind) return AssignOp::kRebind;
  if (kind == TokenKind::kPlusAssign) return AssignOp::kAdd;
  if (kind == TokenKind::kMinusAssign) return AssignOp::kSubtract;
  if (kind == TokenKind::kStarAssign) return AssignOp::kMultiply;
  if (kind == TokenKind::kSlashAssign) return AssignOp::kDivide;
  return std::nullopt;
}

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

// To the `}` of the block or the end of the text.
std::vector<StmtPtr> Parser::Statements() {
  std::vector<StmtPtr> statements;
  while (!At(TokenKind::kRightBrace) && !At(TokenKind::kEnd)) {
    if (TakeIf(TokenKind::kSemicolon)) continue;
    if (StmtPtr statement = Statement()) {
      statements.push_back(std::move(statement));
    }
  }
  return statements;
}

StmtPtr Parser::Statement() {
  Nested nested(*this);
  size_t began_at = at_;
  size_t open_before = open_.size();
  int block_depth = block_depth_;
  try {
    if (SkipLaterForm()) return nullptr;
    StmtPtr statement = StatementRule();
    EndStatement();
    return statement;
  } catch (const SyntaxFault&) {
    if (diagnostics_.full()) throw ParsingEnds();
    block_depth_ = block_depth;
    SkipFaultyStatement(open_before, began_at);
    return nullptr;
  }
}

void Parser::EndStatement() {
  if (!AtStatementEnd()) {
    std::string hint;
    if (At(TokenKind::kFloat) && TextOf(Next())[0] == '.') {
      hint = "an element is written 'x[0]'";
    }
    if (At(TokenKind::kAssign)) hint = "an assignment is no expression";
    Unexpected("the end of the statement", std::move(hint));
  }
  WarnOfCommentAsQuotient();
  TakeIf(TokenKind::kSemicolon);
}

// `n // 2` is `n` and a comment; who wrote it meant a quotient.
void Parser::WarnOfCommentAsQuotient() {
  std::optional<Span> comment = LineCommentBefore();
  if (!comment) return;
  TokenKind before = Previous().kind;
  if (before != TokenKind::kName && before != TokenKind::kInt &&
      before != TokenKind::kRightParen && before != TokenKind::kRightBracket) {
    return;
  }
  std::string_view text = source_.Text(*comment).substr(2);
  size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return;
  text = text.substr(first, text.find_last_not_of(' ') + 1 - first);
  if (!IsDigits(text)) return;
  diagnostics_.Warning(*comment, "this is a comment",
                       "'//' begins a comment; an int quotient is written "
                       "'a / b'");
}

StmtPtr Parser::StatementRule() {
  if (At(TokenKind::kLet)) return LetRule();
  if (At(TokenKind::kFor)) return ForRule();
  if (At(TokenKind::kWhile)) return WhileRule();
  if (At(TokenKind::kLoop)) return LoopRule();
  if (At(TokenKind::kReturn)) return ReturnRule();
  if (At(TokenKind::kBreak)) return Make<BreakStmt>(Take().span);
  if (At(TokenKind::kContinue)) return Make<ContinueStmt>(Take().span);
  if (At(TokenKind::kElse)) {
    Fault(Next().span, "this 'else' belongs to no 'if'",
          "'else' follows the '}' of its 'if'");
  }
  bool function = At(TokenKind::kFunction) || At(TokenKind::kFn);
  if (function && Ahead(1).kind != TokenKind::kLeftParen) {
    return FunctionRule();
  }
  return At(TokenKind::kName) ? NameStatement() : ExpressionOrAssignment();
}

StmtPtr Parser::NameStatement() {
  std::string_view word = TextOf(Next());
  const Token& second = Ahead(1);
  bool same_line = !second.newline_before;
  if (word == "tensor" && second.kind == TokenKind::kName &&
      Ahead(2).kind == TokenKind::kColon) {
    return TensorRule();
  }
  if (word == "import" && same_line &&
      (second.kind == TokenKind::kString || second.kind == TokenKind::kName)) {
    return ImportRule();
  }
  if (word == "main" && second.kind == TokenKind::kLeftBrace) {
    return MainRule();
  }
  if (word == "test" && same_line && second.kind == TokenKind::kString) {
    return TestRule();
  }
  return ExpressionOrAssignment();
}

StmtPtr Parser::LetRule() {
  Span begin = Take().span;
  Token name = TakeName("a name after 'let'");
  if (At(TokenKind::kColon)) {
    Unexpected("'='",
               "a tensor of a checked type is written 'tensor x: "
               "float16[2, 3] = ...'");
  }
  if (!TakeIf(TokenKind::kRebind)) TakeExpected(TokenKind::kAssign, "'='");
  ExprPtr value = Expression();
  auto let = Make<LetStmt>(Since(begin));
  let->name = TextOf(name);
  let->name_span = name.span;
  let->value = std::move(value);
  return let;
}

StmtPtr Parser::TensorRule() {
  Span begin = Take().span;
  Token name = Take();
  Take();  // :
  TypeExpr type = Type();
  if (type.kind != TypeKind::kElementTensor) {
    Fault(type.span, "a declared tensor has an element type and dims",
          "write 'float16[2, 3]'");
  }
  LearnFlag learning = LearnFlag::kUnsaid;
  if (AtWord("learnable") || AtWord("frozen")) {
    learning =
        TextOf(Take()) == "frozen" ? LearnFlag::kFrozen : LearnFlag::kLearnable;
  }
  ExprPtr value;
  if (TakeIf(TokenKind::kAssign)) value = Expression();
  auto tensor = Make<TensorStmt>(Since(begin));
  tensor->name = TextOf(name);
  tensor->name_span = name.span;
  tensor->type = std::move(type);
  tensor->learning = learning;
  tensor->value = std::move(value);
  return tensor;
}

StmtPtr Parser::FunctionRule() {
  Span begin = Take().span;
  FunctionDecl function;
  Token name = TakeName("a function's name or '('");
  function.name = TextOf(name);
  function.name_span = name.span;
  FinishFunction(function);
  auto statement = Make<FunctionStmt>(Since(begin));
  statement->function = std::move(function);
  return statement;
}

StmtPtr Parser::ForRule() {
  Span begin = Take().span;
  Token name = TakeName("a name after 'for'");
  TakeExpected(TokenKind::kIn, "'in'");
  ExprPtr sequence = Expression();
  StmtBlock body = BlockRule("'{'");
  auto loop = Make<ForStmt>(Since(begin));
  loop->name = TextOf(name);
  loop->name_span = name.span;
  loop->sequence = std::move(sequence);
  loop->body = std::move(body);
  return loop;
}

StmtPtr Parser::WhileRule() {
  Span begin = Take().span;
  ExprPtr condition = Expression();
  StmtBlock body = BlockRule("'{'");
  auto loop = Make<WhileStmt>(Since(begin));
  loop->condition = std::move(condition);
  loop->body = std::move(body);
  return loop;
}

StmtPtr Parser::LoopRule() {
  Span begin = Take().span;
  StmtBlock body = BlockRule("'{'");
  auto loop = Make<LoopStmt>(Since(begin));
  loop->body = std::move(body);
  return loop;
}

StmtPtr Parser::ReturnRule() {
  Span begin = Take().span;
  ExprPtr value;
  // A comma ends the match arm that `return` is the body of.
  if (!AtStatementEnd() && !At(TokenKind::kComma)) value = Expression();
  auto statement = Make<ReturnStmt>(Since(begin));
  statement->value = std::move(value);
  return statement;
}

void Parser::RequireTopLevel(std::string_view what) {
  if (block_depth_ == 0) return;
  Fault(Next().span,
        fmt::format("{} stands only at the top level of a file", what));
}

StmtPtr Parser::ImportRule() {
  RequireTopLevel("'import'");
  Span begin = Take().span;
  Token first = Take();
  bool module = first.kind == TokenKind::kName;
  while (module && TakeIf(TokenKind::kDot)) TakeName("a module's name");
  Span path_span = Since(first.span);
  auto import = Make<ImportStmt>(Since(begin));
  import->module = module;
  import->path_span = path_span;
  import->path = module ? std::string(source_.Text(path_span))
                        : StringValue(TextOf(first));
  return import;
}

StmtPtr Parser::MainRule() {
  RequireTopLevel("'main'");
  Span begin = Take().span;
  if (main_) {
    diagnostics_.Error(begin, "a second 'main'; a file has one");
    diagnostics_.Note(*main_, "the first stands here");
  }
  main_ = begin;
  StmtBlock body = BlockRule("'{'");
  auto statement = Make<MainStmt>(Since(begin));
  statement->body = std::move(body);
  return statement;
}

StmtPtr Parser::TestRule() {
  RequireTopLevel("'test'");
  Span begin = Take().span;
  std::string name = StringValue(TextOf(Take()));
  StmtBlock body = BlockRule("'{'");
  auto test = Make<TestStmt>(Since(begin));
  test->name = std::move(name);
  test->body = std::move(body);
  return test;
}

StmtPtr Parser::ExpressionOrAssignment() {
  ExprPtr value = Expression();
  if (AssignOpOf(Kind()) && !AtLineBreak()) {
    return AssignmentTo(std::move(value));
  }
  auto statement = Make<ExprStmt>(value->span);
  statement->value = std::move(value);
  return statement;
}

StmtPtr Parser::AssignmentTo(ExprPtr target) {
  if (target->kind != ExprKind::kName && target->kind != ExprKind::kIndex &&
      target->kind != ExprKind::kMember) {
    Fault(target->span,
          "this cannot be assigned to; expected a name, 'x[i]' or 'x.name'",
          Next().kind == TokenKind::kAssign ? "equality is written '=='" : "");
  }
  AssignOp op = *AssignOpOf(Take().kind);
  ExprPtr value = Expression();
  auto assign = Make<AssignStmt>(Since(target->span));
  assign->target = std::move(target);
  assign->op = op;
  assign->value = std::move(value);
  return assign;
}

StmtBlock Parser::BlockRule(std::string_view expected) {
  StmtBlock block;
  Span begin = Next().span;
  OpenBracket(TokenKind::kLeftBrace, expected);
  ++block_depth_;
  block.statements = Statements();
  --block_depth_;
  CloseBracket("'}'");
  block.span = Since(begin);
  return block;
}

}  // namespace tl
