// Statements. The tags of a block end it: ParseBlock stops before a tag it was
// told of and leaves the word to be taken.
#include "text/template_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tl::jinja {

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (++parser_.level_ > kMaxTreeDepth) {
    --parser_.level_;
    parser_.FailHere(parser_.Peek().at,
                     fmt::format("nested deeper than {}", kMaxTreeDepth));
  }
}

bool Parser::PeekOperator(std::string_view text) const {
  return Peek().Is(TokenKind::kOperator, text);
}
bool Parser::PeekName(std::string_view text) const {
  return Peek().Is(TokenKind::kName, text);
}
bool Parser::TakeOperator(std::string_view text) {
  const bool found = PeekOperator(text);
  if (found) Take();
  return found;
}
bool Parser::TakeName(std::string_view text) {
  const bool found = PeekName(text);
  if (found) Take();
  return found;
}

void Parser::ExpectOperator(std::string_view text) {
  if (!TakeOperator(text)) FailExpected(fmt::format("'{}'", text));
}

void Parser::ExpectBlockEnd() {
  if (Peek().kind != TokenKind::kBlockEnd) FailExpected("'%}'");
  Take();
}

std::string Parser::ExpectName(std::string_view what) {
  if (Peek().kind != TokenKind::kName) FailExpected(what);
  return Take().text;
}

void Parser::ExpectEnd(std::string_view word) {
  if (!TakeName(word)) FailExpected(fmt::format("'{{% {} %}}'", word));
  ExpectBlockEnd();
}

void Parser::FailExpected(std::string_view what) const {
  const Token& token = Peek();
  const bool end = token.kind == TokenKind::kEnd;
  FailHere(token.at,
           end ? fmt::format("expected {}, but the template ends", what)
               : fmt::format("expected {}, got '{}'", what,
                             token.text.substr(0, 40)));
}

void Parser::FailHere(int32_t at, std::string_view what) const {
  FailAt(text_, at, what);
}

NodePtr Parser::Make(NodeKind kind, int32_t at, std::string name) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->at = at;
  node->name = std::move(name);
  return node;
}

void Parser::Deepen(Node& node, int depth) const {
  node.depth = std::max(node.depth, depth + 1);
  if (node.depth > kMaxTreeDepth) {
    FailHere(node.at, fmt::format("nested deeper than {}", kMaxTreeDepth));
  }
}

void Parser::Add(Node& node, NodePtr child) {
  if (child) Deepen(node, child->depth);
  node.children.push_back(std::move(child));
}

NodePtr Parser::ParseTemplate() {
  NodePtr body = ParseBlock({});
  if (Peek().kind != TokenKind::kEnd) {
    FailHere(Peek().at, fmt::format("'{}' ends nothing", Peek().text));
  }
  return body;
}

