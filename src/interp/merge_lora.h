// The weights of a model with a LoRA adapter in them: the sums that
// format/lora_adapter.h plans, computed in float32 by the graph's operations,
// some rows at a time, and rounded once. Used by models.cc.
#pragma once

#include "format/lora_adapter.h"

namespace tl {

class TensorRuntime;

// `weight` after the change, in memory, in its own type where that is F32, F16
// or BF16 and in `otherwise` where it is packed or any other. Fails if a number
// is too large for that.
TensorEntry Merged(TensorRuntime& runtime, const TensorEntry& weight,
                   const AdapterChange& change, DType otherwise);

}  // namespace tl
