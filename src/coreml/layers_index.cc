// Layers that select and write by index, or by a condition.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// Along the width, height or channels; where the end lies behind the last
// element it is the end.
MilResult SliceLayer(const LayerCall& call) {
  const spec::Slice& layer = call.layer().slice();
  const TensorRef& x = call.x();
  const int axis = call.Axis(int64_t(layer.axis()) - 3);
  const int64_t length = x->shape().dim(axis);
  const auto from_start = [&](int64_t i) { return i < 0 ? i + length : i; };
  const int64_t start = from_start(layer.start_index());
  const int64_t end = std::min(from_start(layer.end_index()), length);
  const auto stride = static_cast<int64_t>(layer.stride());
  if (start < 0 || start >= end || stride < 1) {
    Fail(ErrorKind::kInput,
         "a slice from {} to {} with stride {} of axis {} of shape {}",
         layer.start_index(), layer.end_index(), layer.stride(), axis,
         x->shape().ToString());
  }
  return Slice(call.lo(), x, axis, start, (end - start - 1) / stride + 1,
               stride);
}

MilResult SliceStaticLayer(const LayerCall& call) {
  const spec::SliceStatic& layer = call.layer().slice_static();
  const auto rank = static_cast<size_t>(call.x()->rank());
  std::vector<int64_t> squeezed = ListOf(layer.squeeze_masks());
  squeezed.resize(rank, 0);
  return call.Mil("slice_by_index",
                  {{"x", call.x()},
                   call.Ints("begin", layer.begin_ids()),
                   call.Ints("end", layer.end_ids()),
                   call.Ints("stride", layer.strides()),
                   call.Ints("begin_mask", layer.begin_masks()),
                   call.Ints("end_mask", layer.end_masks()),
                   call.Ints("squeeze_mask", squeezed)});
}

// Begins, and in this order the ends, strides and masks: those that are no
// inputs are the layer's own.
MilResult SliceDynamicLayer(const LayerCall& call) {
  const spec::SliceDynamic& layer = call.layer().slice_dynamic();
  const auto given = [&](std::string_view name, size_t i, const auto& own) {
    return i < call.inputs().size() ? LayerCall::Input(name, call.x(i))
                                    : call.Ints(name, own);
  };
  return call.Mil("slice_by_index",
                  {{"x", call.x(0)},
                   {"begin", call.x(1)},
                   given("end", 2, layer.end_ids()),
                   given("stride", 3, layer.strides()),
                   given("begin_mask", 4, layer.begin_masks()),
                   given("end_mask", 5, layer.end_masks()),
                   given("squeeze_mask", 6, layer.squeeze_masks())});
}

// `size` elements of one axis, from where the second input says.
MilResult SliceBySizeLayer(const LayerCall& call) {
  const spec::SliceBySize& layer = call.layer().slice_by_size();
  const int axis = call.Axis(layer.axis());
  const auto rank = static_cast<size_t>(call.x()->rank());
  const std::vector<int64_t> start = ReadInts(call.host(), call.x(1));
  if (start.size() != 1) {
    Fail(ErrorKind::kInput, "a slice from {} places; expected one",
         start.size());
  }
  std::vector<int64_t> begin(rank, 0), size(rank, -1);
  begin[axis] = start[0];
  size[axis] = layer.size();
  return call.Mil(
      "slice_by_size",
      {{"x", call.x()}, call.Ints("begin", begin), call.Ints("size", size)});
}

TensorRef Indices(const LayerCall& call) {
  return Cast(call.lo(), call.x(1), DType::I32);
}

MilResult GatherLayer(const LayerCall& call) {
  return call.Mil("gather", {{"x", call.x()},
                             {"indices", Indices(call)},
                             call.Int("axis", call.layer().gather().axis())});
}

MilResult GatherAlongAxisLayer(const LayerCall& call) {
  return call.Mil("gather_along_axis",
                  {{"x", call.x()},
                   {"indices", Indices(call)},
                   call.Int("axis", call.layer().gather_along_axis().axis())});
}

MilResult GatherNdLayer(const LayerCall& call) {
  return call.Mil("gather_nd", {{"x", call.x()}, {"indices", Indices(call)}});
}

std::string_view ModeOf(spec::ScatterMode mode) {
  constexpr std::string_view kModes[] = {"update", "add", "sub", "mul",
                                         "div",    "max", "min"};
  if (mode < 0 || static_cast<size_t>(mode) >= std::size(kModes)) {
    Fail(ErrorKind::kInput, "a mode of number {}", int(mode));
  }
  return kModes[mode];
}

