// Expressions, loosest first: `a if b else c`, or, and, not, comparisons, + -,
// ~, * / // %, **, unary signs, then calls, subscripts, filters and tests.
#include <fmt/format.h>

#include <charconv>

#include "text/template_parser.h"

namespace tl::jinja {

NodePtr Parser::ParseExpression() {
  const Level level(*this);
  NodePtr value = ParseOr();
  while (PeekName("if")) {
    NodePtr node = Make(NodeKind::kConditional, Take().at);
    Add(*node, ParseOr());
    Add(*node, std::move(value));
    Add(*node, TakeName("else") ? ParseExpression() : nullptr);
    value = std::move(node);
  }
  return value;
}

// `a, b` where a tuple may stand without parentheses.
NodePtr Parser::ParseTupleOrExpression() {
  NodePtr first = ParseExpression();
  if (!PeekOperator(",")) return first;
  NodePtr tuple = Make(NodeKind::kTuple, first->at);
  Add(*tuple, std::move(first));
  while (TakeOperator(",")) {
    const TokenKind kind = Peek().kind;
    if (kind == TokenKind::kBlockEnd || kind == TokenKind::kOutputEnd ||
        PeekOperator(")")) {
      break;
    }
    Add(*tuple, ParseExpression());
  }
  return tuple;
}

NodePtr Parser::Pair(NodeKind kind, NodePtr left,
                     NodePtr (Parser::*operand)()) {
  const Token& token = Take();
  NodePtr node = Make(kind, token.at, token.text);
  Add(*node, std::move(left));
  Add(*node, (this->*operand)());
  return node;
}

NodePtr Parser::ParseOr() {
  NodePtr left = ParseAnd();
  while (PeekName("or")) {
    left = Pair(NodeKind::kOr, std::move(left), &Parser::ParseAnd);
  }
  return left;
}

NodePtr Parser::ParseAnd() {
  NodePtr left = ParseNot();
  while (PeekName("and")) {
    left = Pair(NodeKind::kAnd, std::move(left), &Parser::ParseNot);
  }
  return left;
}

NodePtr Parser::ParseNot() {
  if (!PeekName("not")) return ParseCompare();
  const Level level(*this);
  NodePtr node = Make(NodeKind::kNot, Take().at);
  Add(*node, ParseNot());
  return node;
}

NodePtr Parser::ParseCompare() {
  NodePtr first = ParseSum();
  NodePtr chain;
  while (true) {
    std::string word;
    if (Peek().kind == TokenKind::kOperator &&
        (Peek().text == "==" || Peek().text == "!=" || Peek().text == "<" ||
         Peek().text == "<=" || Peek().text == ">" || Peek().text == ">=")) {
      word = Peek().text;
    } else if (PeekName("in")) {
      word = "in";
    } else if (PeekName("not") &&
               tokens_[next_ + 1].Is(TokenKind::kName, "in")) {
      word = "not in";
    } else {
      break;
    }
    const int32_t at = Take().at;
    if (word == "not in") Take();
    if (!chain) {
      chain = Make(NodeKind::kCompare, at);
      Add(*chain, std::move(first));
    }
    chain->words.push_back(std::move(word));
    Add(*chain, ParseSum());
  }
  return chain ? std::move(chain) : std::move(first);
}

NodePtr Parser::LeftToRight(std::initializer_list<std::string_view> operators,
                            NodePtr (Parser::*operand)()) {
  NodePtr left = (this->*operand)();
  while (true) {
    bool found = false;
    for (std::string_view text : operators) found |= PeekOperator(text);
    if (!found) return left;
    left = Pair(NodeKind::kBinary, std::move(left), operand);
  }
}

NodePtr Parser::ParseSum() {
  return LeftToRight({"+", "-"}, &Parser::ParseConcat);
}
NodePtr Parser::ParseConcat() {
  return LeftToRight({"~"}, &Parser::ParseProduct);
}
NodePtr Parser::ParseProduct() {
  return LeftToRight({"*", "/", "//", "%"}, &Parser::ParsePower);
}
NodePtr Parser::ParsePower() {
  return LeftToRight({"**"}, &Parser::ParseFiltered);
}
NodePtr Parser::ParseFiltered() { return ParseUnary(true); }

NodePtr Parser::ParseUnary(bool with_filters) {
  NodePtr node;
  if (PeekOperator("-") || PeekOperator("+")) {
    const Level level(*this);
    const Token& sign = Take();
    node = Make(sign.text == "-" ? NodeKind::kNegative : NodeKind::kPositive,
                sign.at);
    Add(*node, ParseUnary(false));
  } else {
    node = ParsePrimary();
  }
  node = ParsePostfix(std::move(node));
  return with_filters ? ParseFiltersAndTests(std::move(node)) : std::move(node);
}

NodePtr Parser::ParsePrimary() {
  const Token& token = Peek();
  switch (token.kind) {
    case TokenKind::kName: {
      const std::string name = Take().text;
      NodePtr node = Make(NodeKind::kConstant, token.at);
      if (name == "true" || name == "True" || name == "false" ||
          name == "False") {
        node->constant = Value::Bool(name == "true" || name == "True");
      } else if (name == "none" || name == "None") {
        node->constant = Value::None();
      } else {
        node->kind = NodeKind::kName;
        node->name = name;
      }
      return node;
    }
    case TokenKind::kString: {
      NodePtr node = Make(NodeKind::kConstant, token.at);
      std::string text;
      while (Peek().kind == TokenKind::kString) text += Take().text;
      node->constant = Value::String(std::move(text));
      return node;
    }
    case TokenKind::kInt:
    case TokenKind::kFloat:
      return ParseNumber();
    default:
      if (PeekOperator("(")) return ParseParenthesis();
      if (PeekOperator("[")) return ParseList();
      if (PeekOperator("{")) return ParseMap();
      FailExpected("an expression");
  }
}

NodePtr Parser::ParseNumber() {
  const Token& token = Take();
  NodePtr node = Make(NodeKind::kConstant, token.at);
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  int64_t integer = 0;
  double real = 0;
  if (token.kind == TokenKind::kInt) {
    const auto read = std::from_chars(begin, end, integer);
    if (read.ec != std::errc() || read.ptr != end) {
      FailHere(token.at, fmt::format("{} is too large an int", token.text));
    }
    node->constant = Value::Int(integer);
  } else {
    const auto read = std::from_chars(begin, end, real);
    if (read.ec != std::errc() || read.ptr != end) {
      FailHere(token.at,
               fmt::format("{} is out of a float's range", token.text));
    }
    node->constant = Value::Float(real);
  }
  return node;
}

NodePtr Parser::ParseParenthesis() {
  const int32_t at = Take().at;
  if (TakeOperator(")")) return Make(NodeKind::kTuple, at);
  NodePtr inside = ParseTupleOrExpression();
  ExpectOperator(")");
  return inside;
}

NodePtr Parser::ParseList() {
  NodePtr node = Make(NodeKind::kList, Take().at);
  while (!TakeOperator("]")) {
    if (!node->children.empty()) ExpectOperator(",");
    if (TakeOperator("]")) break;
    Add(*node, ParseExpression());
  }
  return node;
}

NodePtr Parser::ParseMap() {
  NodePtr node = Make(NodeKind::kMap, Take().at);
  while (!TakeOperator("}")) {
    if (!node->children.empty()) ExpectOperator(",");
    if (TakeOperator("}")) break;
    Add(*node, ParseExpression());
    ExpectOperator(":");
    Add(*node, ParseExpression());
  }
  return node;
}

NodePtr Parser::ParsePostfix(NodePtr node) {
  while (true) {
    if (PeekOperator(".")) {
      const int32_t at = Take().at;
      // x.0 is x[0].
      if (Peek().kind == TokenKind::kInt) {
        NodePtr item = Make(NodeKind::kItem, at);
        Add(*item, std::move(node));
        Add(*item, ParseNumber());
        node = std::move(item);
        continue;
      }
      NodePtr attribute =
          Make(NodeKind::kAttribute, at, ExpectName("an attribute's name"));
      Add(*attribute, std::move(node));
      node = std::move(attribute);
    } else if (PeekOperator("[")) {
      node = ParseSubscript(std::move(node));
    } else if (PeekOperator("(")) {
      NodePtr call = Make(NodeKind::kCall, Peek().at);
      Add(*call, std::move(node));
      ParseArguments(*call);
      node = std::move(call);
    } else {
      return node;
    }
  }
}

NodePtr Parser::ParseSubscript(NodePtr node) {
  const int32_t at = Take().at;
  NodePtr parts[3];
  size_t part = 0;
  bool slice = false;
  while (!PeekOperator("]")) {
    if (PeekOperator(":")) {
      Take();
      slice = true;
      if (++part > 2) FailExpected("']'");
    } else {
      if (parts[part]) FailExpected("']'");
      parts[part] = ParseExpression();
    }
  }
  Take();
  if (!slice && !parts[0]) FailHere(at, "expected an index, got ']'");
  NodePtr result = Make(slice ? NodeKind::kSlice : NodeKind::kItem, at);
  Add(*result, std::move(node));
  for (size_t i = 0; i < (slice ? 3 : 1); ++i) {
    Add(*result, std::move(parts[i]));
  }
  return result;
}

NodePtr Parser::ParseFiltersAndTests(NodePtr node) {
  while (true) {
    if (TakeOperator("|")) {
      node = ParseFilter(std::move(node));
    } else if (PeekName("is")) {
      node = ParseTest(std::move(node));
    } else if (PeekOperator("(")) {
      NodePtr call = Make(NodeKind::kCall, Peek().at);
      Add(*call, std::move(node));
      ParseArguments(*call);
      node = std::move(call);
    } else {
      return node;
    }
  }
}

// After the bar.
NodePtr Parser::ParseFilter(NodePtr node) {
  const int32_t at = Peek().at;
  NodePtr filter = Make(NodeKind::kFilter, at, ExpectName("a filter's name"));
  Add(*filter, std::move(node));
  if (PeekOperator("(")) ParseArguments(*filter);
  return filter;
}

NodePtr Parser::ParseTest(NodePtr node) {
  const int32_t at = Take().at;
  const bool negated = TakeName("not");
  NodePtr test = Make(NodeKind::kTest, at, ExpectName("a test's name"));
  Add(*test, std::move(node));
  const Token& next = Peek();
  const bool word = next.kind == TokenKind::kName && next.text != "else" &&
                    next.text != "or" && next.text != "and" &&
                    next.text != "is" && next.text != "if" &&
                    next.text != "not" && next.text != "in";
  if (PeekOperator("(")) {
    ParseArguments(*test);
  } else if (word || next.kind == TokenKind::kString ||
             next.kind == TokenKind::kInt || next.kind == TokenKind::kFloat ||
             PeekOperator("[") || PeekOperator("{")) {
    Add(*test, ParsePostfix(ParsePrimary()));
  }
  if (!negated) return test;
  NodePtr result = Make(NodeKind::kNot, at);
  Add(*result, std::move(test));
  return result;
}

// `(a, b, name=c)`, into a node's children and keywords.
void Parser::ParseArguments(Node& call) {
  ExpectOperator("(");
  bool first = true;
  while (!TakeOperator(")")) {
    if (!first) ExpectOperator(",");
    if (TakeOperator(")")) break;
    first = false;
    if (PeekOperator("*") || PeekOperator("**")) {
      FailHere(Peek().at, "unpacked arguments are not supported");
    }
    if (Peek().kind == TokenKind::kName &&
        tokens_[next_ + 1].Is(TokenKind::kOperator, "=")) {
      std::string name = Take().text;
      Take();
      call.keywords.push_back({std::move(name), ParseExpression()});
      Deepen(call, call.keywords.back().value->depth);
    } else {
      if (!call.keywords.empty()) {
        FailHere(Peek().at, "an argument without a name after one with a name");
      }
      Add(call, ParseExpression());
    }
  }
}

}  // namespace tl::jinja
