// Images read at points that a program gives or computes: a grid of
// coordinates, an affine map, boxes.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "coreml/resize.h"
#include "coreml/sample.h"

namespace tl::coreml {
namespace {

void RequireImages(const TensorRef& x) {
  if (x->rank() == 4 && x->shape().size() > 0) return;
  Fail(ErrorKind::kInput, "shape {} is not [batch, channels, height, width]",
       x->shape().ToString());
}

// Which of several names the input has, as its place among them; no matter the
// case of its letters.
size_t Named(const MilCall& call, std::string_view input,
             std::initializer_list<std::string_view> names) {
  std::string text(call.Text(input, ""));
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) {
    Fail(ErrorKind::kInput, "'{}' is '{}'; known are {}", input,
         call.Text(input, ""), fmt::join(names, ", "));
  }
  return static_cast<size_t>(found - names.begin());
}

enum class Coordinates { kPixels, kAroundZero, kFromZero };

// Coordinates along an axis of this length, in pixels.
TensorRef InPixels(Lowering& lo, const TensorRef& at, int64_t length,
                   Coordinates coordinates, bool align_corners) {
  const double size = static_cast<double>(length);
  switch (coordinates) {
    case Coordinates::kPixels:
      return at;
    case Coordinates::kAroundZero:
      return align_corners ? Affine(lo, at, (size - 1) / 2, (size - 1) / 2)
                           : Affine(lo, at, size / 2, (size - 1) / 2);
    case Coordinates::kFromZero:
      return align_corners ? Affine(lo, at, size - 1, 0)
                           : Affine(lo, at, size, -0.5);
  }
  return at;
}

// 0, 1, .. one for each image.
TensorRef EachImage(Lowering& lo, int64_t count) {
  return Reshape(lo, Iota(lo, count, DType::I32), Shape{count, 1, 1});
}

// coordinates [batch, height, width, (x, y)].
MilResult Resample(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"), at = call.Tensor("coordinates");
  RequireImages(x);
  const Shape& s = x->shape();
  if (at->rank() != 4 || at->shape().dim(0) != s.dim(0) ||
      at->shape().dim(3) != 2) {
    Fail(ErrorKind::kInput,
         "coordinates of shape {} for images of shape {}; expected [{}, "
         "height, width, 2]",
         at->shape().ToString(), s.ToString(), s.dim(0));
  }
  const auto how = Named(call, "sampling_mode", {"nearest", "bilinear"}) == 0
                       ? Resampling::kNearest
                       : Resampling::kLinear;
  const auto beyond = static_cast<Beyond>(Named(
      call, "padding_mode", {"constant", "border", "reflection", "symmetric"}));
  const auto coordinates = static_cast<Coordinates>(
      Named(call, "coordinates_mode",
            {"unnormalized", "normalized_minus_one_to_one",
             "normalized_zero_to_one"}));
  const bool align = call.Flag("align_corners", false);
  const auto axis = [&](int64_t column, int64_t length) {
    const TensorRef one = WithoutAxes(lo, Slice(lo, at, 3, column, 1), {3});
    return InPixels(lo, Cast(lo, one, DType::F32), length, coordinates, align);
  };
  return SampleImages(
      lo, x, {EachImage(lo, s.dim(0)), axis(1, s.dim(2)), axis(0, s.dim(3))},
      how, beyond, call.Number("padding_value", 0));
}

// From -1 to 1 in `count` steps; one alone is 0.
TensorRef Line(Lowering& lo, int64_t count, const Shape& shape) {
  const TensorRef line = count == 1 ? Iota(lo, 1, DType::F32)
                                    : Iota(lo, count, DType::F32, -1,
                                           2 / static_cast<double>(count - 1));
  return Reshape(lo, line, shape);
}

// The point (x, y) of the result is a0 x + a1 y + a2, b0 x + b1 y + b2 of the
// image; the corners of both are -1 and 1.
MilResult AffineMap(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"),
                  matrix = call.Tensor("transform_matrix");
  RequireImages(x);
  const Shape& s = x->shape();
  const int64_t images = s.dim(0);
  if (matrix->rank() != 2 || matrix->shape().dim(1) != 6 ||
      (matrix->shape().dim(0) != 1 && matrix->shape().dim(0) != images)) {
    Fail(ErrorKind::kInput,
         "a matrix of shape {} for images of shape {}; expected [1, 6] or "
         "[{}, 6]",
         matrix->shape().ToString(), s.ToString(), images);
  }
  Named(call, "sampling_mode", {"bilinear"});
  Named(call, "padding_mode", {"constant"});
  Named(call, "coordinates_mode", {"normalized_minus_one_to_one"});
  if (!call.Flag("align_corners", true)) {
    Fail(ErrorKind::kInput, "'align_corners' is false; it must be true");
  }
  const int64_t height = call.Int("output_height"),
                width = call.Int("output_width");
  if (height < 1 || width < 1) {
    Fail(ErrorKind::kInput, "an image of {} by {}", height, width);
  }
  const TensorRef across = Line(lo, width, Shape{1, 1, width}),
                  down = Line(lo, height, Shape{1, height, 1});
  const auto mapped = [&](int64_t first, int64_t length) {
    const auto factor = [&](int64_t i) {
      return Cast(lo, Unsqueeze(lo, Slice(lo, matrix, 1, first + i, 1), 2),
                  DType::F32);
    };
    const TensorRef at =
        Binary(lo, OpId::Add,
               Binary(lo, OpId::Add, Binary(lo, OpId::Mul, factor(0), across),
                      Binary(lo, OpId::Mul, factor(1), down)),
               factor(2));
    return InPixels(lo, at, length, Coordinates::kAroundZero, true);
  };
  return SampleImages(
      lo, x, {EachImage(lo, images), mapped(3, s.dim(2)), mapped(0, s.dim(3))},
      Resampling::kLinear, Beyond::kConstant, call.Number("padding_value", 0));
}

// ---- boxes

struct Box {
  int64_t image = 0;
  double top = 0, left = 0, bottom = 0, right = 0;
};

// A box from the four numbers that say it.
Box BoxOf(const double* numbers, size_t mode) {
  const bool width_first = mode == 1 || mode == 3;
  double first[2] = {numbers[0], numbers[1]};
  double second[2] = {numbers[2], numbers[3]};
  if (mode >= 2) {
    for (int i : {0, 1}) {
      const double middle = first[i], size = second[i];
      first[i] = middle - size / 2;
      second[i] = middle + size / 2;
    }
  }
  const int y = width_first ? 1 : 0, x = 1 - y;
  return {0, first[y], first[x], second[y], second[x]};
}

// Point i of `count` that a box from `begin` to `end` is sampled at.
double PointIn(double begin, double end, int64_t count, int64_t i,
               Sampling sampling) {
  const double distance = end - begin, n = static_cast<double>(count);
  const double low = std::min(distance, 0.0), high = std::max(distance, 0.0);
  const double at = static_cast<double>(i);
  const auto inside = [&](double offset) {
    return begin + std::clamp(offset, low, high);
  };
  switch (sampling) {
    case Sampling::kStrictAlignCorners:
    case Sampling::kAlignCorners:
      if (count > 1) return begin + at * distance / (n - 1);
      return sampling == Sampling::kAlignCorners ? begin + distance / 2 : begin;
    case Sampling::kDefault:
      return inside(at * (distance + 1) / n);
    case Sampling::kOffsetCorners:
      return inside((at + 0.5) * std::max(1.0, distance) / n);
    case Sampling::kUnalignCorners:
      return inside((at + 0.5) * (distance + 1) / n - 0.5);
  }
  return begin;
}

// roi [n, 1, 4 or 5, 1, 1], the fifth number in front is the image; or boxes
// [n, 4] with box_indices [n].
struct Boxes {
  std::vector<Box> boxes;
  // Of every image there is each box.
  bool of_every_image = false;
};

Boxes BoxesOf(const MilCall& call, const TensorRef& x) {
  const bool old = call.Has("roi");
  const TensorRef given = call.Tensor(old ? "roi" : "boxes");
  const Shape& s = given->shape();
  const int64_t count = s.rank() > 0 ? s.dim(0) : 0;
  const int64_t each = s.rank() == 5 ? s.dim(2) : s.rank() == 2 ? s.dim(1) : 0;
  const bool fits = old ? s.rank() == 5 && (each == 4 || each == 5) &&
                              s.size() == count * each
                        : s.rank() == 2 && each == 4;
  if (!fits) {
    Fail(ErrorKind::kInput, "boxes of shape {}; expected {}", s.ToString(),
         old ? "[n, 1, 4, 1, 1] or [n, 1, 5, 1, 1]" : "[n, 4]");
  }
  const std::vector<double> numbers = ReadNumbers(call.host(), given);
  std::vector<int64_t> images;
  if (!old && call.Has("box_indices")) images = call.Ints("box_indices");
  if (!images.empty() && static_cast<int64_t>(images.size()) != count) {
    Fail(ErrorKind::kInput, "{} images for {} boxes", images.size(), count);
  }
  const size_t mode =
      call.Has("box_coordinate_mode")
          ? Named(call, "box_coordinate_mode",
                  {"corners_height_first", "corners_width_first",
                   "center_size_height_first", "center_size_width_first"})
          : 0;
  Boxes boxes;
  boxes.of_every_image = old && each == 4;
  for (int64_t i = 0; i < count; ++i) {
    const double* at = numbers.data() + i * each;
    Box box = BoxOf(at + (each - 4), mode);
    box.image = images.empty() ? i : images[i];
    // Of NaN, none.
    if (each == 5)
      box.image = at[0] >= 0 && at[0] < 0x1p31 ? int64_t(at[0]) : -1;
    if (boxes.of_every_image) box.image = 0;
    if (box.image < 0 || box.image >= x->shape().dim(0)) {
      Fail(ErrorKind::kInput, "box {} lies in image {} of {}", i, box.image,
           x->shape().dim(0));
    }
    boxes.boxes.push_back(box);
  }
  return boxes;
}

// The points of every box along one axis of the image, and which lie in it.
struct BoxPoints {
  std::vector<double> at, inside;
};

BoxPoints PointsOf(const std::vector<Box>& boxes, double Box::*begin,
                   double Box::*end, double scale, int64_t length,
                   int64_t count, Sampling sampling) {
  BoxPoints points;
  for (const Box& box : boxes) {
    for (int64_t i = 0; i < count; ++i) {
      const double at =
          PointIn(box.*begin * scale, box.*end * scale, count, i, sampling);
      points.at.push_back(at);
      points.inside.push_back(at >= 0 && at <= double(length - 1) ? 1 : 0);
    }
  }
  return points;
}

MilResult CropResize(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  RequireImages(x);
  const int64_t height = call.Int("target_height", 1),
                width = call.Int("target_width", 1);
  if (height < 1 || width < 1) {
    Fail(ErrorKind::kInput, "an image of {} by {}", height, width);
  }
  const Boxes given = BoxesOf(call, x);
  const Shape& s = x->shape();
  std::vector<Box> boxes;
  for (const Box& box : given.boxes) {
    const int64_t copies = given.of_every_image ? s.dim(0) : 1;
    for (int64_t i = 0; i < copies; ++i) {
      boxes.push_back(box);
      if (given.of_every_image) boxes.back().image = i;
    }
  }
  const double scale = call.Number("spatial_scale", 1);
  const bool normalized = call.Flag("normalized_coordinates", false);
  const Sampling sampling =
      SamplingNamed(call.Text("sampling_mode", "DEFAULT"));
  const auto points = [&](double Box::*begin, double Box::*end, int axis,
                          int64_t count) {
    const int64_t length = s.dim(axis);
    return PointsOf(boxes, begin, end,
                    normalized ? scale * double(length - 1) : scale, length,
                    count, sampling);
  };
  const BoxPoints down = points(&Box::top, &Box::bottom, 2, height);
  const BoxPoints across = points(&Box::left, &Box::right, 3, width);
  const int64_t count = static_cast<int64_t>(boxes.size());
  const Shape column{count, height, 1}, row{count, 1, width};
  std::vector<int64_t> images;
  for (const Box& box : boxes) images.push_back(box.image);
  Host& host = call.host();
  TensorRef y = SampleImages(lo, x,
                             {Ints(host, images, Shape{count, 1, 1}),
                              Numbers(host, down.at, column, DType::F32),
                              Numbers(host, across.at, row, DType::F32)},
                             Resampling::kLinear, Beyond::kBorder, 0);
  const TensorRef inside = Binary(
      lo, OpId::LogicalAnd, Numbers(host, down.inside, column, DType::I32),
      Numbers(host, across.inside, row, DType::I32));
  y = Cast(lo,
           Pick(lo, Unsqueeze(lo, inside, 1), y,
                lo.Number(call.Number("pad_value", 0), DType::F32)),
           x->dtype());
  if (!call.Has("roi")) return y;
  const int64_t n = static_cast<int64_t>(given.boxes.size());
  return Reshape(lo, y, Shape{n, n == 0 ? 1 : count / n, s[1], height, width});
}

constexpr MilOp kOps[] = {
    {"affine", AffineMap},
    {"crop_resize", CropResize},
    {"resample", Resample},
};

}  // namespace

std::span<const MilOp> SampleOps() { return kOps; }

}  // namespace tl::coreml
