// Parts of views that an operation works on, the same for every backend.
#pragma once

#include "exec/backend.h"

namespace tl {

// What of `view` an Assign writes. Fails where that is not all inside it.
View RegionOf(View view, const KernelArgs& args);

// `view` repeated to the dims of `whole` as NumPy broadcasts.
View BroadcastTo(const View& view, const View& whole);

}  // namespace tl
