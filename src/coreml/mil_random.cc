// Random numbers. A seed gives the same ones in every prediction; without one,
// or with -1, they come from the generator of the language, which `tl run
// --seed` sets.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

TensorRef Drawn(const MilCall& call, OpId op, const Shape& shape) {
  const int64_t seed = call.Int("seed", -1);
  return RandomTensor(
      call.lo(), op,
      seed == -1 ? call.lo().NextSeed() : static_cast<uint64_t>(seed), shape,
      DType::F32);
}

// scale * the numbers + shift.
MilResult Distributed(const MilCall& call, OpId op, double scale,
                      double shift) {
  Builder& lo = call.lo();
  const TensorRef drawn = Drawn(call, op, ShapeOf(call.Ints("shape")));
  return Cast(lo, Affine(lo, drawn, scale, shift), call.host().dtype());
}

MilResult RandomUniform(const MilCall& call) {
  const double low = call.Number("low", 0), high = call.Number("high", 1);
  if (!(low <= high)) {
    Fail(ErrorKind::kInput, "random numbers from {} to {}", low, high);
  }
  return Distributed(call, OpId::Rand, high - low, low);
}

MilResult RandomNormal(const MilCall& call) {
  return Distributed(call, OpId::Randn, call.Number("stddev", 1),
                     call.Number("mean", 0));
}

MilResult RandomBernoulli(const MilCall& call) {
  Builder& lo = call.lo();
  const double prob = call.Number("prob", 0.5);
  if (!(prob >= 0 && prob <= 1)) {
    Fail(ErrorKind::kInput, "a probability of {}", prob);
  }
  const TensorRef drawn = Drawn(call, OpId::Rand, ShapeOf(call.Ints("shape")));
  return Cast(lo, With(lo, OpId::Less, drawn, prob), call.host().dtype());
}

// How many classes end before the point that was drawn on the line of all of
// them; one of no width is never hit.
MilResult RandomCategorical(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const int64_t size = call.Int("size", 1);
  const int last = x->rank() - 1;
  if (last < 0 || x->shape().dim(last) < 1 || size < 1) {
    Fail(ErrorKind::kInput, "{} draws from classes of shape {}", size,
         x->shape().ToString());
  }
  TensorRef weights = Cast(lo, x, DType::F32);
  const std::string_view mode = call.Text("mode", "logits");
  if (mode == "logits") {
    weights = SoftmaxAlong(lo, weights, last);
  } else if (mode != "probs") {
    Fail(ErrorKind::kInput, "mode '{}' is not known", mode);
  }
  const TensorRef ends =
      CallFunction(lo, "cumsum", {Argument::Of(weights), Argument::Int(last)});
  Shape shape = x->shape();
  shape[last] = size;
  const TensorRef whole = Slice(lo, ends, last, x->shape().dim(last) - 1, 1);
  const TensorRef points =
      Binary(lo, OpId::Mul, Drawn(call, OpId::Rand, shape), whole);
  const TensorRef before =
      Binary(lo, OpId::LessEqual, Unsqueeze(lo, ends, last + 1),
             Unsqueeze(lo, points, last));
  const TensorRef count = ReduceOver(
      lo, OpId::Sum, Cast(lo, before, DType::F32), {last}, Kept::kNo);
  return Cast(lo, count, call.host().dtype());
}

constexpr MilOp kOps[] = {
    {"random_bernoulli", RandomBernoulli},
    {"random_categorical", RandomCategorical},
    {"random_normal", RandomNormal},
    {"random_uniform", RandomUniform},
};

}  // namespace

std::span<const MilOp> RandomOps() { return kOps; }

}  // namespace tl::coreml
