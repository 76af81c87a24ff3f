// Reductions from int32 to int32: exact, wrapping as int32 arithmetic does.
#pragma once

#include "exec/backend.h"

namespace tl::cpu {

enum class IntReduction { kSum, kProduct, kLargest, kSmallest, kSumSquares };

void ReduceInt(const KernelArgs& args, IntReduction reduction);

}  // namespace tl::cpu
