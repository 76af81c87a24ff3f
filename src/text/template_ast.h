// A chat template as a tree. Nodes are of one type: what a kind keeps where is
// said beside it. Read next: template_parser.h makes it, template_renderer.h
// runs it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/template_value.h"

namespace tl::jinja {

enum class NodeKind : uint8_t {
  // Expressions.
  kConstant,     // constant
  kName,         // name
  kList,         // children
  kTuple,        // children
  kMap,          // children: key, value, key, value, ...
  kAttribute,    // children[0].name
  kItem,         // children[0][children[1]]
  kSlice,        // children[0][1:2:3], null where left out
  kNegative,     // children[0]
  kPositive,     // children[0]
  kNot,          // children[0]
  kBinary,       // name: + - * / // % ** ~
  kCompare,      // children a, b, c with words: a < b < c
  kAnd,          // two children
  kOr,           // two children
  kConditional,  // children: condition, value, otherwise or null
  kCall,         // children: callee, arguments; keywords
  kFilter,       // name; children: value or null (a block), arguments; keywords
  kTest,         // name; children: value, arguments
  // Statements.
  kText,    // name
  kOutput,  // children[0]
  kBlock,   // children, one after the other
  kIf,      // children: condition, block, ..., and the block of else
  kFor,  // targets; children: sequence, condition or null, body, else or null
  kSet,  // targets; children[0]
  kSetBlock,     // targets; children: body, filters of it or null
  kFilterBlock,  // children: body, filters
  kMacro,  // name; targets: parameters; keywords: defaults; children: body
  kBreak,
  kContinue,
};

struct Node;
using NodePtr = std::unique_ptr<Node>;

struct Keyword {
  std::string name;
  NodePtr value;
};

// `name`, or `name.attribute` of a namespace.
struct Target {
  std::string name;
  std::string attribute;
};

struct Node {
  NodeKind kind;
  int32_t at;  // offset in the template
  std::string name;
  Value constant;
  std::vector<NodePtr> children;
  std::vector<Keyword> keywords;
  std::vector<Target> targets;
  std::vector<std::string> words;
  int depth = 1;  // of the tree from here down
};

}  // namespace tl::jinja
