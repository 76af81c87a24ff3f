// Expressions that stand for themselves: constants, names, lists, maps,
// functions, `if` and `match`.
#include <fmt/format.h>

#include <charconv>

#include "lang/parse_rules.h"

namespace tl {

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
  // An '=' that begins the program comes after nothing.
  bool compound = at_ > 0 && At(TokenKind::kAssign) &&
                  (Previous().kind == TokenKind::kPercent ||
                   Previous().kind == TokenKind::kStarStar);
  Unexpected("an expression",
             compound ? fmt::format("there is no '{0}='; write 'x = x {0} y'",
                                    TextOf(Previous()))
                      : "");
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
  // `x[a::c]` is a slice, `x[IntVec::new()]` a call.
  bool in_index = !open_.empty() &&
                  open_.back().token.kind == TokenKind::kLeftBracket;
  bool step = in_index && !(Ahead(1).kind == TokenKind::kName &&
                            Ahead(2).kind == TokenKind::kLeftParen);
  if (!At(TokenKind::kColonColon) || step) {
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
