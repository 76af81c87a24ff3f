// Layers that rearrange, join, cut and hold tensors.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

template <class List>
std::vector<int64_t> SizesOf(const List& sizes) {
  return {sizes.begin(), sizes.end()};
}

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

MilResult ReshapeStatic(const LayerCall& call) {
  return call.Mil("reshape",
                  {{"x", call.x()},
                   call.Ints("shape",
                             call.layer().reshape_static().target_shape())});
}

MilResult TransposeLayer(const LayerCall& call) {
  return call.Mil("transpose",
                  {{"x", call.x()},
                   call.Ints("perm", call.layer().transpose().axes())});
}

MilResult ExpandDimsLayer(const LayerCall& call) {
  return call.Mil("expand_dims",
                  {{"x", call.x()},
                   call.Ints("axes", call.layer().expand_dims().axes())});
}

MilResult SqueezeLayer(const LayerCall& call) {
  const spec::Squeeze& layer = call.layer().squeeze();
  if (layer.squeeze_all()) return call.Mil("squeeze", {{"x", call.x()}});
  return call.Mil("squeeze",
                  {{"x", call.x()}, call.Ints("axes", layer.axes())});
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

MilResult SliceStaticLayer(const LayerCall& call) {
  const spec::SliceStatic& layer = call.layer().slice_static();
  const auto rank = static_cast<size_t>(call.x()->rank());
  std::vector<int64_t> squeezed = SizesOf(layer.squeeze_masks());
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

MilResult CropLayer(const LayerCall& call) {
  const spec::Crop& layer = call.layer().crop();
  if (call.inputs().size() > 1) {
    Fail(ErrorKind::kInput, "a crop to another input's size does not run here");
  }
  std::vector<int64_t> cuts(4, 0);
  for (int i = 0; i < layer.crop_amounts().border_amounts_size() && i < 2;
       ++i) {
    const auto& edges = layer.crop_amounts().border_amounts(i);
    cuts[2 * i] = static_cast<int64_t>(edges.start_edge_size());
    cuts[2 * i + 1] = static_cast<int64_t>(edges.end_edge_size());
  }
  return call.Mil("crop",
                  {{"x", call.x()},
                   call.Ints("crop_height", std::span(cuts).first(2)),
                   call.Ints("crop_width", std::span(cuts).last(2))});
}

MilResult Constant(const LayerCall& call, const spec::LoadConstant& layer) {
  std::vector<int64_t> shape = SizesOf(layer.shape());
  const TensorRef data = call.WeightOf(layer.data(), shape);
  if (!data) Fail(ErrorKind::kInput, "the layer has no data");
  if (!call.rank5()) return data;
  // [channels, height, width] of every image of the sequence.
  shape.insert(shape.begin(), {1, 1});
  return Reshape(call.lo(), data, ShapeOf(shape));
}

MilResult LoadConstantLayer(const LayerCall& call) {
  return Constant(call, call.layer().load_constant());
}
MilResult LoadConstantNd(const LayerCall& call) {
  const spec::LoadConstant& layer = call.layer().load_constant_nd();
  const TensorRef data = call.WeightOf(layer.data(), SizesOf(layer.shape()));
  if (!data) Fail(ErrorKind::kInput, "the layer has no data");
  return data;
}

// Weights over the channels, or of one image.
TensorRef Spread(const LayerCall& call, const spec::WeightParams& weights,
                 std::vector<int64_t> shape) {
  if (shape.size() == 1 && call.x()->rank() >= 3) {
    shape.insert(shape.end(), {1, 1});
  }
  const TensorRef w = call.WeightOf(weights, shape);
  if (!w) Fail(ErrorKind::kInput, "the layer has no weights");
  return w;
}

MilResult ScaleLayer(const LayerCall& call) {
  const spec::Scale& layer = call.layer().scale();
  Builder& lo = call.lo();
  return InFloat32(lo, call.x(), [&](const TensorRef& x) {
    const TensorRef y =
        Binary(lo, OpId::Mul, x,
               Spread(call, layer.scale(), SizesOf(layer.shape_scale())));
    return layer.with_bias()
               ? Binary(lo, OpId::Add, y,
                        Spread(call, layer.bias(), SizesOf(layer.shape_bias())))
               : y;
  });
}

MilResult BiasLayer(const LayerCall& call) {
  const spec::Bias& layer = call.layer().bias();
  return Binary(call.lo(), OpId::Add, call.x(),
                Spread(call, layer.bias(), SizesOf(layer.shape())));
}

constexpr LayerOp kLayers[] = {
    {Kind::kBias, BiasLayer},
    {Kind::kConcat, ConcatLayer},
    {Kind::kConcatNd, ConcatNdLayer},
    {Kind::kCrop, CropLayer},
    {Kind::kExpandDims, ExpandDimsLayer},
    {Kind::kFlatten, FlattenLayer},
    {Kind::kLoadConstant, LoadConstantLayer},
    {Kind::kLoadConstantNd, LoadConstantNd},
    {Kind::kReshapeStatic, ReshapeStatic},
    {Kind::kScale, ScaleLayer},
    {Kind::kSliceStatic, SliceStaticLayer},
    {Kind::kSplitNd, SplitNdLayer},
    {Kind::kSqueeze, SqueezeLayer},
    {Kind::kStack, StackLayer},
    {Kind::kTranspose, TransposeLayer},
};

}  // namespace

std::span<const LayerOp> ShapeLayers() { return kLayers; }

}  // namespace tl::coreml
