// Which names the functions inside a piece of program mention. A variable of
// such a name may be shared with a function, so it lives in a cell (or is a
// global) instead of a register. A name too many costs a little time and is
// never wrong.
#pragma once

#include <string>
#include <unordered_set>

#include "lang/ast.h"

namespace tl {

using NameSet = std::unordered_set<std::string>;

// Of the functions and `fn` expressions in a body.
NameSet NamesInFunctions(const StmtBlock& body);
// Of those in a module's top level, and of its tests.
NameSet NamesInFunctions(const SyntaxTree& tree);

// Whether evaluating `expr` can assign a variable of the function around it:
// then operands read before it must be copied first.
bool MayAssign(const Expr& expr);

}  // namespace tl
