// TL_CHECK alone, for sources that cannot have error.h: nvcc does not take the
// headers it formats with.
#pragma once

namespace tl {

// For our own bugs, never for input: throws ErrorKind::kInternal.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
#define TL_CHECK(condition) \
  ((condition) ? (void)0 : ::tl::CheckFailed(#condition, __FILE__, __LINE__))

}  // namespace tl
