// Expressions, by binding power (tokens.def).
#include <fmt/format.h>

#include <charconv>

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

ExprPtr Parser::Primary() {
  if (At(TokenKind::kName)) return Name();
  if (At(TokenKind::kLeftParen)) return Parenthesised();
  if (At(TokenKind::kLeftBracket)) return List();
  if (At(TokenKind::kLeftBrace)) return Map();
  if (At(TokenKind::kFunction) || At(TokenKind::kFn)) {
    return FunctionExpression();
  }
  if (At(TokenKind::kIf)) return If();
  if (At(TokenKind::kMatch)) return Match();
  return Constant();
}

ExprPtr Parser::Constant() {
  if (At(TokenKind::kInt) || At(TokenKind::kFloat)) {
    Token number = Take();
    return Number(number, number.span);
  }
  if (At(TokenKind::kString)) {
    auto string = Make<StringExpr>(Take().span);
    string->value = StringValue(TextOf(Previous()));
    return string;
  }
  if (At(TokenKind::kTrue) || At(TokenKind::kFalse)) {
    auto constant = Make<BoolExpr>(Take().span);
    constant->value = Previous().kind == TokenKind::kTrue;
    return constant;
  }
  if (At(TokenKind::kNone)) return Make<NoneExpr>(Take().span);
  Unexpected("an expression");
}

ExprPtr Parser::Parenthesised() {
  OpenBracket(TokenKind::kLeftParen, "'('");
  ExprPtr inner = Expression();
  CloseBracket("')'");
  return inner;
}

// The text of `span` without blanks: a number, or `-` and a number.
ExprPtr Parser::Number(Token token, Span span) {
  bool negative = span.begin != token.span.begin;
  std::string text = (negative ? "-" : "") + std::string(TextOf(token));
  const char* end = text.data() + text.size();
  if (token.kind == TokenKind::kFloat) {
    auto number = Make<FloatExpr>(span);
    auto read = std::from_chars(text.data(), end, number->value);
    if (read.ec == std::errc()) return number;
    Fault(span, "this number is outside the range of a 64-bit float");
  }
  auto number = Make<IntExpr>(span);
  auto read = std::from_chars(text.data(), end, number->value);
  if (read.ec == std::errc()) return number;
  Fault(span, "this number does not fit a 64-bit int",
        "a float is written with a point: '1.0' or '1e30'");
}

ExprPtr Parser::Name() {
  bool typed_tensor = AtWord("tensor") && Ahead(1).kind == TokenKind::kLess &&
                      FindElementType(Ahead(2)) &&
                      Ahead(3).kind == TokenKind::kGreater;
  if (typed_tensor) return TypedTensor();
  Token name = Take();
  if (!At(TokenKind::kColonColon)) {
    auto node = Make<NameExpr>(name.span);
    node->name = TextOf(name);
    return node;
  }
  Take();
  Token member = TakeName("a name after '::'");
  auto path = Make<PathExpr>(Since(name.span));
  path->scope = TextOf(name);
  path->name = TextOf(member);
  return path;
}

ExprPtr Parser::TypedTensor() {
  Span begin = Take().span;
  Take();
  ElementType element = *FindElementType(Take());
  Take();
  std::vector<CallArgument> arguments = Arguments();
  auto tensor = Make<TensorExpr>(Since(begin));
  tensor->element = element;
  tensor->arguments = std::move(arguments);
  return tensor;
}

ExprPtr Parser::List() {
  Span begin = Next().span;
  OpenBracket(TokenKind::kLeftBracket, "'['");
  std::vector<ExprPtr> elements;
  while (!At(TokenKind::kRightBracket)) {
    elements.push_back(Expression());
    if (!TakeIf(TokenKind::kComma)) break;
  }
  CloseBracket("',' or ']'");
  auto list = Make<ListExpr>(Since(begin));
  list->elements = std::move(elements);
  return list;
}

ExprPtr Parser::Map() {
  Span begin = Next().span;
  OpenBracket(TokenKind::kLeftBrace, "'{'");
  std::vector<MapEntryExpr> entries;
  while (!At(TokenKind::kRightBrace)) {
    MapEntryExpr entry;
    entry.key = Expression();
    TakeExpected(TokenKind::kColon, "':' between a key and its value");
    entry.value = Expression();
    entries.push_back(std::move(entry));
    EndEntry("',', a new line or '}'");
  }
  CloseBracket("'}'");
  auto map = Make<MapExpr>(Since(begin));
  map->entries = std::move(entries);
  return map;
}

