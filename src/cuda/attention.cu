// softmax(q k^T * scale) v per head, without the scores ever going to memory.
#include "cuda/attention_decode.h"
#include "cuda/attention_flash.h"
#include "cuda/attention_plain.h"
#include "cuda/kernels.h"

namespace tl::cuda {

namespace {

void Attend(const AttentionProblem& problem) {
  if (CanFlashAttention(problem) && FlashFillsCard(problem)) {
    RunFlashAttention(problem);
  } else if (CanDecodeAttention(problem)) {
    RunDecodeAttention(problem);
  } else {
    PlainAttention(problem);
  }
}

}  // namespace

void Attention(const KernelArgs& args) {
  if (args.outputs[0].size() == 0) return;
  const int64_t problems = AttentionProblems(args);
  for (int64_t i = 0; i < problems; ++i) Attend(AttentionProblemOf(args, i));
}

}  // namespace tl::cuda
