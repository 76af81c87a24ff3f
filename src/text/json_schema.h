// A JSON Schema as a grammar of the texts that obey it. Objects have the
// properties that are named, in their order, and no others. What the grammar
// cannot keep is refused by name: "json schema: properties.age: ...".
#pragma once

#include <string>

namespace tl {

// The text of the grammar, in GBNF.
std::string JsonSchemaGrammar(const std::string& schema);

}  // namespace tl
