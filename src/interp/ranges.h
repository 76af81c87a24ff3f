// Making range values.
#pragma once

#include <cstdint>

#include "interp/value.h"

namespace tl {

// begin, begin + step, ... before end. Fails if the step is 0.
Value MakeRangeValue(int64_t begin, int64_t end, int64_t step);

}  // namespace tl
