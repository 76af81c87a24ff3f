// Steps of a list that move rows: turned, copied, written, or selected from a table.
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

// Only where x is written where it lies.
bool StepList::AddAssign(const KernelArgs& args) {
  if (args.inputs[0].data != args.outputs[0].data) return false;
  const View to = RegionOf(args.outputs[0], args);
  return FoldAssign(args.inputs[1], to) || AddCopy(args.inputs[1], to);
}

}  // namespace tl::cuda
