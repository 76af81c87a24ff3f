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

// x as row-major elements in `to`, of the same type.
void CopyStrided(const View& x, std::byte* to);

}  // namespace tl::cuda