// Indices of any rank, whose axes stand in the updates in the axis's place, are
// one vector.
MilResult ScatterLayer(const LayerCall& call) {
  const spec::ScatterAxis& layer = call.layer().scatter();
  const TensorRef indices = Indices(call);
  const TensorRef& updates = call.x(2);
  const int axis = call.Axis(layer.axis());
  Shape shape = call.x()->shape();
  shape[axis] = indices->shape().size();
  return call.Mil(
      "scatter",
      {{"data", call.x()},
       {"indices", Reshape(call.lo(), indices, Shape{indices->shape().size()})},
       {"updates", Reshape(call.lo(), updates, shape)},
       call.Int("axis", axis),
       {"mode", ModeOf(layer.mode())}});
}

MilResult ScatterAlongAxisLayer(const LayerCall& call) {
  const spec::ScatterAxis& layer = call.layer().scatter_along_axis();
  return call.Mil("scatter_along_axis", {{"data", call.x()},
                                         {"indices", Indices(call)},
                                         {"updates", call.x(2)},
                                         call.Int("axis", layer.axis()),
                                         {"mode", ModeOf(layer.mode())}});
}

MilResult ScatterNdLayer(const LayerCall& call) {
  return call.Mil("scatter_nd",
                  {{"data", call.x()},
                   {"indices", Indices(call)},
                   {"updates", call.x(2)},
                   {"mode", ModeOf(call.layer().scatter_nd().mode())}});
}

MilResult ReverseSequenceLayer(const LayerCall& call) {
  const spec::ReverseSequence& layer = call.layer().reverse_seq();
  return call.Mil("reverse_sequence",
                  {{"x", call.x()},
                   {"lengths", call.x(1)},
                   call.Int("batch_axis", layer.batch_axis()),
                   call.Int("seq_axis", layer.sequence_axis())});
}

MilResult OneHotLayer(const LayerCall& call) {
  const spec::OneHot& layer = call.layer().one_hot();
  return call.Mil("one_hot",
                  {{"indices", call.x()},
                   call.inputs().size() > 1
                       ? LayerCall::Input("one_hot_vector_size", call.x(1))
                       : call.Int("one_hot_vector_size",
                                  int64_t(layer.one_hot_vector_size())),
                   call.Int("axis", layer.axis()),
                   call.Number("on_value", layer.on_value()),
                   call.Number("off_value", layer.off_value())});
}

MilResult WhereNonZero(const LayerCall& call) {
  return call.Mil("non_zero", {{"x", call.x()}});
}

MilResult WhereBroadcastable(const LayerCall& call) {
  return call.Mil("select",
                  {{"cond", call.x(0)}, {"a", call.x(1)}, {"b", call.x(2)}});
}

MilResult MatrixBandPartLayer(const LayerCall& call) {
  const spec::MatrixBandPart& layer = call.layer().matrix_band_part();
  return call.Mil("band_part", {{"x", call.x()},
                                call.Int("lower", layer.num_lower()),
                                call.Int("upper", layer.num_upper())});
}

MilResult Triangle(const LayerCall& call, std::string_view name, int64_t k) {
  return CallFunction(call.lo(), name,
                      {Argument::Of(call.x()), Argument::Int(k)});
}
MilResult LowerTriangle(const LayerCall& call) {
  return Triangle(call, "tril", call.layer().lower_triangular().k());
}
MilResult UpperTriangle(const LayerCall& call) {
  return Triangle(call, "triu", call.layer().upper_triangular().k());
}

constexpr LayerOp kLayers[] = {
    {Kind::kGather, GatherLayer},
    {Kind::kGatherAlongAxis, GatherAlongAxisLayer},
    {Kind::kGatherNd, GatherNdLayer},
    {Kind::kLowerTriangular, LowerTriangle},
    {Kind::kMatrixBandPart, MatrixBandPartLayer},
    {Kind::kOneHot, OneHotLayer},
    {Kind::kReverseSeq, ReverseSequenceLayer},
    {Kind::kScatter, ScatterLayer},
    {Kind::kScatterAlongAxis, ScatterAlongAxisLayer},
    {Kind::kScatterNd, ScatterNdLayer},
    {Kind::kSlice, SliceLayer},
    {Kind::kSliceBySize, SliceBySizeLayer},
    {Kind::kSliceDynamic, SliceDynamicLayer},
    {Kind::kSliceStatic, SliceStaticLayer},
    {Kind::kUpperTriangular, UpperTriangle},
    {Kind::kWhereBroadcastable, WhereBroadcastable},
    {Kind::kWhereNonZero, WhereNonZero},
};

}  // namespace

std::span<const LayerOp> IndexLayers() { return kLayers; }

}  // namespace tl::coreml
