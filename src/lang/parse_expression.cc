// Expressions, by binding power (tokens.def).
#include <fmt/format.h>

#include "lang/parse_rules.h"

namespace tl {
namespace {

// Where the prefix operators stand among the rows of tokens.def.
constexpr int kNotPower = 3;
constexpr int kUnaryPower = 9;

BinaryOp BinaryOf(TokenKind kind) {
  if (kind == TokenKind::kPlus) return BinaryOp::kAdd;
  if (kind == TokenKind::kMinus) return BinaryOp::kSubtract;
  if (kind == TokenKind::kStar) return BinaryOp::kMultiply;
  if (kind == TokenKind::kSlash) return BinaryOp::kDivide;
  if (kind == TokenKind::kPercent) return BinaryOp::kRemainder;
  if (kind == TokenKind::kAt) return BinaryOp::kMatmul;
  if (kind == TokenKind::kStarStar) return BinaryOp::kPower;
  if (kind == TokenKind::kLess) return BinaryOp::kLess;
  if (kind == TokenKind::kLessEqual) return BinaryOp::kLessEqual;
  if (kind == TokenKind::kGreater) return BinaryOp::kGreater;
  if (kind == TokenKind::kGreaterEqual) return BinaryOp::kGreaterEqual;
  if (kind == TokenKind::kEqualEqual) return BinaryOp::kEqual;
  if (kind == TokenKind::kNotEqual) return BinaryOp::kNotEqual;
  return BinaryOp::kIn;
}

bool IsWordToken(TokenKind kind) {
  std::string_view spelling = InfoOf(kind).spelling;
  return kind == TokenKind::kName ||
         (!spelling.empty() && WordKind(spelling) == kind);
}

}  // namespace

// Operators that bind tighter than `power`.
ExprPtr Parser::Expression(int power) {
  Nested nested(*this);
  ExprPtr left = Prefix();
  while (!AtLineBreak() && InfoOf(Kind()).power > power) {
    left = Infix(std::move(left));
  }
  return left;
}

ExprPtr Parser::Prefix() {
  Token op = Next();
  if (op.kind != TokenKind::kMinus && op.kind != TokenKind::kBang &&
      op.kind != TokenKind::kNot) {
    return Postfix(Primary());
  }
  Take();
  // The smallest int has no positive counterpart to negate.
  bool smallest_int = op.kind == TokenKind::kMinus && At(TokenKind::kInt) &&
                      TextOf(Next()) == "9223372036854775808" &&
                      Ahead(1).kind != TokenKind::kStarStar;
  if (smallest_int) {
    Token number = Take();
    return Number(number, Since(op.span));
  }
  ExprPtr operand =
      Expression(op.kind == TokenKind::kNot ? kNotPower : kUnaryPower);
  auto unary = Make<UnaryExpr>(Since(op.span));
  unary->op = op.kind == TokenKind::kMinus ? UnaryOp::kNegate : UnaryOp::kNot;
  unary->operand = std::move(operand);
  return unary;
}

ExprPtr Parser::Infix(ExprPtr left) {
  Token op = Take();
  Span begin = left->span;
  int power = InfoOf(op.kind).power;
  if (op.kind == TokenKind::kAs) {
    TypeExpr type = Type();
    auto cast = Make<CastExpr>(Since(begin));
    cast->operand = std::move(left);
    cast->type = std::move(type);
    return cast;
  }
  if (power == InfoOf(TokenKind::kLess).power) {
    return Comparison(std::move(left), op);
  }
  bool rightward = op.kind == TokenKind::kStarStar;
  ExprPtr right = Expression(rightward ? power - 1 : power);
  if (op.kind == TokenKind::kDotDot || op.kind == TokenKind::kDotDotEqual) {
    auto range = Make<RangeExpr>(Since(begin));
    range->low = std::move(left);
    range->high = std::move(right);
    range->inclusive = op.kind == TokenKind::kDotDotEqual;
    return range;
  }
  if (power <= InfoOf(TokenKind::kAnd).power) {
    auto logical = Make<LogicalExpr>(Since(begin));
    logical->op = power == InfoOf(TokenKind::kOr).power ? LogicalOp::kOr
                                                        : LogicalOp::kAnd;
    logical->left = std::move(left);
    logical->right = std::move(right);
    return logical;
  }
  auto binary = Make<BinaryExpr>(Since(begin));
  binary->op = BinaryOf(op.kind);
  binary->op_span = op.span;
  binary->left = std::move(left);
  binary->right = std::move(right);
  return binary;
}

ExprPtr Parser::Comparison(ExprPtr left, Token op) {
  int power = InfoOf(op.kind).power;
  Span begin = left->span;
  ExprPtr right = Expression(power);
  if (!AtLineBreak() && InfoOf(Kind()).power == power) {
    Fault(Next().span, "comparisons do not chain", "write 'a < b and b < c'");
  }
  auto binary = Make<BinaryExpr>(Since(begin));
  binary->op = BinaryOf(op.kind);
  binary->op_span = op.span;
  binary->left = std::move(left);
  binary->right = std::move(right);
  return binary;
}

// Calls, subscripts and members. A line that begins with `.name` goes on with
// the one before it.
ExprPtr Parser::Postfix(ExprPtr operand) {
  for (;;) {
    if (At(TokenKind::kDot)) {
      operand = MemberRule(std::move(operand));
    } else if (AtLineBreak()) {
      return operand;
    } else if (At(TokenKind::kLeftParen)) {
      operand = CallRule(std::move(operand));
    } else if (At(TokenKind::kLeftBracket)) {
      operand = IndexRule(std::move(operand));
    } else {
      return operand;
    }
  }
}

std::vector<CallArgument> Parser::Arguments() {
  std::vector<CallArgument> arguments;
  OpenBracket(TokenKind::kLeftParen, "'('");
  while (!At(TokenKind::kRightParen)) {
    CallArgument argument;
    Span begin = Next().span;
    if (IsWordToken(Kind()) && Ahead(1).kind == TokenKind::kColon) {
      argument.name = TextOf(Take());
      Take();
    } else if (!arguments.empty() && !arguments.back().name.empty()) {
      Unexpected("a named argument after another", "write 'name: value'");
    }
    argument.value = Expression();
    argument.span = Since(begin);
    arguments.push_back(std::move(argument));
    if (!TakeIf(TokenKind::kComma)) break;
  }
  CloseBracket("',' or ')'");
  return arguments;
}

ExprPtr Parser::CallRule(ExprPtr callee) {
  std::vector<CallArgument> arguments = Arguments();
  auto call = Make<CallExpr>(Since(callee->span));
  call->callee = std::move(callee);
  call->arguments = std::move(arguments);
  return call;
}

ExprPtr Parser::MemberRule(ExprPtr object) {
  Take();  // .
  if (!IsWordToken(Kind())) {
    bool number = (object->kind == ExprKind::kInt) && !At(TokenKind::kInvalid);
    Unexpected(number ? "a digit after the point" : "a member's name",
               number ? "a whole float is written '1.0'" : "");
  }
  Token name = Take();
  auto member = Make<MemberExpr>(Since(object->span));
  member->object = std::move(object);
  member->name = TextOf(name);
  member->name_span = name.span;
  return member;
}

ExprPtr Parser::IndexRule(ExprPtr object) {
  OpenBracket(TokenKind::kLeftBracket, "'['");
  std::vector<Subscript> subscripts;
  do {
    if (!subscripts.empty() && At(TokenKind::kRightBracket)) break;
    subscripts.push_back(SubscriptRule());
  } while (TakeIf(TokenKind::kComma));
  CloseBracket("',', ':' or ']'");
  auto index = Make<IndexExpr>(Since(object->span));
  index->object = std::move(object);
  index->subscripts = std::move(subscripts);
  return index;
}

Subscript Parser::SubscriptRule() {
  Subscript subscript;
  subscript.span = Next().span;
  if (TakeIf(TokenKind::kEllipsis)) {
    subscript.kind = SubscriptKind::kEllipsis;
    return subscript;
  }
  // `::` is two colons here: `x[::2]`.
  auto at_part = [this] {
    return !At(TokenKind::kColon) && !At(TokenKind::kColonColon) &&
           !At(TokenKind::kComma) && !At(TokenKind::kRightBracket);
  };
  ExprPtr first = At(TokenKind::kColon) || At(TokenKind::kColonColon)
                      ? nullptr
                      : Expression();
  if (!At(TokenKind::kColon) && !At(TokenKind::kColonColon)) {
    subscript.index = std::move(first);
    subscript.span = Since(subscript.span);
    return subscript;
  }
  subscript.kind = SubscriptKind::kSlice;
  subscript.begin = std::move(first);
  bool step_follows = Take().kind == TokenKind::kColonColon;
  if (!step_follows && at_part()) subscript.end = Expression();
  step_follows = step_follows || TakeIf(TokenKind::kColon);
  if (step_follows && at_part()) subscript.step = Expression();
  subscript.span = Since(subscript.span);
  return subscript;
}

}  // namespace tl
