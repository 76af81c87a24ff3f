// Tokens to a syntax tree. A statement with a fault is reported and left out of
// the tree, and parsing goes on after it; so a tree is fit for checking only if
// no error was reported. Read next: parse_rules.h, the grammar.
#pragma once

#include "lang/ast.h"
#include "lang/diagnostics.h"
#include "lang/source.h"

namespace tl {

SyntaxTree Parse(const Source& source, Diagnostics& diagnostics);

// Whether `text` stops in the middle of something: an open bracket, block
// comment, or an operator without its right side. The REPL then reads on.
bool IsUnfinished(std::string_view text);

}  // namespace tl
