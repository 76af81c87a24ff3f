// Layers that rearrange, join, split and repeat tensors.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// [.., channels, height, width] as that many channels of one pixel.
MilResult FlattenLayer(const LayerCall& call) {
  const TensorRef& x = call.x();
  const int rank = x->rank();
  if (rank < 3) Fail(ErrorKind::kInput, "x is no image");
  TensorRef y = x;
  if (call.layer().flatten().mode() == spec::Flatten::CHANNEL_LAST) {
    std::vector<int> order(static_cast<size_t>(rank));
    std::iota(order.begin(), order.end(), 0);
    std::rotate(order.end() - 3, order.end() - 2, order.end());
    y = Permute(call.lo(), x, order);
  }
  Shape shape = x->shape();
  shape[rank - 3] = shape[rank - 3] * shape[rank - 2] * shape[rank - 1];
  shape[rank - 2] = shape[rank - 1] = 1;
  return Reshape(call.lo(), y, shape);
}

void RequireRank5(const TensorRef& x) {
  if (x->rank() != 5) {
    Fail(ErrorKind::kInput,
         "shape {} is not [sequence, batch, channels, height, width]",
         x->shape().ToString());
  }
}

// To [channels, height, width] with the sequence as it is, or to [sequence,
// channels, height, width]; elements in the order of the axes, or with the
// channels as the innermost axis.
MilResult ReshapeLayer(const LayerCall& call) {
  const spec::Reshape& layer = call.layer().reshape();
  Builder& lo = call.lo();
  const TensorRef& x = call.x();
  RequireRank5(x);
  std::vector<int64_t> target = ListOf(layer.target_shape());
  if (target.size() == 3) target.insert(target.begin(), x->shape().dim(0));
  if (target.size() != 4) {
    Fail(ErrorKind::kInput, "a target shape of {} sizes; expected 3 or 4",
         layer.target_shape_size());
  }
  target.insert(target.begin() + 1, x->shape().dim(1));
  if (layer.mode() != spec::Reshape::CHANNEL_LAST) {
    return Reshape(lo, x, ShapeOf(target));
  }
  std::rotate(target.begin() + 2, target.begin() + 3, target.end());
  const TensorRef y = Reshape(
      lo, Permute(lo, x, std::vector<int>{0, 1, 3, 4, 2}), ShapeOf(target));
  return Permute(lo, y, std::vector<int>{0, 1, 4, 2, 3});
}

// Axes of [sequence, channels, height, width]; the batch stays where it is.
MilResult PermuteLayer(const LayerCall& call) {
  RequireRank5(call.x());
  const auto& order = call.layer().permute().axis();
  if (order.empty()) return call.x();
  std::vector<int64_t> axes;
  for (const uint64_t axis : order) {
    if (axis > 3 || order.size() != 4) {
      Fail(ErrorKind::kInput, "axes [{}] do not order 4 axes",
           fmt::join(order, ", "));
    }
    axes.push_back(axis == 0 ? 0 : static_cast<int64_t>(axis) + 1);
  }
  axes.insert(axes.begin() + 1, 1);
  return call.Mil("transpose", {{"x", call.x()}, call.Ints("perm", axes)});
}

MilResult ReshapeStatic(const LayerCall& call) {
  return call.Mil(
      "reshape",
      {{"x", call.x()},
       call.Ints("shape", call.layer().reshape_static().target_shape())});
}

MilResult TransposeLayer(const LayerCall& call) {
  return call.Mil(
      "transpose",
      {{"x", call.x()}, call.Ints("perm", call.layer().transpose().axes())});
}

MilResult ExpandDimsLayer(const LayerCall& call) {
  return call.Mil(
      "expand_dims",
      {{"x", call.x()}, call.Ints("axes", call.layer().expand_dims().axes())});
}

MilResult SqueezeLayer(const LayerCall& call) {
  const spec::Squeeze& layer = call.layer().squeeze();
  const TensorRef y =
      (layer.squeeze_all()
           ? call.Mil("squeeze", {{"x", call.x()}})
           : call.Mil("squeeze",
                      {{"x", call.x()}, call.Ints("axes", layer.axes())}))
          .values[0]
          .tensor;
  // One element stays a vector.
  return y->rank() == 0 ? Unsqueeze(call.lo(), y, 0) : y;
}

// Along the channels, or along the sequence.
MilResult ConcatLayer(const LayerCall& call) {
  const int rank = call.x()->rank();
  const int axis =
      call.layer().concat().sequence_concat() ? 0 : std::max(rank - 3, 0);
  return Concat(call.lo(), call.inputs(), axis);
}

MilResult ConcatNdLayer(const LayerCall& call) {
  const spec::ConcatNd& layer = call.layer().concat_nd();
  return call.Mil("concat", {{"values", call.inputs()},
                             call.Int("axis", layer.axis()),
                             call.Flag("interleave", layer.interleave())});
}

MilResult StackLayer(const LayerCall& call) {
  return call.Mil("stack", {{"values", call.inputs()},
                            call.Int("axis", call.layer().stack().axis())});
}

MilResult SplitNdLayer(const LayerCall& call) {
  const spec::SplitNd& layer = call.layer().split_nd();
  if (layer.split_sizes_size() > 0) {
    return call.Mil("split", {{"x", call.x()},
                              call.Int("axis", layer.axis()),
                              call.Ints("split_sizes", layer.split_sizes())});
  }
  return call.Mil("split",
                  {{"x", call.x()},
                   call.Int("axis", layer.axis()),
                   call.Int("num_splits", int64_t(layer.num_splits()))});
}

