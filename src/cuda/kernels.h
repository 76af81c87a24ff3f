// Every kernel of the CUDA backend, one function per row of the op tables, under
// the names of cpu/kernels.h. They start work on the card and return. Operands
// and results are in its memory; numbers and ints are the host's.
#pragma once

#include "exec/backend.h"

namespace tl::cuda {

#define TL_KERNEL(id, ...) void id(const KernelArgs& args);
#include "ops/structured.def"

// args.program over inputs of any strides into dense outputs.
void Elementwise(const KernelArgs& args);

}  // namespace tl::cuda
