// Patterns for tensor names, as a shell has them for files: `*` any characters
// (dots and slashes, too), `?` one character, `[a-z]` or `[!a-z]` one of a set.
// Everything else is itself.
#pragma once

#include <string_view>

namespace tl {

// A `[` without its `]` is itself.
bool MatchesGlob(std::string_view pattern, std::string_view name);

}  // namespace tl
