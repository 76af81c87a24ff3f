#include "cuda/step_list.h"

#include <algorithm>
#include <utility>

#include "cuda/dispatch.h"
#include "cuda/packed_rows.h"
#include "cuda/run_steps.h"
#include "cuda/runtime.h"
#include "cuda/step_list_views.h"

namespace tl::cuda {
namespace {

// What is longer fills the card by itself.
constexpr int64_t kMostElements = 64 * 1024;

// One row of x, and a matrix whose rows lie one after the other.
bool IsRowProduct(const KernelArgs& args) {
  const View &x = args.inputs[0], &w = args.inputs[1];
  const int64_t k = DimOf(x, 0), n = DimOf(w, 0);
  const bool exact = args.ints.size() > 1 && args.ints[1] == 1;
  if (x.dtype != DType::F16 || x.size() != k || StrideOf(x, 0) != 1 ||
      w.size() != k * n || n == 0 || k == 0 || !FitsInt32(n)) {
    return false;
  }
  return HasRowProduct(w.dtype) && (!IsPacked(w.dtype) || !exact) &&
         k % RowProductColumns(w.dtype) == 0 && StrideOf(w, 1) == 1 &&
         (n == 1 || StrideOf(w, 0) == k) &&
         IsAligned(x.data) && IsAligned(w.data, IsPacked(w.dtype) ? 4 : 16) &&
         (args.dtype == DType::F16 || args.dtype == DType::F32);
}

bool AreProducts(const std::vector<StepRecord>& records) {
  return std::ranges::all_of(records, [](const StepRecord& record) {
    return record.header.kind == StepKind::kRows;
  });
}

}  // namespace

StepList::Range StepList::RangeOf(const View& view) {
  int64_t low = 0, high = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t reach = (view.dims[axis] - 1) * view.strides[axis];
    (reach < 0 ? low : high) += reach;
  }
  const int64_t bytes = ElementBytes(view.dtype);
  return {view.data + low * bytes, view.data + (high + 1) * bytes};
}

// After it where the other's results, or memory that the other still reads, are
// touched by another thread.
StepList::Order StepList::OrderOf(const Touched& step, const Touched& before) {
  const bool same_rows = step.rows == before.rows &&
                         step.rows_per_round == before.rows_per_round &&
                         step.rows_per_group == before.rows_per_group &&
                         step.first_warp == before.first_warp;
  Order order = Order::kAny;
  const auto meet = [&](const Ranges& a, const Ranges& b) {
    for (const Range& x : a) {
      for (const Range& y : b) {
        if (!x.Meets(y)) continue;
        order = Order::kBehind;
        const bool same_thread = same_rows && x.by_row && y.by_row &&
                                 x.begin == y.begin && x.end == y.end;
        if (!same_thread) return true;
      }
    }
    return false;
  };
  const bool after = meet(step.reads, before.writes) ||
                     meet(step.writes, before.writes) ||
                     meet(step.writes, before.reads);
  return after ? Order::kAfter : order;
}

bool StepList::MustFollow(const Touched& step, const Touched& before) {
  return OrderOf(step, before) == Order::kAfter;
}

bool StepList::MustFollow(const Touched& step, const Level& level) {
  return std::any_of(
      level.touched.begin(), level.touched.end(),
      [&](const Touched& before) { return MustFollow(step, before); });
}

// The earliest level where the step is behind all that it must be behind.
StepList::Position StepList::PositionOf(const Touched& touched, bool alone,
                                        const PreparedX& x) const {
  for (size_t l = levels_.size(); l-- > 0;) {
    const Level& level = levels_[l];
    // What a step of this level left in shared memory is read from there, not
    // from where it is written as well.
    if (x.data != nullptr && level.prepared == x) {
      return {l, StepWait::kNone, kAnyBlock};
    }
    Position position = {l, StepWait::kNone, kAnyBlock};
    bool behind = false;
    for (const Touched& before : level.touched) {
      const Order order = OrderOf(touched, before);
      behind |= order != Order::kAny;
      if (order != Order::kAfter) continue;
      const bool one_block =
          alone && before.block != kAnyBlock &&
          (position.block == kAnyBlock || position.block == before.block);
      if (!one_block) return {l + 1, StepWait::kGrid, kAnyBlock};
      position = {l, StepWait::kBlock, before.block};
    }
    if (behind) return position;
  }
  return {};
}

