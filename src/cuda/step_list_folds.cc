// What becomes part of a step that is in the list already, or of the next: norms
// before products, what follows them, ropes and writing to caches.
#include <algorithm>
#include <bit>

#include "cuda/dispatch.h"
#include "cuda/run_steps.h"
#include "cuda/step_list.h"

namespace tl::cuda {
namespace {

// How far back a step is looked for.
constexpr size_t kLevelsBack = 3;

// Row-major without gaps.
bool IsDense(const View& view) {
  int64_t expected = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    if (view.dims[axis] != 1 && view.strides[axis] != expected) return false;
    expected *= view.dims[axis];
  }
  return true;
}

// The second place of a step's result, if `view` is all of its result.
std::byte** AlsoOf(StepRecord& record, const View& view) {
  if (record.header.kind == StepKind::kRope) {
    RopeStep& step = record.rope;
    const int64_t size = int64_t{step.seq} * step.heads * step.dim;
    return step.out == view.data && view.size() == size ? &step.also : nullptr;
  }
  if (record.header.kind == StepKind::kRows) {
    RowsStep& step = record.rows;
    if (view.size() != step.n || view.dtype != step.result_dtype) return nullptr;
    if (step.end == RowsEnd::kStore && step.out == view.data) return &step.also;
    const bool turned = step.end == RowsEnd::kTurn && step.turned == view.data;
    return turned ? &step.turned_also : nullptr;
  }
  return nullptr;
}

// What a rope turns is all of what the step makes.
bool MakesTurned(const StepRecord& record, const RopeStep& rope) {
  const RowsStep& step = record.rows;
  return record.header.kind == StepKind::kRows && step.end == RowsEnd::kStore &&
         step.out == rope.x && step.also == nullptr &&
         step.n == rope.heads * rope.dim && step.result_dtype == DType::F16;
}

}  // namespace

// A group that the kernel knows: one instruction on the product and a row of halves.
void StepList::RecognizeEnd(RowsStep& step) {
  const SmallGroup& group = step.group;
  const ElementwiseGroup::Instruction& only = group.instruction[0];
  const auto is_half_row = [&](int k) {
    const SmallGroup::Input& x = group.input[k];
    return x.dtype == DType::F16 && group.axes == 1 && x.strides[0] == 1;
  };
  step.end = RowsEnd::kGroup;
  if (group.instructions != 1 || group.handed_over != 1 || group.outputs != 1 ||
      step.result_dtype != DType::F16 || only.dtype != DType::F16 ||
      group.output[0].dtype != DType::F16 || group.output[0].value != group.inputs) {
    return;
  }
  if (group.inputs == 1 && only.op == OpId::Silu) {
    step.end = RowsEnd::kSilu;
  } else if (group.inputs == 2 && is_half_row(1) &&
             only.operand[0] + only.operand[1] == 1) {
    if (only.op == OpId::Add) step.end = RowsEnd::kAdd;
    if (only.op == OpId::Mul) step.end = RowsEnd::kMul;
  }
  if (step.end == RowsEnd::kGroup) return;
  step.out = group.output[0].data;
  if (group.inputs == 2) step.operand = group.input[1].data;
}

bool StepList::MeetsHeldNorm(const Touched& touched) const {
  const auto meets = [&](const std::vector<Range>& ranges, const Range& norm) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Range& range) { return range.Meets(norm); });
  };
  return held_norm_ && (meets(touched.writes, held_norm_->read) ||
                        meets(touched.writes, held_norm_->written) ||
                        meets(touched.reads, held_norm_->written));
}

