// Stepping through a syntax tree: the direct children of a node, whatever its
// kind. What wants to look at every node calls itself from the callbacks.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "lang/ast.h"

namespace tl {

struct ChildVisitor {
  std::function<void(const Expr&)> expr;
  std::function<void(const Stmt&)> stmt;
};

void ForEachChild(const Expr& expr, const ChildVisitor& visit);
void ForEachChild(const Stmt& stmt, const ChildVisitor& visit);

// How often each name is assigned, or changed in place (`x[i] = v`,
// `x.push(v)`), inside a statement, functions in it included.
using ChangeCounts = std::unordered_map<std::string, size_t>;
void CountChanges(const Stmt& stmt, ChangeCounts& counts);
void CountChanges(const Expr& expr, ChangeCounts& counts);
void CountChanges(const StmtBlock& block, ChangeCounts& counts);

// The names that a function assigns or changes in place without declaring them:
// variables around it, if there are such.
std::unordered_set<std::string> OuterChanges(const FunctionDecl& function);

}  // namespace tl
