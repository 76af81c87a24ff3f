// Formulas of several operations, shared by MIL operations and NeuralNetwork
// layers. Each computes in float32 and rounds its result once, as one operation
// of the language does; the executor fuses what is in between.
#pragma once

#include <span>
#include <vector>

#include "ops/build.h"
#include "ops/functions.h"

namespace tl::coreml {

// f(x in float32), back in x's type.
TensorRef InFloat32(Lowering& lo, const TensorRef& x, auto f) {
  return Cast(lo, f(Cast(lo, x, DType::F32)), x->dtype());
}

// x op number and number op x.
inline TensorRef With(Lowering& lo, OpId op, const TensorRef& x, double y) {
  return WithNumber(lo, op, x, y);
}
inline TensorRef From(Lowering& lo, OpId op, double x, const TensorRef& y) {
  return lo.Apply(op, {lo.Number(x, DType::F32), y});
}
inline TensorRef Pick(Lowering& lo, const TensorRef& condition,
                      const TensorRef& a, const TensorRef& b) {
  return lo.Apply(OpId::Where, {condition, a, b});
}

// scale * x + shift
TensorRef Affine(Lowering& lo, const TensorRef& x, double scale, double shift);
TensorRef ClampTo(Lowering& lo, const TensorRef& x, double low, double high);
// x where x is positive, else alpha * x.
TensorRef LeakyRelu(Lowering& lo, const TensorRef& x, double alpha);
TensorRef Elu(Lowering& lo, const TensorRef& x, double alpha);
TensorRef HardSigmoid(Lowering& lo, const TensorRef& x, double alpha,
                      double beta);
TensorRef ScaledTanh(Lowering& lo, const TensorRef& x, double alpha,
                     double beta);
TensorRef ThresholdedRelu(Lowering& lo, const TensorRef& x, double alpha);
TensorRef Softsign(Lowering& lo, const TensorRef& x);
// alpha * log(1 + exp(beta * x)); alpha and beta broadcast to x.
TensorRef ParametricSoftplus(Lowering& lo, const TensorRef& x,
                             const TensorRef& alpha, const TensorRef& beta);
TensorRef SoftmaxAlong(Lowering& lo, const TensorRef& x, int axis);

// A vector over axis `axis` of a tensor of this rank, ready to broadcast; a
// number as it is.
TensorRef AlongAxis(Lowering& lo, const TensorRef& v, int axis, int rank);

// x @ w.T + b with w [out, in]; b may be null.
TensorRef LinearOf(Lowering& lo, const TensorRef& x, const TensorRef& w,
                   const TensorRef& b);

// Zero mean and unit variance over `axes`, which differ; gamma and beta have the shape of
// those axes, or are null.
TensorRef NormaliseOver(Lowering& lo, const TensorRef& x,
                        const std::vector<int>& axes, const TensorRef& gamma,
                        const TensorRef& beta, double eps);
// (x - mean) / sqrt(variance + eps) * gamma + beta along axis 1.
TensorRef BatchNormOf(Lowering& lo, const TensorRef& x, const TensorRef& mean,
                      const TensorRef& variance, const TensorRef& gamma,
                      const TensorRef& beta, double eps);
// x / (k + alpha / size * sum of squares of `size` neighbouring channels)^beta
// along axis 1 (Krizhevsky et al. 2012).
TensorRef LocalResponseNormOf(Lowering& lo, const TensorRef& x, int64_t size,
                              double alpha, double beta, double k);

// A reduction whose axes stay as axes of size 1 where `keep` is set.
enum class Kept { kNo, kYes };
TensorRef ReduceOver(Lowering& lo, OpId op, const TensorRef& x,
                     const std::vector<int>& axes, Kept keep);

// The result of a function of the language (ops/functions.def); the last
// arguments, where they are not given, are none.
TensorRef CallFunction(Lowering& lo, std::string_view name,
                       std::initializer_list<Argument> arguments);

// x without these axes, which are of size 1.
TensorRef WithoutAxes(Lowering& lo, const TensorRef& x,
                      const std::vector<int>& axes);

}  // namespace tl::coreml