// Makes the norm that was held for this product a part of it, or emits it.
void StepList::FoldNorm(const View& x, RowsStep& step, Touched& touched) {
  if (!held_norm_) return;
  const HeldNorm& norm = *held_norm_;
  const bool reads_it =
      norm.step.out == x.data && norm.step.k == step.k &&
      IsAligned(norm.step.x) && IsAligned(norm.step.weight) &&
      FitsTile(norm.step.k * ElementBytes(norm.step.weight_dtype));
  const bool overwrites =
      std::any_of(touched.writes.begin(), touched.writes.end(),
                  [&](const Range& range) { return range.Meets(norm.read); });
  if (!reads_it || overwrites || norm.written.Meets(norm.read)) {
    return EmitHeldNorm();
  }
  step.x = norm.step.x;
  step.norm_weight = norm.step.weight;
  step.norm_dtype = norm.step.weight_dtype;
  step.norm_out = norm.step.out;
  step.eps = norm.step.eps;
  touched.reads.push_back(norm.read);
  touched.writes.push_back(norm.written);
  held_norm_.reset();
}

// What a step of the last levels has just made may be written to both places by
// that step: keys and values go into a cache so.
bool StepList::FoldAssign(const View& from, const View& to) {
  if (!IsDense(from) || !IsDense(to) || from.size() != to.size() ||
      from.dtype != to.dtype) {
    return false;
  }
  Touched writing;
  writing.writes = {RangeOf(to)};
  if (MeetsHeldNorm(writing)) return false;
  for (size_t l = levels_.size(); l-- > 0 && l + kLevelsBack >= levels_.size();) {
    Level& level = levels_[l];
    for (size_t i = level.records.size(); i-- > 0;) {
      StepRecord& record = level.records[i];
      std::byte** also = AlsoOf(record, from);
      if (also == nullptr) continue;
      // What else is in its level runs beside it.
      for (size_t other = 0; other < level.touched.size(); ++other) {
        if (other != i && MustFollow(writing, level.touched[other])) return false;
      }
      if (*also != nullptr) return false;
      *also = to.data;
      level.touched[i].writes.push_back(writing.writes[0]);
      return true;
    }
    for (const Touched& touched : level.touched) {
      if (MustFollow(writing, touched)) return false;
    }
  }
  return false;
}

// Of one token whose pairs are neighbours: the product that makes x turns it.
bool StepList::FoldRope(const RopeStep& rope, const Touched& touched) {
  if (rope.seq != 1 || rope.halves || rope.dtype != DType::F16 ||
      !std::has_single_bit(static_cast<unsigned>(rope.dim)) ||
      MeetsHeldNorm(touched)) {
    return false;
  }
  for (size_t l = levels_.size(); l-- > 0 && l + kLevelsBack >= levels_.size();) {
    Level& level = levels_[l];
    size_t maker = level.records.size();
    for (size_t i = 0; i < level.records.size(); ++i) {
      if (MakesTurned(level.records[i], rope)) {
        maker = i;
      } else if (MustFollow(touched, level.touched[i])) {
        return false;
      }
    }
    if (maker < level.records.size()) return TurnIn(level, maker, rope, touched);
  }
  return false;
}

// Other rows are then a thread's: nothing of the level may have counted on them.
bool StepList::TurnIn(Level& level, size_t maker, const RopeStep& rope,
                      const Touched& touched) {
  RowsStep step = level.records[maker].rows;
  if (!GroupInPairs(step)) return false;
  Touched turning = level.touched[maker];
  turning.rows_per_group = step.rows_per_group;
  for (size_t i = 0; i < level.touched.size(); ++i) {
    if (i != maker && (MustFollow(level.touched[i], turning) ||
                       MustFollow(turning, level.touched[i]))) {
      return false;
    }
  }
  step.end = RowsEnd::kTurn;
  step.cos = rope.cos;
  step.sin = rope.sin;
  step.turned = rope.out;
  step.head_elements = rope.dim;
  turning.writes.insert(turning.writes.end(), touched.writes.begin(),
                        touched.writes.end());
  turning.reads.insert(turning.reads.end(), touched.reads.begin(),
                       touched.reads.end());
  level.records[maker].rows = step;
  level.touched[maker] = std::move(turning);
  return true;
}

}  // namespace tl::cuda
