#include "coreml/sample.h"

#include <limits>

#include "base/error.h"
#include "coreml/compose.h"

namespace tl::coreml {
namespace {

// A pixel's place along one axis.
struct Place {
  TensorRef index;   // I32, always in the image
  TensorRef inside;  // whether it was; null where nothing lies beside
};

// x - p * floor(x / p): from 0 to p.
TensorRef Wrapped(Lowering& lo, const TensorRef& x, double p) {
  const TensorRef rounds = Unary(lo, OpId::Floor, With(lo, OpId::Div, x, p));
  return Binary(lo, OpId::Sub, x, With(lo, OpId::Mul, rounds, p));
}

// Of a whole number of pixels.
Place PlaceOf(Lowering& lo, const TensorRef& at, int64_t size, Beyond beyond) {
  const double last = static_cast<double>(size - 1);
  Place place;
  TensorRef folded = at;
  const auto fold = [&](double middle, double period) {
    if (period == 0) return;
    const TensorRef off = With(lo, OpId::Sub, Wrapped(lo, at, period), middle);
    folded = From(lo, OpId::Sub, middle, Unary(lo, OpId::Abs, off));
  };
  switch (beyond) {
    case Beyond::kConstant:
      place.inside =
          Binary(lo, OpId::LogicalAnd, With(lo, OpId::GreaterEqual, at, 0),
                 With(lo, OpId::LessEqual, at, last));
      break;
    case Beyond::kBorder:
      break;
    case Beyond::kReflection:
      fold(last, 2 * last);
      break;
    case Beyond::kSymmetric:
      fold(last + 0.5, 2 * last + 2);
      break;
  }
  // Again as ints: of NaN there is no clamping.
  const TensorRef whole = Cast(lo, ClampTo(lo, folded, 0, last), DType::I32);
  place.index = WithInt(lo, OpId::Minimum, WithInt(lo, OpId::Maximum, whole, 0),
                        size - 1);
  return place;
}

class Sampler {
 public:
  Sampler(Lowering& lo, const TensorRef& x, const SamplePoints& points,
          Beyond beyond, double fill)
      : lo_(lo),
        height_(x->shape().dim(2)),
        width_(x->shape().dim(3)),
        image_(points.image),
        beyond_(beyond),
        fill_(fill) {
    const Shape& s = x->shape();
    const int64_t pixels = s.dim(0) * height_ * width_;
    if (pixels < 1 || pixels > std::numeric_limits<int32_t>::max()) {
      Fail(ErrorKind::kInput, "{} pixels are sampled, in images of shape {}",
           pixels, s.ToString());
    }
    const int order[] = {0, 2, 3, 1};
    table_ = Reshape(lo, Permute(lo, x, order), Shape{pixels, s[1]});
  }

  // [n, height, width, channels] of whole pixels.
  TensorRef At(const TensorRef& y, const TensorRef& x) const {
    const Place row = PlaceOf(lo_, y, height_, beyond_);
    const Place column = PlaceOf(lo_, x, width_, beyond_);
    const TensorRef first = WithInt(lo_, OpId::Mul, image_, height_);
    const TensorRef index =
        Binary(lo_, OpId::Add,
               WithInt(lo_, OpId::Mul, Binary(lo_, OpId::Add, first, row.index),
                       width_),
               column.index);
    const TensorRef pixels =
        Cast(lo_, IndexSelect(lo_, table_, 0, index), DType::F32);
    if (!row.inside) return pixels;
    const TensorRef inside =
        Binary(lo_, OpId::LogicalAnd, row.inside, column.inside);
    return Pick(lo_, Unsqueeze(lo_, inside, inside->rank()), pixels,
                lo_.Number(fill_, DType::F32));
  }

  // Between the four neighbours of each point.
  TensorRef Between(const TensorRef& y, const TensorRef& x) const {
    const TensorRef top = Unary(lo_, OpId::Floor, y),
                    left = Unary(lo_, OpId::Floor, x);
    const TensorRef bottom = With(lo_, OpId::Add, top, 1),
                    right = With(lo_, OpId::Add, left, 1);
    const TensorRef down = Share(y, top), across = Share(x, left);
    return Mixed(Mixed(At(top, left), At(top, right), across),
                 Mixed(At(bottom, left), At(bottom, right), across), down);
  }

 private:
  TensorRef Share(const TensorRef& at, const TensorRef& before) const {
    const TensorRef share = Binary(lo_, OpId::Sub, at, before);
    return Unsqueeze(lo_, share, share->rank());
  }

  TensorRef Mixed(const TensorRef& a, const TensorRef& b,
                  const TensorRef& share) const {
    return Binary(lo_, OpId::Add,
                  Binary(lo_, OpId::Mul, a, From(lo_, OpId::Sub, 1, share)),
                  Binary(lo_, OpId::Mul, b, share));
  }

  Lowering& lo_;
  int64_t height_, width_;
  TensorRef image_, table_;
  Beyond beyond_;
  double fill_;
};

}  // namespace

TensorRef SampleImages(Lowering& lo, const TensorRef& x,
                       const SamplePoints& points, Resampling how,
                       Beyond beyond, double fill) {
  const Sampler sampler(lo, x, points, beyond, fill);
  const TensorRef sampled = how == Resampling::kNearest
                                ? sampler.At(Unary(lo, OpId::Round, points.y),
                                             Unary(lo, OpId::Round, points.x))
                                : sampler.Between(points.y, points.x);
  const int order[] = {0, 3, 1, 2};
  return Permute(lo, Cast(lo, sampled, x->dtype()), order);
}

}  // namespace tl::coreml
