// Steps of a list that move rows: turned, copied, written, or selected from a table;
// and that find the largest element of one.
#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/dispatch.h"
#include "cuda/packed_rows.h"
#include "cuda/runtime.h"
#include "cuda/step_list.h"
#include "cuda/step_list_views.h"
#include "exec/region.h"

namespace tl::cuda {

bool StepList::AddRope(const KernelArgs& args) {
  const View& x = args.inputs[0];
  StepRecord record = {};
  RopeStep& step = record.rope;
  if (x.size() > kMostForOneBlock ||
      x.size() != DimOf(x, 0) * DimOf(x, 1) * DimOf(x, 2)) {
    return false;
  }
  step.header.kind = StepKind::kRope;
  step.dtype = x.dtype;
  step.halves = args.ints[0] == 1;
  step.dim = static_cast<int32_t>(DimOf(x, 0));
  step.heads = static_cast<int32_t>(DimOf(x, 1));
  step.seq = static_cast<int32_t>(DimOf(x, 2));
  step.x = x.data;
  step.cos = args.inputs[1].data;
  step.sin = args.inputs[2].data;
  step.out = args.outputs[0].data;
  Touched touched;
  for (const View& input : args.inputs) touched.reads.push_back(RangeOf(input));
  touched.writes = {RangeOf(args.outputs[0])};
  if (FoldRope(step, touched)) return true;
  EmitHeldNorm();
  Append(record, std::move(touched), false, {});
  return true;
}

bool StepList::AddCopy(const View& from, const View& to) {
  StepRecord record = {};
  CopyStep& step = record.copy;
  if (to.rank > CopyStep::kMaxAxes || to.size() > kMostForOneBlock) return false;
  EmitHeldNorm();
  step.header.kind = StepKind::kCopy;
  step.element_bytes = static_cast<int32_t>(ElementBytes(to.dtype));
  step.size = static_cast<int32_t>(to.size());
  step.from = from.data;
  step.to = to.data;
  const int added = CopyStep::kMaxAxes - to.rank;
  std::fill_n(step.dims, added, 1);
  for (int axis = 0; axis < to.rank; ++axis) {
    const int own = axis - (to.rank - from.rank);
    step.dims[added + axis] = static_cast<int32_t>(to.dims[axis]);
    step.to_strides[added + axis] = to.strides[axis];
    step.from_strides[added + axis] =
        own < 0 || from.dims[own] == 1 ? 0 : from.strides[own];
  }
  Touched touched;
  touched.reads = {RangeOf(from)};
  touched.writes = {RangeOf(to)};
  Append(record, std::move(touched), true, {});
  return true;
}

bool StepList::AddBytes(std::byte* to, const std::byte* from, int64_t bytes) {
  StepRecord record = {};
  WriteStep& step = record.write;
  constexpr int64_t kWord = sizeof(uint32_t);
  if (Card().capability < kLeastCapability || bytes <= 0 ||
      bytes > WriteStep::kMostBytes || bytes % kWord != 0 ||
      !IsAligned(to, kWord)) {
    return false;
  }
  EmitHeldNorm();
  step.header.kind = StepKind::kWrite;
  step.words = static_cast<int32_t>(bytes / kWord);
  step.to = to;
  std::memcpy(step.word, from, static_cast<size_t>(bytes));
  Touched touched;
  touched.writes = {{to, to + bytes}};
  Append(record, std::move(touched), true, {});
  return true;
}

// A row of a table: what a token's number stands for.
bool StepList::AddSelect(const KernelArgs& args) {
  const View &table = args.inputs[0], &index = args.inputs[1];
  const View& out = args.outputs[0];
  if (!args.indices_checked || args.ints[0] != 0 || table.rank != 2 ||
      index.size() != 1 || out.dtype != DType::F16) {
    return false;
  }
  const int64_t rows = DimOf(table, 1), k = DimOf(table, 0);
  if (!HasRowProduct(table.dtype) || k % 8 != 0 || k > kMostForOneBlock ||
      !FitsInt32(rows) || StrideOf(table, 0) != 1 || StrideOf(table, 1) != k) {
    return false;
  }
  StepRecord record = {};
  SelectStep& step = record.select;
  step.header.kind = StepKind::kSelect;
  step.dtype = table.dtype;
  step.rows = static_cast<int32_t>(rows);
  step.k = static_cast<int32_t>(k);
  step.row_bytes = BlockBytes(table.dtype, k);
  step.table = table.data;
  step.index = index.as<const int32_t>();
  step.out = out.data;
  EmitHeldNorm();
  Touched touched;
  touched.reads = {RangeOf(index), {table.data, table.data + rows * step.row_bytes}};
  touched.writes = {RangeOf(out)};
  Append(record, std::move(touched), true, {});
  return true;
}

// Of all that x has: what becomes of a model's logits.
bool StepList::AddArgmax(const KernelArgs& args) {
  constexpr int kMostSteps = 16;
  constexpr int64_t kRoom = 16;  // of a step: the best, and who has counted himself in
  constexpr int64_t kOfBlock = 4096;
  const View &x = args.inputs[0], &out = args.outputs[0];
  if ((x.dtype != DType::F16 && x.dtype != DType::F32) || out.size() != 1 ||
      x.size() == 0 || !FitsInt32(x.size()) || argmax_steps_ == kMostSteps) {
    return false;
  }
  if (!argmax_) {
    argmax_ = AllocateScratch(kMostSteps * kRoom);
    Fill(argmax_.get(), 0, kMostSteps * kRoom);
  }
  std::byte* const room = argmax_.get() + argmax_steps_++ * kRoom;
  StepRecord record = {};
  ArgmaxStep& step = record.argmax;
  step.header.kind = StepKind::kArgmax;
  step.dtype = x.dtype;
  step.size = static_cast<int32_t>(x.size());
  step.x = x.data;
  step.out = out.as<int32_t>();
  step.best = reinterpret_cast<unsigned long long*>(room);
  step.counted = reinterpret_cast<unsigned*>(room + sizeof(*step.best));
  EmitHeldNorm();
  Touched touched;
  touched.reads = {RangeOf(x)};
  touched.writes = {RangeOf(out)};
  const size_t level = Append(record, std::move(touched), false, {});
  levels_[level].records.back().header.blocks = static_cast<int16_t>(
      std::min<int64_t>(CeilDiv(x.size(), kOfBlock), Card().multiprocessors));
  return true;
}

// Only where x is written where it lies.
bool StepList::AddAssign(const KernelArgs& args) {
  if (args.inputs[0].data != args.outputs[0].data) return false;
  const View to = RegionOf(args.outputs[0], args);
  return FoldAssign(args.inputs[1], to) || AddCopy(args.inputs[1], to);
}

}  // namespace tl::cuda
