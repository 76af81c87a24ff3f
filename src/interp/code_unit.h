// The code of one entry of a session. Its functions hold it, and so does each
// function value made of them: who alone is left with a unit may throw its code
// away (ProgramCode::DropUnused). Programs and modules have none and stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ref.h"

namespace tl {

struct CodeUnit : RefCounted {
  uint32_t source = 0;
  std::vector<size_t> functions;  // numbers in ProgramCode
  std::vector<size_t> modules;

  // Whether a value of the program can still call into it.
  bool is_used() const { return use_count() > functions.size() + 1; }
};

}  // namespace tl
