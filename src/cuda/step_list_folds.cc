// What becomes part of a step that is in the list already, or of the next: norms
// before products, what follows them, ropes, writing to caches, and products of the
// same x.
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

// The part of a step that stores its `size` products at `out`, or null.
RowsPart* PartThatStores(RowsStep& step, const std::byte* out, int64_t size) {
  if (step.end != RowsEnd::kStore && step.end != RowsEnd::kTurn) return nullptr;
  for (int i = 0; i < step.parts; ++i) {
    if (step.part[i].out == out && RowsOfPart(step, i) == size) return &step.part[i];
  }
  return nullptr;
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
    if (view.dtype != step.result_dtype) return nullptr;
    RowsPart* part = PartThatStores(step, view.data, view.size());
    if (part) return &part->also;
    for (int i = 0; i < step.parts; ++i) {
      RowsPart& turned = step.part[i];
      if (turned.turns && turned.turned == view.data &&
          RowsOfPart(step, i) == view.size()) {
        return &turned.turned_also;
      }
    }
  }
  return nullptr;
}

// The part of a step all of whose products a rope turns, or null.
RowsPart* PartToTurn(StepRecord& record, const RopeStep& rope) {
  if (record.header.kind != StepKind::kRows) return nullptr;
  RowsStep& step = record.rows;
  const bool other_angles =
      step.end == RowsEnd::kTurn && (step.cos != rope.cos || step.sin != rope.sin ||
                                     step.head_elements != rope.dim);
  RowsPart* part = PartThatStores(step, rope.x, rope.heads * rope.dim);
  return part && !part->turns && !part->also && !other_angles &&
                 step.result_dtype == DType::F16
             ? part
             : nullptr;
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
  step.part[0].out = group.output[0].data;
  if (group.inputs == 2) step.operand = group.input[1].data;
}

bool StepList::Meet(const Ranges& ranges, const Range& other) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return range.Meets(other); });
}

bool StepList::MeetsHeldNorm(const Touched& touched) const {
  return held_norm_ && (Meet(touched.writes, held_norm_->read) ||
                        Meet(touched.writes, held_norm_->weights) ||
                        Meet(touched.writes, held_norm_->written) ||
                        Meet(touched.reads, held_norm_->written));
}

// Makes the norm that was held for this product a part of it, or emits it.
void StepList::FoldNorm(const View& x, RowsStep& step, Touched& touched) {
  if (!held_norm_) return;
  const HeldNorm& norm = *held_norm_;
  const bool reads_it =
      norm.step.out == x.data && norm.step.k == step.k &&
      IsAligned(norm.step.x) && IsAligned(norm.step.weight) &&
      FitsTile(norm.step.k * ElementBytes(norm.step.weight_dtype));
  // x is made by each block for itself; whatever else the product touches, no
  // block may be at work on.
  const bool apart = !Meet(touched.writes, norm.read) &&
                     !Meet(touched.writes, norm.written) &&
                     !Meet(touched.reads, norm.written) &&
                     !norm.written.Meets(norm.read);
  if (!reads_it || !apart) return EmitHeldNorm();
  step.x = norm.step.x;
  step.norm_weight = norm.step.weight;
  step.norm_dtype = norm.step.weight_dtype;
  step.norm_out = norm.step.out;
  step.eps = norm.step.eps;
  touched.reads.push_back(norm.read);
  touched.reads.push_back(norm.weights);
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
  writing.reads = {RangeOf(from)};  // as it is when all before it is done
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
      NoteWrites(writing.writes);
      return true;
    }
    if (MustFollow(writing, level)) return false;
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
      if (PartToTurn(level.records[i], rope)) {
        maker = i;
      } else if (MustFollow(touched, level.touched[i])) {
        return false;
      }
    }
    if (maker < level.records.size()) return TurnIn(level, maker, rope, touched);
  }
  return false;
}

bool StepList::TurnIn(Level& level, size_t maker, const RopeStep& rope,
                      const Touched& touched) {
  StepRecord record = level.records[maker];
  RowsStep& step = record.rows;
  RowsPart& part = *PartToTurn(record, rope);
  // Another part may have made what was read before the rope's result took its place.
  Touched made = level.touched[maker];
  made.ForgetByRow();
  Touched turned;
  turned.writes = touched.writes;
  if (MustFollow(turned, made) || !GroupInPairs(step)) return false;
  part.turned = rope.out;
  part.turns = true;
  step.end = RowsEnd::kTurn;
  step.cos = rope.cos;
  step.sin = rope.sin;
  step.head_elements = rope.dim;
  Touched more = touched;
  for (Range& read : more.reads) {
    if (read.begin == rope.x) read = {};  // which is at hand
  }
  return Recut(level, maker, record, more);
}

// Puts a record in its place that has other rows in its threads, and touches `more`:
// nothing else of the level may have counted on the rows or meet what it touches.
bool StepList::Recut(Level& level, size_t at, const StepRecord& record,
                     const Touched& more) {
  Touched touched = level.touched[at];
  touched.NoteCut(record.rows);
  for (const Range& range : more.writes) touched.writes.push_back(range);
  for (const Range& range : more.reads) touched.reads.push_back(range);
  if (record.rows.parts > 1) touched.ForgetByRow();
  for (size_t i = 0; i < level.touched.size(); ++i) {
    if (i != at && (MustFollow(level.touched[i], touched) ||
                    MustFollow(touched, level.touched[i]))) {
      return false;
    }
  }
  NoteWrites(more.writes);
  level.records[at] = record;
  level.touched[at] = std::move(touched);
  return true;
}

// A product with the x of the level's last step, of which it becomes a part where
// the two are stored, or where it is multiplied by the silu of the other.
bool StepList::JoinRows(const RowsStep& step, const Touched& touched, Level& level) {
  StepRecord record = level.records.back();
  if (record.header.kind != StepKind::kRows) return false;
  RowsStep& all = record.rows;
  const bool gates = all.end == RowsEnd::kSilu && step.end == RowsEnd::kMul &&
                     all.n == step.n && step.operand == all.part[0].out;
  const bool stored = all.end == RowsEnd::kStore || all.end == RowsEnd::kTurn;
  const bool stores = stored && step.end == RowsEnd::kStore && all.n % 2 == 0 &&
                      step.n % 2 == 0 && all.parts < RowsStep::kMaxParts;
  if ((!gates && !stores) || all.k != step.k || all.w_dtype != step.w_dtype ||
      all.result_dtype != step.result_dtype || step.row_bytes % 16 != 0 ||
      !IsAligned(all.part[0].w) || !IsAligned(step.part[0].w)) {
    return false;
  }
  if (gates) all.end = RowsEnd::kGated;
  RowsPart& part = all.part[all.parts++] = step.part[0];
  part.end = all.n + step.n;
  CutRows(part.end, all.k, all.row_bytes, Card().multiprocessors, all);
  if (all.end != RowsEnd::kStore && !GroupInPairs(all)) return false;
  Touched more = touched, apart = touched;
  for (Range& read : more.reads) {
    if (gates && read.begin == step.operand) read = {};  // which is at hand
  }
  // Rows of the two are not in the same threads, but for those that are gated.
  apart.reads = more.reads;
  for (Range& write : apart.writes) {
    if (gates && write.begin == step.operand) write = {};
  }
  if (OrderOf(apart, level.touched.back()) != Order::kAny) return false;
  return Recut(level, level.records.size() - 1, record, more);
}

}  // namespace tl::cuda
