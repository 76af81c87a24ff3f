// Forms that are known but not run yet: learn blocks, relations, facts, rules,
// queries, tensor equations, struct, impl and Python imports. Each is
// recognised in its full form only, so that its words stay free as names.
#include <fmt/format.h>

#include "lang/parse_rules.h"

namespace tl {

// How far ahead the token after the bracket is that opens `ahead` tokens from
// here; the end of the text if it stays open.
size_t Parser::AfterBracket(size_t ahead) const {
  size_t depth = 0;
  do {
    TokenKind kind = Ahead(ahead).kind;
    if (kind == TokenKind::kEnd) return ahead;
    if (kind == TokenKind::kLeftParen || kind == TokenKind::kLeftBracket ||
        kind == TokenKind::kLeftBrace) {
      ++depth;
    }
    if (kind == TokenKind::kRightParen || kind == TokenKind::kRightBracket ||
        kind == TokenKind::kRightBrace) {
      --depth;
    }
    ++ahead;
  } while (depth > 0);
  return ahead;
}

// `Y[i, k] = X[i, j] W[j, k]`: two factors with nothing between them.
bool Parser::IsTensorEquation() const {
  if (Ahead(1).kind != TokenKind::kLeftBracket) return false;
  size_t at = AfterBracket(1);
  if (Ahead(at).kind != TokenKind::kAssign ||
      Ahead(at + 1).kind != TokenKind::kName ||
      Ahead(at + 2).kind != TokenKind::kLeftBracket) {
    return false;
  }
  at = AfterBracket(at + 2);
  return Ahead(at).kind == TokenKind::kName && !Ahead(at).newline_before &&
         Ahead(at + 1).kind == TokenKind::kLeftBracket;
}

// What the statement is, if it is such a form; else "".
std::string_view Parser::FindLaterForm() const {
  if (!At(TokenKind::kName)) return "";
  std::string_view word = TextOf(Next());
  const Token& second = Ahead(1);
  if (second.kind == TokenKind::kLeftBrace) {
    return word == "learn" ? "'learn' blocks are" : "";
  }
  if (second.kind == TokenKind::kName && !second.newline_before) {
    if (word == "relation") return "relations are";
    if (word == "struct") return "'struct' is";
    if (word == "impl") return "'impl' is";
    if (word == "python" && TextOf(second) == "import") {
      return "Python imports are";
    }
    if (Ahead(2).kind != TokenKind::kLeftParen) return "";
    if (word == "fact") return "facts are";
    if (word == "rule") return "rules are";
    if (word == "query") return "queries are";
    return "";
  }
  if (IsTensorEquation()) return "tensor equations are";
  if (second.kind != TokenKind::kLeftParen) return "";
  size_t at = AfterBracket(1);
  const Token& after = Ahead(at);
  const Token& next = Ahead(at + 1);
  bool ends = next.kind == TokenKind::kEnd || next.newline_before;
  if (after.newline_before) return "";
  if (after.kind == TokenKind::kQuestion) return "queries are";
  if (after.kind == TokenKind::kDot && ends) return "facts are";
  bool arrow = after.kind == TokenKind::kLess &&
               next.kind == TokenKind::kMinus &&
               after.span.end == next.span.begin &&
               Ahead(at + 2).kind == TokenKind::kName;
  return arrow ? "rules are" : "";
}

bool Parser::SkipLaterForm() {
  std::string_view what = FindLaterForm();
  if (what.empty()) return false;
  diagnostics_.Error(Next().span, fmt::format("{} not supported yet", what));
  Take();
  while (!AtStatementEnd() || Previous().kind == TokenKind::kComma) {
    bool bracket = At(TokenKind::kLeftParen) || At(TokenKind::kLeftBracket) ||
                   At(TokenKind::kLeftBrace);
    size_t step = bracket ? AfterBracket(0) : 1;
    while (step-- > 0) Take();
    if (At(TokenKind::kEnd)) break;
  }
  return true;
}

}  // namespace tl
