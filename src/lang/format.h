// The canonical layout of a program, for `tl fmt`. Works on tokens: blanks,
// indentation and empty lines change; tokens, comments and line breaks do not,
// so neither does the meaning. Formatting twice gives the same as once.
#pragma once

#include <optional>
#include <string>

#include "lang/diagnostics.h"
#include "lang/source.h"

namespace tl {

// Nothing if the text has syntax errors (reported).
std::optional<std::string> Format(const Source& source,
                                  Diagnostics& diagnostics);

}  // namespace tl
