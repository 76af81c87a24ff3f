// Attention as a step of a list: of a token, or of a few queries.
#include <limits>

#include "cuda/run_steps.h"
#include "cuda/runtime.h"
#include "cuda/step_list.h"

namespace tl::cuda {

// One query that sees all keys, or the last ones.
bool StepList::AddTokenAttention(const KernelArgs& args,
                                 const AttentionProblem& problem) {
  const bool dense = problem.q.head_stride == problem.dim || problem.heads == 1;
  const bool halves = problem.dtype == DType::F16;
  const bool plain = !problem.mask.data && problem.cap == 0;
  const bool known = problem.dim == problem.value_dim &&
                     (problem.dim == 64 || problem.dim == 128);
  if (problem.queries != 1 || problem.batch != 1 ||
      problem.group > kTokenRows || problem.keys == 0 ||
      problem.keys > std::numeric_limits<int32_t>::max() || !dense || !halves ||
      !plain || !known) {
    return false;
  }
  const int blocks = Card().multiprocessors;
  const auto kv_heads = static_cast<int>(problem.kv_heads);
  if (kv_heads > blocks) return false;
  StepRecord record = {};
  TokenAttentionStep& step = record.token_attention;
  step.header.kind = StepKind::kTokenAttention;
  step.dims = static_cast<int32_t>(problem.dim);
  step.kv_heads = kv_heads;
  step.group = static_cast<int32_t>(problem.group);
  step.keys = static_cast<int32_t>(problem.keys);
  if (problem.window > 0 && problem.window < problem.keys) {
    step.first_key = static_cast<int32_t>(problem.keys - problem.window);
  }
  CutKeys(blocks, step);
  step.scale = problem.scale;
  step.q = problem.q.data;
  step.k = problem.k.data;
  step.v = problem.v.data;
  step.k_row = problem.k.row_stride;
  step.k_head = problem.k.head_stride;
  step.v_row = problem.v.row_stride;
  step.v_head = problem.v.head_stride;
  step.out = problem.out;
  EmitHeldNorm();
  Touched touched;
  for (const View& input : args.inputs) touched.reads.push_back(RangeOf(input));
  touched.writes = {RangeOf(args.outputs[0])};
  // Fetched ahead of all waits, unless this list writes them.
  touched.makes_keys = WritesKeys(problem, problem.keys - 1);
  step.wait_for_keys = WritesKeys(problem, problem.keys);
  levels_[Append(record, std::move(touched), false, {})].prepared = {};
  return true;
}

// Whether what was added writes to the first `keys` of them or their values.
bool StepList::WritesKeys(const AttentionProblem& problem, int64_t keys) const {
  if (keys == 0) return false;
  const auto is_written = [&](const auto& rows) {
    const View view = {const_cast<std::byte*>(rows.data), DType::F16, 3,
                       {keys, problem.kv_heads, problem.dim},
                       {rows.row_stride, rows.head_stride, 1}};
    return IsWritten(RangeOf(view));
  };
  return is_written(problem.k) || is_written(problem.v);
}

// Who is the last to have a part of the keys joins them all.
bool StepList::AddAttention(const KernelArgs& args) {
  constexpr int64_t kMostQueries = 8;
  if (AttentionProblems(args) != 1) return false;
  const AttentionProblem problem = AttentionProblemOf(args);
  if (problem.queries > kMostQueries || !CanDecodeAttention(problem))
    return false;
  if (AddTokenAttention(args, problem)) return true;
  StepRecord record = {};
  AttentionStep& step = record.attention;
  step.decode =
      DecodeAttentionOf(problem, Card().multiprocessors, kFewestKeysOfBlock);
  if (!CanAttend(step.decode)) return false;
  EmitHeldNorm();
  step.header.kind = StepKind::kAttention;
  if (step.decode.splits > 1) {
    scratch_.push_back(AllocateScratch(DecodePartBytes(step.decode)));
    SetDecodeParts(scratch_.back().get(), step.decode);
    step.decode.finished = FinishedCounters(DecodeTiles(step.decode));
  }
  Touched touched;
  for (const View& input : args.inputs) touched.reads.push_back(RangeOf(input));
  touched.writes = {RangeOf(args.outputs[0])};
  if (step.decode.splits > 1) {
    const auto* counters =
        reinterpret_cast<const std::byte*>(step.decode.finished);
    touched.writes.push_back(
        {counters, counters + DecodeTiles(step.decode) * sizeof(unsigned)});
  }
  levels_[Append(record, std::move(touched), false, {})].prepared = {};
  return true;
}

}  // namespace tl::cuda
