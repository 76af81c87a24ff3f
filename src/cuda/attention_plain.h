// Attention of any types, strides and sizes, without tensor cores.
#pragma once

#include "cuda/attention_problem.h"

namespace tl::cuda {

void PlainAttention(const AttentionProblem& problem);

}  // namespace tl::cuda
