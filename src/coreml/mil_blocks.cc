// Operations that move blocks of an image between space, channels and batch:
// each a reshape to rank 6, a permutation and a reshape.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "ops/padding.h"

namespace tl::coreml {
namespace {

void RequireImage(const TensorRef& x) {
  if (x->rank() != 4) {
    Fail(ErrorKind::kInput, "shape {} is not [batch, channels, height, width]",
         x->shape().ToString());
  }
}

int64_t DivideBy(int64_t whole, int64_t parts) {
  if (parts < 1 || whole % parts != 0) {
    Fail(ErrorKind::kInput, "a size of {} does not divide into blocks of {}",
         whole, parts);
  }
  return whole / parts;
}

TensorRef Rearranged(Lowering& lo, const TensorRef& x, const Shape& parts,
                     std::initializer_list<int> order, const Shape& result) {
  const std::vector<int> axes(order);
  return Reshape(lo, Permute(lo, Reshape(lo, x, parts), axes), result);
}

// The side of a block: 1 or more.
int64_t SideOf(const MilCall& call, std::string_view name) {
  const int64_t side = call.Int(name);
  if (side < 1) Fail(ErrorKind::kInput, "'{}' is {}", name, side);
  return side;
}

// Whether the channels of a block are [c, b, b] (pixel_shuffle) or [b, b, c]
// (depth_to_space).
enum class Channels { kFirst, kLast };

TensorRef ToSpace(const MilCall& call, int64_t b, Channels channels) {
  const TensorRef x = call.Tensor("x");
  RequireImage(x);
  const Shape& s = x->shape();
  const int64_t n = s.dim(0), h = s.dim(2), w = s.dim(3);
  const int64_t c = DivideBy(s.dim(1), b * b);
  const Shape result{n, c, h * b, w * b};
  return channels == Channels::kFirst
             ? Rearranged(call.lo(), x, Shape{n, c, b, b, h, w},
                          {0, 1, 4, 2, 5, 3}, result)
             : Rearranged(call.lo(), x, Shape{n, b, b, c, h, w},
                          {0, 3, 4, 1, 5, 2}, result);
}

TensorRef ToDepth(const MilCall& call, int64_t b, Channels channels) {
  const TensorRef x = call.Tensor("x");
  RequireImage(x);
  const Shape& s = x->shape();
  const int64_t n = s.dim(0), c = s.dim(1);
  const int64_t h = DivideBy(s.dim(2), b), w = DivideBy(s.dim(3), b);
  const Shape parts{n, c, h, b, w, b}, result{n, c * b * b, h, w};
  return channels == Channels::kFirst
             ? Rearranged(call.lo(), x, parts, {0, 1, 3, 5, 2, 4}, result)
             : Rearranged(call.lo(), x, parts, {0, 3, 5, 1, 2, 4}, result);
}

MilResult PixelShuffle(const MilCall& call) {
  return ToSpace(call, SideOf(call, "upscale_factor"), Channels::kFirst);
}
MilResult DepthToSpace(const MilCall& call) {
  return ToSpace(call, SideOf(call, "block_size"), Channels::kLast);
}
MilResult PixelUnshuffle(const MilCall& call) {
  return ToDepth(call, SideOf(call, "downscale_factor"), Channels::kFirst);
}
MilResult SpaceToDepth(const MilCall& call) {
  return ToDepth(call, SideOf(call, "block_size"), Channels::kLast);
}

// [top, bottom, left, right], whatever it is nested in.
std::vector<int64_t> Margins(const MilCall& call, std::string_view name) {
  std::vector<int64_t> margins = call.Ints(name);
  if (margins.size() != 4) {
    Fail(ErrorKind::kInput, "'{}' has {} numbers; expected 4", name,
         margins.size());
  }
  return margins;
}

std::vector<int64_t> BlockOf(const MilCall& call) {
  std::vector<int64_t> block = call.Ints("block_shape");
  if (block.size() != 2) {
    Fail(ErrorKind::kInput, "'block_shape' has {} numbers; expected 2",
         block.size());
  }
  for (int64_t side : block) {
    if (side < 1) Fail(ErrorKind::kInput, "'block_shape' has a {}", side);
  }
  return block;
}

MilResult SpaceToBatch(const MilCall& call) {
  Builder& lo = call.lo();
  RequireImage(call.Tensor("x"));
  const std::vector<int64_t> block = BlockOf(call), m = Margins(call, "paddings");
  const int64_t before[] = {0, 0, m[0], m[2]}, after[] = {0, 0, m[1], m[3]};
  const TensorRef x = Pad(lo, call.Tensor("x"), before, after,
                          PadMode::kConstant, lo.Number(0, DType::F32));
  const Shape& s = x->shape();
  const int64_t n = s.dim(0), c = s.dim(1);
  const int64_t h = DivideBy(s.dim(2), block[0]), w = DivideBy(s.dim(3), block[1]);
  return Rearranged(lo, x, Shape{n, c, h, block[0], w, block[1]},
                    {3, 5, 0, 1, 2, 4},
                    Shape{n * block[0] * block[1], c, h, w});
}

MilResult BatchToSpace(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  RequireImage(x);
  const std::vector<int64_t> block = BlockOf(call), m = Margins(call, "crops");
  const Shape& s = x->shape();
  const int64_t n = DivideBy(s.dim(0), block[0] * block[1]);
  const int64_t c = s.dim(1), h = s.dim(2), w = s.dim(3);
  TensorRef y = Rearranged(lo, x, Shape{block[0], block[1], n, c, h, w},
                           {2, 3, 4, 0, 5, 1},
                           Shape{n, c, h * block[0], w * block[1]});
  for (int axis : {2, 3}) {
    const int64_t before = m[2 * (axis - 2)], after = m[2 * (axis - 2) + 1];
    const int64_t left = y->shape().dim(axis) - before - after;
    if (before < 0 || after < 0 || left < 0) {
      Fail(ErrorKind::kInput, "{} and {} are cropped from axis {} of shape {}",
           before, after, axis, y->shape().ToString());
    }
    y = Slice(lo, y, axis, before, left);
  }
  return y;
}

// Windows of `size` along `axis`, every `stride`: the axis becomes two.
MilResult SlidingWindows(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const int axis = call.Axis("axis", x->rank(), 0);
  const int64_t size = call.Int("size"), stride = call.Int("stride", 1);
  const int64_t length = x->shape().dim(axis);
  if (size < 1 || stride < 1 || size > length) {
    Fail(ErrorKind::kInput, "windows of {} every {} over {}", size, stride,
         length);
  }
  const int64_t count = (length - size) / stride + 1;
  std::vector<int64_t> index;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < size; ++j) index.push_back(i * stride + j);
  }
  return IndexSelect(lo, x, axis,
                     Ints(call.host(), index, Shape{count, size}));
}

constexpr MilOp kOps[] = {
    {"batch_to_space", BatchToSpace},
    {"depth_to_space", DepthToSpace},
    {"pixel_shuffle", PixelShuffle},
    {"pixel_unshuffle", PixelUnshuffle},
    {"sliding_windows", SlidingWindows},
    {"space_to_batch", SpaceToBatch},
    {"space_to_depth", SpaceToDepth},
};

}  // namespace

std::span<const MilOp> BlockOps() { return kOps; }

}  // namespace tl::coreml