// Into equal parts of the channels.
MilResult SplitLayer(const LayerCall& call) {
  return call.Mil(
      "split",
      {{"x", call.x()},
       call.Int("axis", call.Axis(-3)),
       call.Int("num_splits", int64_t(call.layer().split().n_outputs()))});
}

MilResult ReshapeLikeLayer(const LayerCall& call) {
  return Reshape(call.lo(), call.x(0), call.x(1)->shape());
}

MilResult ReshapeDynamic(const LayerCall& call) {
  return call.Mil("reshape", {{"x", call.x(0)}, {"shape", call.x(1)}});
}

// 0 keeps an axis, -1 is what is left.
MilResult RankPreservingReshape(const LayerCall& call) {
  const auto& shape = call.layer().rank_preserving_reshape().target_shape();
  if (shape.size() != call.x()->rank()) {
    Fail(ErrorKind::kInput, "a target shape of {} sizes for shape {}",
         shape.size(), call.x()->shape().ToString());
  }
  return call.Mil("reshape", {{"x", call.x()}, call.Ints("shape", shape)});
}

MilResult FlattenTo2d(const LayerCall& call) {
  return call.Mil(
      "flatten2d",
      {{"x", call.x()}, call.Int("axis", call.layer().flatten_to_2d().axis())});
}

MilResult GetShape(const LayerCall& call) {
  return call.Mil("shape", {{"x", call.x()}});
}

// With 1 for the first axes, of which the layer says nothing.
MilResult Tiled(const LayerCall& call, std::vector<int64_t> repeats) {
  const size_t rank = static_cast<size_t>(call.x()->rank());
  if (repeats.empty() || repeats.size() > rank) {
    Fail(ErrorKind::kInput, "{} numbers of copies for shape {}", repeats.size(),
         call.x()->shape().ToString());
  }
  repeats.insert(repeats.begin(), rank - repeats.size(), 1);
  return call.Mil("tile", {{"x", call.x()}, call.Ints("reps", repeats)});
}

MilResult TileLayer(const LayerCall& call) {
  return Tiled(call, call.inputs().size() > 1
                         ? ReadInts(call.host(), call.x(1))
                         : ListOf(call.layer().tile().reps()));
}

MilResult SequenceRepeat(const LayerCall& call) {
  RequireRank5(call.x());
  const auto count =
      static_cast<int64_t>(call.layer().sequence_repeat().n_repetitions());
  return Tiled(call, {count == 0 ? 1 : count, 1, 1, 1, 1});
}

MilResult ReverseLayer(const LayerCall& call) {
  const auto& flags = call.layer().reverse().reverse_dim();
  if (flags.size() != call.x()->rank()) {
    Fail(ErrorKind::kInput, "{} flags for shape {}", flags.size(),
         call.x()->shape().ToString());
  }
  std::vector<int64_t> axes;
  for (int axis = 0; axis < flags.size(); ++axis) {
    if (flags[axis]) axes.push_back(axis);
  }
  if (axes.empty()) return call.x();
  return call.Mil("reverse", {{"x", call.x()}, call.Ints("axes", axes)});
}

MilResult ConstantPadLayer(const LayerCall& call) {
  const spec::ConstantPad& layer = call.layer().constant_pad();
  const TensorRef& x = call.x();
  std::vector<int64_t> pad = call.inputs().size() > 1
                                 ? ReadInts(call.host(), call.x(1))
                                 : ListOf(layer.pad_amounts());
  if (pad.size() != 2 * static_cast<size_t>(x->rank())) {
    Fail(ErrorKind::kInput, "{} paddings for a tensor of shape {}", pad.size(),
         x->shape().ToString());
  }
  if (layer.pad_to_given_output_size_mode()) {
    // They are sizes then: as much is added as is missing.
    for (size_t i = 0; i < pad.size(); ++i) {
      const int64_t size = x->shape().dim(static_cast<int>(i / 2));
      pad[i] = pad[i] > size ? pad[i] - size : 0;
    }
  }
  return call.Mil("pad", {{"x", x},
                          call.Ints("pad", pad),
                          call.Number("constant_val", layer.value())});
}

constexpr LayerOp kLayers[] = {
    {Kind::kConcat, ConcatLayer},
    {Kind::kConcatNd, ConcatNdLayer},
    {Kind::kConstantPad, ConstantPadLayer},
    {Kind::kExpandDims, ExpandDimsLayer},
    {Kind::kFlatten, FlattenLayer},
    {Kind::kFlattenTo2D, FlattenTo2d},
    {Kind::kGetShape, GetShape},
    {Kind::kPermute, PermuteLayer},
    {Kind::kRankPreservingReshape, RankPreservingReshape},
    {Kind::kReshape, ReshapeLayer},
    {Kind::kReshapeDynamic, ReshapeDynamic},
    {Kind::kReshapeLike, ReshapeLikeLayer},
    {Kind::kReshapeStatic, ReshapeStatic},
    {Kind::kReverse, ReverseLayer},
    {Kind::kSequenceRepeat, SequenceRepeat},
    {Kind::kSplit, SplitLayer},
    {Kind::kSplitNd, SplitNdLayer},
    {Kind::kSqueeze, SqueezeLayer},
    {Kind::kStack, StackLayer},
    {Kind::kTile, TileLayer},
    {Kind::kTranspose, TransposeLayer},
};

}  // namespace

std::span<const LayerOp> ShapeLayers() { return kLayers; }

}  // namespace tl::coreml
