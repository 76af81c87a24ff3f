// Types, dims and the heads of functions.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lang/parse_rules.h"
#include "lang/type_names.h"

namespace tl {

std::optional<ElementType> Parser::FindElementType(const Token& token) const {
  if (token.kind != TokenKind::kName) return std::nullopt;
  return FindElement(TextOf(token));
}

TypeExpr Parser::Type() {
  Token word = TakeName("a type");
  TypeExpr type;
  type.span = word.span;
  if (std::optional<ElementType> element = FindElementType(word)) {
    type.kind = TypeKind::kElementTensor;
    type.element = *element;
    type.leading_any = true;
    if (At(TokenKind::kLeftBracket) && !AtLineBreak()) DimsOf(type);
    return type;
  }
  std::optional<TypeKind> kind = FindType(TextOf(word));
  if (!kind) {
    std::vector<std::string_view> names = TypeNames();
    std::string nearest = NearestName(TextOf(word), names);
    Fault(word.span,
          fmt::format("{} is not a type; expected float16[...], Tensor, int, "
                      "float, bool, string, list, map, Model, Cache, "
                      "Tokenizer or Function",
                      Describe(word)),
          nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
  }
  type.kind = *kind;
  return type;
}

void Parser::DimsOf(TypeExpr& type) {
  OpenBracket(TokenKind::kLeftBracket, "'['");
  type.leading_any = TakeIf(TokenKind::kEllipsis);
  if (type.leading_any && !At(TokenKind::kRightBracket)) {
    TakeExpected(TokenKind::kComma, "',' or ']'");
  }
  while (!At(TokenKind::kRightBracket)) {
    if (At(TokenKind::kEllipsis)) {
      Fault(Next().span, "'...' stands only before all other dims");
    }
    type.dims.push_back(Dim());
    if (!TakeIf(TokenKind::kComma)) break;
  }
  CloseBracket("',' or ']'");
  type.span = Since(type.span);
}

// Parts of a sum or product; one part stands for itself.
DimExpr Parser::Dim() {
  Nested nested(*this);
  DimExpr dim;
  dim.kind = DimKind::kSum;
  Span begin = Next().span;
  do {
    dim.parts.push_back(DimProduct());
  } while (TakeIf(TokenKind::kPlus));
  if (dim.parts.size() == 1) return DimExpr(std::move(dim.parts[0]));
  dim.span = Since(begin);
  return dim;
}

DimExpr Parser::DimProduct() {
  DimExpr dim;
  dim.kind = DimKind::kProduct;
  Span begin = Next().span;
  do {
    dim.parts.push_back(DimAtom());
  } while (TakeIf(TokenKind::kStar));
  if (dim.parts.size() == 1) return DimExpr(std::move(dim.parts[0]));
  dim.span = Since(begin);
  return dim;
}

DimExpr Parser::DimAtom() {
  if (At(TokenKind::kLeftParen)) {
    OpenBracket(TokenKind::kLeftParen, "'('");
    DimExpr dim = Dim();
    CloseBracket("'+', '*' or ')'");
    return dim;
  }
  DimExpr dim;
  dim.span = Next().span;
  if (TakeIf(TokenKind::kQuestion)) return dim;
  if (At(TokenKind::kInt)) {
    ExprPtr number = Number(Take(), dim.span);
    dim.kind = DimKind::kNumber;
    dim.value = As<IntExpr>(*number).value;
    return dim;
  }
  dim.kind = DimKind::kName;
  dim.name = TextOf(TakeName("a dim: a number, a name, '?' or '...'"));
  return dim;
}

std::vector<ParamDecl> Parser::Parameters() {
  std::vector<ParamDecl> parameters;
  OpenBracket(TokenKind::kLeftParen, "'('");
  while (!At(TokenKind::kRightParen)) {
    ParamDecl parameter;
    Token name = TakeName("a parameter's name or ')'");
    parameter.name = TextOf(name);
    parameter.span = name.span;
    for (const ParamDecl& other : parameters) {
      if (other.name != parameter.name) continue;
      Fault(name.span,
            fmt::format("two parameters are named '{}'", parameter.name));
    }
    if (TakeIf(TokenKind::kColon)) parameter.type = Type();
    if (TakeIf(TokenKind::kAssign)) {
      parameter.default_value = Expression();
    } else if (!parameters.empty() && parameters.back().default_value) {
      Fault(name.span,
            fmt::format("'{}' has no default but stands after '{}', which has "
                        "one",
                        parameter.name, parameters.back().name));
    }
    parameters.push_back(std::move(parameter));
    if (!TakeIf(TokenKind::kComma)) break;
  }
  CloseBracket("',' or ')'");
  return parameters;
}

// From `(` to the end of the body.
void Parser::FinishFunction(FunctionDecl& function) {
  function.parameters = Parameters();
  if (TakeIf(TokenKind::kArrow)) function.result = Type();
  function.body = BlockRule("'->' or '{'");
}

}  // namespace tl
