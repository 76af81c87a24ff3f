// softmax(q k^T * scale) v per head, without the scores ever going to memory.
// Many queries go to attention_blocked-inl.h, few (a token at a time) to
// attention_few_rows-inl.h.
#include "cpu/attention_problem.h"
#include "cpu/kernels.h"

// foreach_target.h includes this file for the other targets, so it comes before
// what differs by target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/attention.cc"
#include "hwy/foreach_target.h"
#include "cpu/attention_blocked-inl.h"
#include "cpu/attention_few_rows-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void AttendInto(const AttentionProblem& problem, T* out) {
  if (CanAttendFewRows(problem)) {
    AttendFewRows(problem, out);
  } else {
    AttendBlocked(problem, out);
  }
}

}  // namespace

void AttentionOfTarget(const AttentionProblem& problem, const View& out) {
  if (out.size() == 0) return;
  if (out.dtype == DType::F16) {
    AttendInto(problem, out.as<uint16_t>());
  } else {
    AttendInto(problem, out.as<float>());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(AttentionOfTarget);

void Attention(const KernelArgs& args) {
  HWY_DYNAMIC_DISPATCH(AttentionOfTarget)
  (AttentionProblemOf(args), args.outputs[0]);
}

}  // namespace tl::cpu
#endif
