// softmax(q k^T * scale) v per head, without the scores ever going to memory.
#include "cuda/attention_plain.h"
#include "cuda/kernels.h"

namespace tl::cuda {

void Attention(const KernelArgs& args) {
  if (args.outputs[0].size() == 0) return;
  const AttentionProblem problem = AttentionProblemOf(args);
  PlainAttention(problem);
}

}  // namespace tl::cuda