// Weights are fetched ahead of all waits: those that the list makes itself are not
// there yet.
bool StepList::IsWritten(const Range& range) const {
  return written_.Meets(range.begin, range.end) ||
         (held_norm_ && held_norm_->written.Meets(range));
}

void StepList::NoteWrites(const Ranges& writes) {
  for (const Range& range : writes) {
    written_.Insert(range.begin, range.end);
    forgotten_.Remove(range.begin, range.end);
  }
}

size_t StepList::Append(StepRecord& record, Touched touched, bool alone,
                        const PreparedX& x) {
  Position position = PositionOf(touched, alone, x);
  if (position.level == levels_.size()) {
    if (spare_levels_.empty()) spare_levels_.emplace_back();
    levels_.push_back(std::move(spare_levels_.back()));
    spare_levels_.pop_back();
  }
  Level& level = levels_[position.level];
  if (alone && position.block == kAnyBlock) {
    position.block = next_block_;
    next_block_ = static_cast<int16_t>((next_block_ + 1) % Card().multiprocessors);
  }
  record.header.wait =
      position.wait == StepWait::kBlock ? StepWait::kBlock : StepWait::kNone;
  record.header.first_block = alone ? position.block : int16_t{0};
  record.header.blocks = alone ? int16_t{1} : kAllBlocks;
  touched.block = position.block;
  touched.lap = lap_;
  NoteWrites(touched.writes);
  level.records.push_back(record);
  level.touched.push_back(std::move(touched));
  return position.level;
}

// --- Elementwise --------------------------------------------------------------

bool StepList::TouchGroup(const ElementwiseGroup& group, bool by_row,
                          SmallGroup& small, Touched& touched) {
  if (group.inputs > SmallGroup::kMaxInputs ||
      group.instructions > SmallGroup::kMaxInstructions ||
      group.outputs > SmallGroup::kMaxOutputs ||
      group.rank > SmallGroup::kMaxAxes || !FitsInt32(group.size)) {
    return false;
  }
  small.inputs = static_cast<uint8_t>(group.inputs);
  small.handed_over = static_cast<uint8_t>(group.handed_over);
  small.instructions = static_cast<uint8_t>(group.instructions);
  small.outputs = static_cast<uint8_t>(group.outputs);
  small.axes = static_cast<uint8_t>(group.rank);
  small.size = static_cast<int32_t>(group.size);
  for (int axis = 0; axis < group.rank; ++axis) {
    small.dims[axis] = static_cast<int32_t>(group.dims[axis]);
  }
  for (int k = group.handed_over; k < group.inputs; ++k) {
    const ElementwiseGroup::Input& x = group.input[k];
    small.input[k].data = x.data;
    small.input[k].dtype = x.dtype;
    View view = {const_cast<std::byte*>(x.data), x.dtype, group.rank, {}, {}};
    for (int axis = 0; axis < group.rank; ++axis) {
      if (!FitsInt32(x.strides[axis])) return false;
      small.input[k].strides[axis] = static_cast<int32_t>(x.strides[axis]);
      view.dims[axis] = group.dims[axis];
      view.strides[axis] = x.strides[axis];
    }
    Range range = RangeOf(view);
    range.by_row = by_row && x.access == ElementwiseGroup::Access::kFlat;
    touched.reads.push_back(range);
  }
  for (int i = 0; i < group.instructions; ++i) {
    small.instruction[i] = group.instruction[i];
  }
  for (int k = 0; k < group.outputs; ++k) {
    const ElementwiseGroup::Output& out = group.output[k];
    small.output[k] = {out.data, out.dtype, out.value};
    touched.writes.push_back(
        {out.data, out.data + group.size * ElementBytes(out.dtype), by_row});
  }
  return true;
}

bool StepList::AddElementwise(const KernelArgs& args) {
  const View& out = args.outputs[0];
  if (out.size() > kMostElements) return false;
  if (IsCopy(*args.program) && args.outputs.size() == 1) {
    return AddCopy(args.inputs[0], out);
  }
  StepRecord record = {};
  Touched touched;
  record.header.kind = StepKind::kElementwise;
  const ElementwiseGroup group(*args.program, args.inputs, args.outputs);
  if (!TouchGroup(group, false, record.elementwise.group, touched)) return false;
  EmitHeldNorm();
  Append(record, std::move(touched), group.size <= kMostForOneBlock, {});
  return true;
}

