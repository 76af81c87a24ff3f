// Every kernel of the CPU backend, one function per row of the op tables: a row
// without its kernel is an undefined reference. Kernels trust their arguments
// (shapes and types are settled by ops/shape_rules.cc), write every element of
// their outputs, and split their work with ParallelFor so that no result
// depends on the number of threads. backend.cc calls them.
#pragma once

#include "exec/backend.h"

namespace tl::cpu {

#define TL_KERNEL(id, ...) void id(const KernelArgs& args);
#include "ops/structured.def"

// The weights of a Convolution in the layout that its kernel reads.
std::shared_ptr<const void> PrepareConvolution(const View& weights,
                                               std::span<const int64_t> ints);

// args.program over inputs of any strides into dense outputs.
void Elementwise(const KernelArgs& args);

}  // namespace tl::cpu
