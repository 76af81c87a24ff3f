// softmax(q k^T * scale) v per head, without the scores ever going to memory.
#include "cuda/attention_decode.h"
#include "cuda/attention_flash.h"
#include "cuda/attention_plain.h"
#include "cuda/kernels.h"

namespace tl::cuda {

void Attention(const KernelArgs& args) {
  if (args.outputs[0].size() == 0) return;
  const AttentionProblem problem = AttentionProblemOf(args);
  if (CanFlashAttention(problem) && FlashFillsCard(problem)) {
    RunFlashAttention(problem);
  } else if (CanDecodeAttention(problem)) {
    RunDecodeAttention(problem);
  } else {
    PlainAttention(problem);
  }
}

}  // namespace tl::cuda
