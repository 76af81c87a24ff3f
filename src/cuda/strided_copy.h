// Moving elements between two strided views of the same dims. Changes no bit of
// an element, so NaN payloads and signed zeros survive. Converts nothing: see
// elementwise.cu.
#pragma once

#include "exec/backend.h"

namespace tl::cuda {

// Writes every element of `from` to the same place of `to`. Same dims and type;
// `from` may have zero strides, `to` may not, and they do not overlap.
void CopyStrided(const View& to, const View& from);

// x as row-major elements in `to`.
void CopyStrided(const View& x, std::byte* to);

}  // namespace tl::cuda
