// A syntax tree as S-expressions, for tests and for reading what was parsed:
// `let y = f(x)[0]` is `(let y ([] (call f x) 0))`.
#pragma once

#include <string>

#include "lang/ast.h"

namespace tl {

std::string Print(const Expr& expr);
std::string Print(const Stmt& stmt);
std::string Print(const SyntaxTree& tree);  // a statement per line

}  // namespace tl
