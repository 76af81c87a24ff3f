// What the numbers of "general.file_type" are called, of every type that files
// have, also those that cannot be written here (format/file_type.h). It is a
// label of the whole: the tensors say themselves what they are.
#pragma once

#include <cstdint>
#include <string_view>

namespace tl {

// "Q4_K_M", or "" for a number that is not known.
std::string_view GgufFileTypeName(int64_t number);

}  // namespace tl