NodePtr Parser::ParseBlock(std::initializer_list<std::string_view> ends) {
  const Level level(*this);
  NodePtr block = Make(NodeKind::kBlock, Peek().at);
  while (Peek().kind != TokenKind::kEnd) {
    const Token& token = Take();
    if (token.kind == TokenKind::kText) {
      Add(*block, Make(NodeKind::kText, token.at, token.text));
    } else if (token.kind == TokenKind::kOutputBegin) {
      NodePtr output = Make(NodeKind::kOutput, token.at);
      Add(*output, ParseTupleOrExpression());
      if (Peek().kind != TokenKind::kOutputEnd) FailExpected("'}}'");
      Take();
      Add(*block, std::move(output));
    } else {
      const std::string& word = Peek().text;
      if (Peek().kind != TokenKind::kName) FailExpected("a tag's name");
      if (std::find(ends.begin(), ends.end(), word) != ends.end()) return block;
      if (word.starts_with("end") || word == "else" || word == "elif") {
        if (ends.size() == 0) return block;
        FailExpected(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
      }
      Add(*block, ParseStatement());
    }
  }
  if (ends.size() > 0) {
    FailExpected(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
  }
  return block;
}

NodePtr Parser::ParseStatement() {
  const Token& token = Take();
  const std::string& word = token.text;
  if (word == "if") return ParseIf(token.at);
  if (word == "for") return ParseFor(token.at);
  if (word == "set") return ParseSet(token.at);
  if (word == "macro") return ParseMacro(token.at);
  if (word == "filter") return ParseFilterBlock(token.at);
  if (word == "break") return ParseLoopExit(NodeKind::kBreak, token.at);
  if (word == "continue") return ParseLoopExit(NodeKind::kContinue, token.at);
  if (word == "generation") {
    // Marks what a model said, for training; what is written does not change.
    ExpectBlockEnd();
    const int loops = std::exchange(loops_, 0);
    ++scopes_;
    NodePtr body = ParseBlock({"endgeneration"});
    --scopes_;
    loops_ = loops;
    ExpectEnd("endgeneration");
    body->name = "scope";
    return body;
  }
  static constexpr std::string_view kKnown[] = {
      "include", "import", "from", "extends", "block",
      "call",    "do",     "with", "trans",   "autoescape"};
  const bool known =
      std::find(std::begin(kKnown), std::end(kKnown), word) != std::end(kKnown);
  FailHere(token.at, known ? fmt::format("'{}' is not supported", word)
                           : fmt::format("unknown tag '{}'", word));
}

NodePtr Parser::ParseIf(int32_t at) {
  NodePtr node = Make(NodeKind::kIf, at);
  do {
    Add(*node, ParseExpression());
    ExpectBlockEnd();
    Add(*node, ParseBlock({"elif", "else", "endif"}));
  } while (TakeName("elif"));
  if (TakeName("else")) {
    ExpectBlockEnd();
    Add(*node, ParseBlock({"endif"}));
  }
  ExpectEnd("endif");
  return node;
}

std::vector<Target> Parser::ParseTargets(bool attributes) {
  std::vector<Target> targets;
  const bool parenthesis = TakeOperator("(");
  do {
    if (!targets.empty() && Peek().kind != TokenKind::kName) break;
    Target target{ExpectName("a name"), ""};
    if (attributes && TakeOperator(".")) {
      target.attribute = ExpectName("an attribute's name");
    }
    targets.push_back(std::move(target));
  } while (TakeOperator(","));
  if (parenthesis) ExpectOperator(")");
  return targets;
}

NodePtr Parser::ParseFor(int32_t at) {
  NodePtr node = Make(NodeKind::kFor, at);
  node->targets = ParseTargets(false);
  if (!TakeName("in")) FailExpected("'in'");
  Add(*node, ParseOr());
  Add(*node, TakeName("if") ? ParseExpression() : nullptr);
  if (PeekName("recursive")) {
    FailHere(Peek().at, "'recursive' is not supported");
  }
  ExpectBlockEnd();
  ++loops_;
  ++scopes_;
  Add(*node, ParseBlock({"else", "endfor"}));
  --loops_;
  if (TakeName("else")) {
    ExpectBlockEnd();
    Add(*node, ParseBlock({"endfor"}));
  } else {
    Add(*node, nullptr);
  }
  --scopes_;
  ExpectEnd("endfor");
  return node;
}

NodePtr Parser::ParseSet(int32_t at) {
  NodePtr node = Make(NodeKind::kSet, at);
  node->targets = ParseTargets(true);
  if (TakeOperator("=")) {
    Add(*node, ParseTupleOrExpression());
    ExpectBlockEnd();
    return node;
  }
  node->kind = NodeKind::kSetBlock;
  if (node->targets.size() > 1) FailExpected("'='");
  NodePtr filters;
  while (TakeOperator("|")) filters = ParseFilter(std::move(filters));
  if (Peek().kind != TokenKind::kBlockEnd) FailExpected("'=' or '%}'");
  Take();
  Add(*node, ParseBlock({"endset"}));
  ExpectEnd("endset");
  Add(*node, std::move(filters));
  return node;
}

NodePtr Parser::ParseFilterBlock(int32_t at) {
  NodePtr node = Make(NodeKind::kFilterBlock, at);
  NodePtr filters = ParseFilter(nullptr);
  while (TakeOperator("|")) filters = ParseFilter(std::move(filters));
  ExpectBlockEnd();
  Add(*node, ParseBlock({"endfilter"}));
  ExpectEnd("endfilter");
  Add(*node, std::move(filters));
  return node;
}

NodePtr Parser::ParseMacro(int32_t at) {
  if (scopes_ > 0) {
    FailHere(at, "a macro inside a loop or another macro is not supported");
  }
  NodePtr node = Make(NodeKind::kMacro, at, ExpectName("a macro's name"));
  ExpectOperator("(");
  while (!TakeOperator(")")) {
    if (!node->targets.empty()) ExpectOperator(",");
    if (TakeOperator(")")) break;
    node->targets.push_back({ExpectName("a parameter's name"), ""});
    if (TakeOperator("=")) {
      node->keywords.push_back({node->targets.back().name, ParseExpression()});
      Deepen(*node, node->keywords.back().value->depth);
    } else if (!node->keywords.empty()) {
      FailHere(Peek().at, fmt::format("parameter '{}' needs a default, as the "
                                      "one before it has one",
                                      node->targets.back().name));
    }
  }
  ExpectBlockEnd();
  ++scopes_;
  Add(*node, ParseBlock({"endmacro"}));
  --scopes_;
  ExpectEnd("endmacro");
  return node;
}

NodePtr Parser::ParseLoopExit(NodeKind kind, int32_t at) {
  if (loops_ == 0) {
    FailHere(at, fmt::format("'{}' outside of a loop",
                             kind == NodeKind::kBreak ? "break" : "continue"));
  }
  ExpectBlockEnd();
  return Make(kind, at);
}

}  // namespace tl::jinja
