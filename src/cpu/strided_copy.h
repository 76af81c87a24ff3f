// Moving elements between two strided views of the same dims, at the speed of
// memory where runs are contiguous. Changes no bit of an element, so NaN
// payloads and signed zeros survive. Converts nothing: see elementwise.cc.
#pragma once

#include "exec/backend.h"

namespace tl::cpu {

// Writes every element of `from` to the same place of `to`. Same dims and type;
// `from` may have zero strides, `to` may not, and they do not overlap.
void CopyStrided(const View& to, const View& from);

// `count` elements of an axis, every `step`-th from `start` on.
View SliceOf(View view, int axis, int64_t start, int64_t count, int64_t step);

}  // namespace tl::cpu