// --- Products -------------------------------------------------------------------

bool StepList::AddRows(const KernelArgs& args) {
  if (!IsRowProduct(args)) return false;
  const View &x = args.inputs[0], &w = args.inputs[1];
  const int64_t row_bytes = BlockBytes(w.dtype, DimOf(x, 0));
  const Range weights = {w.data, w.data + DimOf(w, 0) * row_bytes};
  if (IsWritten(weights)) return false;
  StepRecord record = {};
  RowsStep& step = record.rows;
  Touched touched;
  touched.reads = {weights};
  step.header.kind = StepKind::kRows;
  step.w_dtype = w.dtype;
  step.result_dtype = args.dtype;
  if (!CutRows(DimOf(w, 0), DimOf(x, 0), row_bytes, Card().multiprocessors,
               step)) {
    return false;
  }
  step.parts = 1;
  step.part[0].w = w.data;
  step.part[0].end = step.n;
  step.x = x.data;
  touched.rows = step.n;
  touched.NoteCut(step);
  if (args.program) {
    const ElementwiseGroup group(*args.program, args.inputs.subspan(2),
                                 args.outputs);
    if (group.size != step.n || !TouchGroup(group, true, step.group, touched)) {
      return false;
    }
    RecognizeEnd(step);
  } else {
    step.part[0].out = args.outputs[0].data;
    Range range = RangeOf(args.outputs[0]);
    range.by_row = true;
    touched.writes.push_back(range);
  }
  FoldNorm(x, step, touched);
  PlaceRows(record, std::move(touched), x);
  return true;
}

// A product goes where its x is in shared memory already, if all else that it
// touches allows that; else it brings its x.
void StepList::PlaceRows(StepRecord& record, Touched touched, const View& x) {
  RowsStep& step = record.rows;
  const PreparedX wanted = {x.data, IsPacked(step.w_dtype)};
  step.fresh_x = true;
  PreparedX shared;
  if (!step.norm_weight) {
    Touched with_x = touched;
    with_x.reads.push_back(RangeOf(x));
    const size_t joined = PositionOf(with_x, false, wanted).level;
    step.fresh_x = joined == levels_.size() || levels_[joined].prepared != wanted ||
                   MustFollow(touched, levels_[joined]);
    if (step.fresh_x) {
      touched = std::move(with_x);
    } else {
      shared = wanted;
    }
  }
  const Position position = PositionOf(touched, false, shared);
  if (!step.fresh_x && JoinRows(step, touched, levels_[position.level])) {
    Level& level = levels_[position.level];
    const RowsStep& all = level.records.back().rows;
    level.next_warp = WarpAfter(all.first_warp, GroupsPerBlock(all));
    return;
  }
  // What follows nothing of the same thread may go to warps that have less to do.
  if (step.end == RowsEnd::kStore && position.level < levels_.size()) {
    touched.first_warp = levels_[position.level].next_warp;
    if (MustFollow(touched, levels_[position.level])) touched.first_warp = 0;
  }
  step.first_warp = touched.first_warp;
  Level& level = levels_[Append(record, std::move(touched), false, shared)];
  level.prepared = wanted;
  level.next_warp = WarpAfter(step.first_warp, GroupsPerBlock(step));
}

bool StepList::AddRmsNorm(const KernelArgs& args) {
  const View &x = args.inputs[0], &weight = args.inputs[1];
  const View& out = args.outputs[0];
  const int64_t k = DimOf(x, 0);
  if (x.size() != k || k > kMostForOneBlock * 4 || x.dtype != DType::F16 ||
      out.dtype != DType::F16 || IsWritten(RangeOf(weight))) {
    return false;
  }
  EmitHeldNorm();
  HeldNorm held = {};
  held.step.header.kind = StepKind::kRmsNorm;
  held.step.k = static_cast<int32_t>(k);
  held.step.eps = static_cast<float>(args.numbers[0]);
  held.step.weight_dtype = weight.dtype;
  held.step.x = x.data;
  held.step.weight = weight.data;
  held.step.out = out.data;
  held.read = RangeOf(x);
  held.weights = RangeOf(weight);
  held.written = RangeOf(out);
  held.lap = lap_;
  held_norm_ = held;
  return true;
}

