// Standard input read to its end, for commands that take `-` or nothing.
#pragma once

#include <string>

namespace tl {

// Fails if it cannot be read or has more than a program may have.
std::string ReadStandardInput();

}  // namespace tl