// After a map entry or a match arm.
void Parser::EndEntry(std::string_view expected) {
  if (TakeIf(TokenKind::kComma) || AtLineBreak()) return;
  if (!At(TokenKind::kRightBrace)) Unexpected(expected);
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

ExprPtr Parser::FunctionExpression() {
  Span word = Take().span;
  FunctionDecl function;
  function.name_span = word;
  if (At(TokenKind::kName)) {
    Fault(Next().span, "a function inside an expression has no name",
          "write 'fn(x) { ... }'");
  }
  FinishFunction(function);
  auto expression = Make<FunctionExpr>(Since(word));
  expression->function = std::move(function);
  return expression;
}

ExprPtr Parser::If() {
  Span begin = Next().span;
  std::vector<IfBranch> branches;
  std::optional<StmtBlock> otherwise;
  do {
    Take();  // if
    IfBranch branch;
    branch.condition = Expression();
    if (At(TokenKind::kAssign)) {
      Unexpected("'{'", "equality is written '=='");
    }
    branch.body = BlockRule("'{'");
    branches.push_back(std::move(branch));
    if (!TakeIf(TokenKind::kElse)) break;
    if (!At(TokenKind::kIf)) {
      otherwise = BlockRule("'{' or 'if'");
      break;
    }
  } while (true);
  auto node = Make<IfExpr>(Since(begin));
  node->branches = std::move(branches);
  node->otherwise = std::move(otherwise);
  return node;
}

ExprPtr Parser::Match() {
  Span begin = Take().span;
  ExprPtr subject = Expression();
  std::vector<MatchArm> arms;
  OpenBracket(TokenKind::kLeftBrace, "'{'");
  while (!At(TokenKind::kRightBrace)) {
    arms.push_back(Arm());
    EndEntry("',', a new line or '}'");
  }
  CloseBracket("'}'");
  auto match = Make<MatchExpr>(Since(begin));
  match->subject = std::move(subject);
  match->arms = std::move(arms);
  return match;
}

MatchArm Parser::Arm() {
  Nested nested(*this);
  MatchArm arm;
  Span begin = Next().span;
  do {
    arm.patterns.push_back(PatternRule());
  } while (TakeIf(TokenKind::kBar));
  for (const MatchPattern& pattern : arm.patterns) {
    if (arm.patterns.size() == 1 || pattern.kind != PatternKind::kBinding) {
      continue;
    }
    Fault(pattern.span, fmt::format("'{}' names the value, so it stands alone",
                                    pattern.name));
  }
  if (TakeIf(TokenKind::kIf)) arm.guard = Expression();
  TakeExpected(TokenKind::kFatArrow, "'|', 'if' or '=>'");
  if (At(TokenKind::kLeftBrace)) {
    arm.body = BlockRule("'{'");
  } else {
    Span body = Next().span;
    ++block_depth_;
    arm.body.statements.push_back(StatementRule());
    --block_depth_;
    arm.body.span = Since(body);
  }
  arm.span = Since(begin);
  return arm;
}

MatchPattern Parser::PatternRule() {
  MatchPattern pattern;
  pattern.span = Next().span;
  if (At(TokenKind::kName)) {
    std::string_view name = TextOf(Take());
    if (name == "_") return pattern;
    pattern.kind = PatternKind::kBinding;
    pattern.name = name;
    return pattern;
  }
  pattern.kind = PatternKind::kLiteral;
  Token first = Next();
  bool number =
      At(TokenKind::kMinus) || At(TokenKind::kInt) || At(TokenKind::kFloat);
  bool constant = At(TokenKind::kString) || At(TokenKind::kTrue) ||
                  At(TokenKind::kFalse) || At(TokenKind::kNone);
  if (!number && !constant) {
    Unexpected(
        "a pattern: a number, a string, true, false, none, a name or "
        "'_'");
  }
  if (TakeIf(TokenKind::kMinus)) {
    if (!At(TokenKind::kInt) && !At(TokenKind::kFloat)) Unexpected("a number");
    Token last = Take();
    pattern.literal = Number(last, Since(first.span));
  } else {
    pattern.literal = Constant();
  }
  pattern.span = pattern.literal->span;
  return pattern;
}

}  // namespace tl
