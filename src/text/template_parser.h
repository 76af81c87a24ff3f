// Parses the part of Jinja that chat templates use. What is known and not
// supported (include, call, ...) is an error that names it. Expressions are
// template_expression.cc, statements template_parser.cc.
#pragma once

#include <string_view>
#include <vector>

#include "text/template_ast.h"
#include "text/template_lexer.h"

namespace tl::jinja {

// Of a template's tree. Running it takes stack for each level.
inline constexpr int kMaxTreeDepth = 150;

class Parser {
 public:
  // A normalised template, which outlives the parser.
  explicit Parser(std::string_view text) : text_(text), tokens_(Lex(text)) {}

  // Fails as FailAt does.
  NodePtr ParseTemplate();

 private:
  // Tokens.
  const Token& Peek() const { return tokens_[next_]; }
  const Token& Take() { return tokens_[next_++]; }
  bool PeekOperator(std::string_view text) const;
  bool PeekName(std::string_view text) const;
  bool TakeOperator(std::string_view text);
  bool TakeName(std::string_view text);
  void ExpectOperator(std::string_view text);
  void ExpectBlockEnd();
  std::string ExpectName(std::string_view what);
  [[noreturn]] void FailExpected(std::string_view what) const;
  [[noreturn]] void FailHere(int32_t at, std::string_view what) const;

  // Nodes.
  NodePtr Make(NodeKind kind, int32_t at, std::string name = "");
  void Add(Node& node, NodePtr child);
  void Deepen(Node& node, int depth) const;

  // Statements.
  NodePtr ParseBlock(std::initializer_list<std::string_view> ends);
  NodePtr ParseStatement();
  NodePtr ParseIf(int32_t at);
  NodePtr ParseFor(int32_t at);
  NodePtr ParseSet(int32_t at);
  NodePtr ParseMacro(int32_t at);
  NodePtr ParseFilterBlock(int32_t at);
  NodePtr ParseLoopExit(NodeKind kind, int32_t at);
  std::vector<Target> ParseTargets(bool attributes);
  // The word of the tag that ended a block, with the tag's end.
  void ExpectEnd(std::string_view word);

  // Expressions.
  NodePtr ParseExpression();
  NodePtr ParseTupleOrExpression();
  NodePtr ParseOr();
  NodePtr ParseAnd();
  NodePtr ParseNot();
  NodePtr ParseCompare();
  NodePtr ParseSum();
  NodePtr ParseConcat();
  NodePtr ParseProduct();
  NodePtr ParsePower();
  NodePtr ParseFiltered();
  NodePtr ParseUnary(bool with_filters);
  NodePtr ParsePrimary();
  NodePtr ParseNumber();
  NodePtr ParseParenthesis();
  NodePtr ParseList();
  NodePtr ParseMap();
  NodePtr ParsePostfix(NodePtr node);
  NodePtr ParseSubscript(NodePtr node);
  NodePtr ParseFiltersAndTests(NodePtr node);
  NodePtr ParseFilter(NodePtr node);
  NodePtr ParseTest(NodePtr node);
  void ParseArguments(Node& call);
  // The operator that comes next, between `left` and an operand.
  NodePtr Pair(NodeKind kind, NodePtr left, NodePtr (Parser::*operand)());
  NodePtr LeftToRight(std::initializer_list<std::string_view> operators,
                      NodePtr (Parser::*operand)());

  // Counts levels while something is parsed.
  class Level {
   public:
    explicit Level(Parser& parser);
    ~Level() { --parser_.level_; }

   private:
    Parser& parser_;
  };

  std::string_view text_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int level_ = 0;
  int loops_ = 0;   // around here, in this macro
  int scopes_ = 0;  // loops and macros around here
};

}  // namespace tl::jinja
