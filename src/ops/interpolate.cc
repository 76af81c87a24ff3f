#include "ops/interpolate.h"

#include "base/error.h"
#include "ops/window.h"

namespace tl {
namespace {

// What the checker does not know is no matter: a scale shapes nothing.
double Ratio(Dim from, Dim to, int64_t less) {
  if (!from.known() || !to.known() || to.value() <= less) return 0;
  return double(from.value() - less) / double(to.value() - less);
}

}  // namespace

ResampledAxis HalfPixelAxis(Dim from, Dim to) {
  return {to, Ratio(from, to, 0), 0.5, -0.5};
}

ResampledAxis AlignedCornersAxis(Dim from, Dim to) {
  return {to, Ratio(from, to, 1), 0, 0};
}

ResampledAxis AsymmetricAxis(Dim from, Dim to) {
  return {to, Ratio(from, to, 0), 0, 0};
}

TensorRef Interpolate(Lowering& lo, const TensorRef& x,
                      std::span<const ResampledAxis> axes, Resampling how) {
  const int count = static_cast<int>(axes.size());
  if (count < 1 || count > kMaxWindowAxes || x->rank() != count + 2) {
    Fail(ErrorKind::kProgram,
         "interpolate: {} sizes for x of shape {}; expected one per axis of "
         "[n, channels, ..], 1 to {}",
         count, x->shape().ToString(), kMaxWindowAxes);
  }
  Attributes attributes = {{int64_t(how)}, {}};
  for (int i = 0; i < count; ++i) {
    const ResampledAxis& axis = axes[i];
    if (Same(x->shape()[i + 2], Dim(0)) && !Same(axis.size, Dim(0))) {
      Fail(ErrorKind::kProgram, "interpolate: axis {} of {} is empty", i + 2,
           x->shape().ToString());
    }
    attributes.ints.push_back(axis.size.code());
    for (double number : {axis.scale, axis.shift_out, axis.shift_in}) {
      attributes.numbers.push_back(number);
    }
  }
  return lo.Apply(OpId::Interpolate, {x}, std::move(attributes));
}

}  // namespace tl
