// The kernel that runs a list of steps (run_steps.cu).
#pragma once

#include "cuda/steps.h"

namespace tl::cuda {

int StepSharedBytes();  // what a block needs
// Whether rows of a matrix of this size can be a RowsStep.
bool FitsRows(int64_t row_bytes, int64_t k);

// `steps` in device memory. `counter` counts the arrivals of blocks, `reached` of
// which were before this launch; each step that waits for the grid adds
// `blocks`.
void RunSteps(const StepRecord* steps, int count, int blocks, unsigned* counter,
              unsigned reached);

}  // namespace tl::cuda
