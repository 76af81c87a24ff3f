// The grammar, a method per rule: parse_statement.cc, parse_expression.cc,
// parse_primary.cc, parse_type.cc and parse_later.cc hold the rules, parser.cc
// what they share.
// A rule that meets a fault reports it and throws SyntaxFault; Statement
// catches it and goes on after the faulty statement.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lang/ast.h"
#include "lang/diagnostics.h"
#include "lang/lexer.h"
#include "lang/source.h"

namespace tl {

struct SyntaxFault {};  // reported; this statement ends
struct ParsingEnds {};  // reported; nothing after it can be understood

class Parser {
 public:
  Parser(const Source& source, const LexedText& lexed, Diagnostics& diagnostics)
      : source_(source), lexed_(lexed), diagnostics_(diagnostics) {}

  SyntaxTree Run();
  // Whether the text ended where something was still expected.
  bool ended_early() const { return ended_early_; }

 private:
  // Counts how deep the rules have called each other, and begins a new count of
  // tree height, joined with the outer one at its end.
  class Nested {
   public:
    explicit Nested(Parser& parser);
    ~Nested();
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Parser& parser_;
    int outer_height_;
  };

  // An open bracket: inside `(` and `[` a newline does not count, inside `{` it
  // does.
  struct Open {
    Token token;
    bool newlines_counted;
  };

  // parser.cc: tokens.
  const Token& Next() const { return lexed_.tokens[at_]; }
  const Token& Previous() const { return lexed_.tokens[at_ - 1]; }
  const Token& Ahead(size_t count) const;
  TokenKind Kind() const { return Next().kind; }
  bool At(TokenKind kind) const { return Kind() == kind; }
  bool AtWord(std::string_view word) const;
  std::string_view TextOf(const Token& token) const;
  bool AtLineBreak() const { return newlines_count_ && Next().newline_before; }
  // Whether a statement may end before the next token.
  bool AtStatementEnd() const;
  Token Take();
  bool TakeIf(TokenKind kind);
  Token TakeExpected(TokenKind kind, std::string_view expected);
  Token TakeName(std::string_view expected);
  void OpenBracket(TokenKind kind, std::string_view expected);
  void CloseBracket(std::string_view expected);
  Span Since(Span begin) const { return Join(begin, Previous().span); }

  // parser.cc: faults.
  [[noreturn]] void Unexpected(std::string_view expected,
                               std::string hint = "");
  [[noreturn]] void Fault(Span span, std::string message,
                          std::string hint = "");
  [[noreturn]] void TooDeep();
  std::string Describe(const Token& token) const;
  // A line comment that stands right before the next token.
  std::optional<Span> LineCommentBefore() const;
  void SkipFaultyStatement(size_t open_before, size_t began_at);
  // The index of the token after the brackets that are open beyond
  // `open_before`, if they are closed before another statement begins.
  std::optional<size_t> AfterOpenBrackets(size_t open_before) const;

  // Every node comes from here, after its children.
  template <class T>
  std::unique_ptr<T> Make(Span span) {
    if (++height_ > kMaxTreeHeight) TooDeep();
    return std::make_unique<T>(span);
  }

  // parse_statement.cc
  StmtPtr Statement();  // null where a fault was reported
  StmtPtr StatementRule();
  StmtPtr NameStatement();  // one that begins with a name
  void EndStatement();
  StmtPtr LetRule();
  StmtPtr TensorRule();
  StmtPtr FunctionRule();
  StmtPtr ForRule();
  StmtPtr WhileRule();
  StmtPtr LoopRule();
  StmtPtr ReturnRule();
  StmtPtr ImportRule();
  StmtPtr MainRule();
  StmtPtr TestRule();
  StmtPtr ExpressionOrAssignment();
  StmtPtr AssignmentTo(ExprPtr target);
  StmtBlock BlockRule(std::string_view expected);
  std::vector<StmtPtr> Statements();
  void RequireTopLevel(std::string_view what);
  void WarnOfCommentAsQuotient();

  // parse_expression.cc
  ExprPtr Expression(int power = 0);
  ExprPtr Prefix();
  ExprPtr Infix(ExprPtr left);
  ExprPtr Comparison(ExprPtr left, Token op);
  ExprPtr Postfix(ExprPtr operand);
  std::vector<CallArgument> Arguments();
  ExprPtr CallRule(ExprPtr callee);
  ExprPtr MemberRule(ExprPtr object);
  ExprPtr IndexRule(ExprPtr object);
  Subscript SubscriptRule();

  // parse_primary.cc
  ExprPtr Primary();
  ExprPtr Constant();
  ExprPtr Parenthesised();
  ExprPtr Number(Token token, Span span);
  ExprPtr Name();
  ExprPtr TypedTensor();
  ExprPtr List();
  ExprPtr Map();
  void EndEntry(std::string_view expected);
  ExprPtr FunctionExpression();
  ExprPtr If();
  ExprPtr Match();
  MatchArm Arm();
  MatchPattern PatternRule();

  // parse_type.cc
  TypeExpr Type();
  void DimsOf(TypeExpr& type);
  DimExpr Dim();
  DimExpr DimProduct();
  DimExpr DimAtom();
  std::vector<ParamDecl> Parameters();
  void FinishFunction(FunctionDecl& function);
  std::optional<ElementType> FindElementType(const Token& token) const;

  // parse_later.cc: forms the language does not run yet.
  bool SkipLaterForm();  // true if the statement was one, and is reported
  std::string_view FindLaterForm() const;
  bool IsTensorEquation() const;
  size_t AfterBracket(size_t ahead) const;

  const Source& source_;
  const LexedText& lexed_;
  Diagnostics& diagnostics_;
  size_t at_ = 0;
  bool newlines_count_ = true;
  std::vector<Open> open_;
  int depth_ = 0;
  int height_ = 0;
  int block_depth_ = 0;
  bool ended_early_ = false;
  std::unordered_set<std::string> faulty_names_;
  std::optional<Span> main_;
};

}  // namespace tl