void StepList::EmitHeldNorm() {
  if (!held_norm_) return;
  const HeldNorm held = *held_norm_;
  held_norm_.reset();
  StepRecord record = {};
  record.rms_norm = held.step;
  Touched touched;
  touched.reads = {held.read, held.weights};
  touched.writes = {held.written};
  const int lap = std::exchange(lap_, held.lap);  // of what comes after it
  Append(record, std::move(touched), true, {});
  lap_ = lap;
}

// --- All of it ------------------------------------------------------------------

bool StepList::Add(OpId op, const KernelArgs& args, int lap) {
  if (Card().capability < kLeastCapability) return false;
  lap_ = lap;
  switch (op) {
    case OpId::Identity:
      return AddElementwise(args);
    case OpId::Matmul:
      return AddRows(args);
    case OpId::RmsNorm:
      return AddRmsNorm(args);
    case OpId::Rope:
      return AddRope(args);
    case OpId::Assign:
      return AddAssign(args);
    case OpId::Attention:
      return AddAttention(args);
    case OpId::IndexSelect:
      return AddSelect(args);
    case OpId::Argmax:
      return AddArgmax(args);
    default:
      return false;
  }
}

size_t StepList::steps() const {
  size_t steps = 0;
  for (const Level& level : levels_) steps += level.records.size();
  return steps;
}

// Whether all that steps fetch ahead of waits is known to be there before the launch
// that this one follows is over: that was the last list's, and it writes none of it.
bool StepList::WeightsAreThere() const {
  const auto is_there = [&](const std::byte* data, int64_t bytes) {
    return data == nullptr || !last_written_.Meets(data, data + bytes);
  };
  const auto has_weights_there = [&](const StepRecord& record) {
    const RowsStep& step = record.rows;
    const int64_t norm_bytes = step.k * ElementBytes(step.norm_dtype);
    if (!is_there(step.norm_weight, norm_bytes)) return false;
    for (int i = 0; i < step.parts; ++i) {
      const int64_t bytes = int64_t{RowsOfPart(step, i)} * step.row_bytes;
      if (!is_there(step.part[i].w, bytes)) return false;
    }
    return true;
  };
  return WorkCount() == last_launch_ && AreProducts(records_) &&
         std::ranges::all_of(records_, has_weights_there);
}

void StepList::Forget(std::span<const std::byte> bytes) {
  if (levels_.empty() || bytes.empty()) return;
  forgotten_.Insert(bytes.data(), bytes.data() + bytes.size());
}

void StepList::Flush(Laps* laps) {
  EmitHeldNorm();
  if (levels_.empty()) return;
  const int blocks = Card().multiprocessors;
  if (!counter_) {
    counter_ = AllocateScratch(sizeof(unsigned));
    Fill(counter_.get(), 0, sizeof(unsigned));
  }
  records_.clear();
  std::vector<int> laps_of_records;
  waits_ = HandRows();
  for (size_t l = 0; l < levels_.size(); ++l) {
    records_.insert(records_.end(), levels_[l].records.begin(),
                    levels_[l].records.end());
    for (const Touched& touched : levels_[l].touched) {
      laps_of_records.push_back(touched.lap);
    }
  }
  for (StepRecord& record : records_) record.header.run = RunOf(record);
  const bool many = records_.size() > kFewSteps;
  const std::byte* on_card = nullptr;
  if (many) {
    on_card = upload_.Put(reinterpret_cast<const std::byte*>(records_.data()),
                          static_cast<int64_t>(records_.size() * sizeof(StepRecord)));
  }
  RunSteps({.steps = records_,
            .on_card = reinterpret_cast<const StepRecord*>(on_card),
            .counter = reinterpret_cast<unsigned*>(counter_.get()),
            .reached = reached_,
            .times = laps ? laps->NoteSteps(std::move(laps_of_records)) : nullptr,
            .together = levels_.size() > 1 || !AreProducts(records_),
            .weights_are_there = WeightsAreThere()},
           blocks);
  last_launch_ = WorkCount();
  if (many) upload_.Launched();
  reached_ += waits_ * static_cast<unsigned>(blocks);
  for (Level& level : levels_) {
    level.Clear();
    spare_levels_.push_back(std::move(level));
  }
  levels_.clear();
  std::swap(written_, last_written_);
  written_.clear();
  forgotten_.clear();
  scratch_.clear();
  argmax_steps_ = 0;
}

}  // namespace tl::cuda
