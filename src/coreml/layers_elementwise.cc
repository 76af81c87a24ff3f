// Activations, arithmetic and comparisons.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"

namespace tl::coreml {
namespace {

// A vector over the channels, or a number.
TensorRef OverChannels(const LayerCall& call, const TensorRef& x,
                       const spec::WeightParams& weights) {
  const TensorRef v = call.Weight(weights);
  if (!v || x->rank() < 3) {
    Fail(ErrorKind::kInput, "an activation without its weights, or of shape {}",
         x->shape().ToString());
  }
  return AlongAxis(call.lo(), v, x->rank() - 3, x->rank());
}

}  // namespace

TensorRef Activate(const LayerCall& call, const spec::Activation& activation,
                   const TensorRef& x) {
  Builder& lo = call.lo();
  switch (activation.kind_case()) {
    case spec::Activation::kLinear:
      return Affine(lo, x, activation.linear().alpha(),
                    activation.linear().beta());
    case spec::Activation::kRelu:
      return Unary(lo, OpId::Relu, x);
    case spec::Activation::kLeakyRelu:
      return LeakyRelu(lo, x, activation.leaky_relu().alpha());
    case spec::Activation::kThresholdedRelu:
      return ThresholdedRelu(lo, x, activation.thresholded_relu().alpha());
    case spec::Activation::kPrelu: {
      const TensorRef slope = OverChannels(call, x, activation.prelu().alpha());
      return Pick(lo, With(lo, OpId::Greater, x, 0), x,
                  Binary(lo, OpId::Mul, x, slope));
    }
    case spec::Activation::kTanh:
      return Unary(lo, OpId::Tanh, x);
    case spec::Activation::kScaledTanh:
      return ScaledTanh(lo, x, activation.scaled_tanh().alpha(),
                        activation.scaled_tanh().beta());
    case spec::Activation::kSigmoid:
      return Unary(lo, OpId::Sigmoid, x);
    case spec::Activation::kSigmoidHard:
      return HardSigmoid(lo, x, activation.sigmoid_hard().alpha(),
                         activation.sigmoid_hard().beta());
    case spec::Activation::kElu:
      return Elu(lo, x, activation.elu().alpha());
    case spec::Activation::kSoftsign:
      return Softsign(lo, x);
    case spec::Activation::kSoftplus:
      return Unary(lo, OpId::Softplus, x);
    case spec::Activation::kParametricSoftplus:
      return ParametricSoftplus(
          lo, x,
          OverChannels(call, x, activation.parametric_softplus().alpha()),
          OverChannels(call, x, activation.parametric_softplus().beta()));
    case spec::Activation::KIND_NOT_SET:
      break;
  }
  Fail(ErrorKind::kInput, "an activation of no kind");
}

namespace {

using Kind = spec::Layer;

MilResult ActivationLayer(const LayerCall& call) {
  return Activate(call, call.layer().activation(), call.x());
}

template <OpId op>
MilResult One(const LayerCall& call) {
  return Unary(call.lo(), op, call.x());
}

template <OpId op>
MilResult Two(const LayerCall& call) {
  return Binary(call.lo(), op, call.x(0), call.x(1));
}

// Of all inputs, from the first to the last.
template <OpId op>
MilResult All(const LayerCall& call) {
  TensorRef y = call.x();
  for (size_t i = 1; i < call.inputs().size(); ++i) {
    y = Binary(call.lo(), op, y, call.x(i));
  }
  return y;
}

MilResult AddLayer(const LayerCall& call) {
  if (call.inputs().size() > 1) return All<OpId::Add>(call);
  return With(call.lo(), OpId::Add, call.x(), call.layer().add().alpha());
}

MilResult MultiplyLayer(const LayerCall& call) {
  if (call.inputs().size() > 1) return All<OpId::Mul>(call);
  return With(call.lo(), OpId::Mul, call.x(), call.layer().multiply().alpha());
}

MilResult AverageLayer(const LayerCall& call) {
  const double share = 1.0 / double(call.inputs().size());
  return With(call.lo(), OpId::Mul, All<OpId::Add>(call).values[0].tensor,
              share);
}

// f(scale * x + shift)
MilResult UnaryLayer(const LayerCall& call) {
  const spec::Unary& layer = call.layer().unary();
  Builder& lo = call.lo();
  return InFloat32(lo, call.x(), [&](const TensorRef& x) {
    const TensorRef y =
        Affine(lo, x, layer.scale() == 0 ? 1 : layer.scale(), layer.shift());
    const TensorRef guarded =
        With(lo, OpId::Add, y, layer.epsilon() == 0 ? 1e-6 : layer.epsilon());
    switch (layer.type()) {
      case spec::Unary::SQRT:
        return Unary(lo, OpId::Sqrt, y);
      case spec::Unary::RSQRT:
        return Unary(lo, OpId::Rsqrt, guarded);
      case spec::Unary::INVERSE:
        return From(lo, OpId::Div, 1, guarded);
      case spec::Unary::POWER:
        return With(lo, OpId::Pow, y, layer.alpha());
      case spec::Unary::EXP:
        return Unary(lo, OpId::Exp, y);
      case spec::Unary::LOG:
        return Unary(lo, OpId::Log, With(lo, OpId::Add, y, layer.epsilon()));
      case spec::Unary::ABS:
        return Unary(lo, OpId::Abs, y);
      case spec::Unary::THRESHOLD:
        return With(lo, OpId::Maximum, y, layer.alpha());
      default:
        Fail(ErrorKind::kInput, "a function of number {}", int(layer.type()));
    }
  });
}

MilResult ClipLayer(const LayerCall& call) {
  return ClampTo(call.lo(), call.x(), call.layer().clip().min_val(),
                 call.layer().clip().max_val());
}

MilResult GeluLayer(const LayerCall& call) {
  constexpr std::string_view kModes[] = {"EXACT", "TANH_APPROXIMATION",
                                         "SIGMOID_APPROXIMATION"};
  const size_t mode = static_cast<size_t>(call.layer().gelu().mode());
  return call.Mil(
      "gelu", {{"x", call.x()}, {"mode", kModes[std::min<size_t>(mode, 2)]}});
}

template <OpId op>
MilResult Comparison(const LayerCall& call, double alpha) {
  return call.inputs().size() > 1 ? Binary(call.lo(), op, call.x(0), call.x(1))
                                  : With(call.lo(), op, call.x(), alpha);
}

MilResult LessThan(const LayerCall& call) {
  return Comparison<OpId::Less>(call, call.layer().less_than().alpha());
}
MilResult LessEqual(const LayerCall& call) {
  return Comparison<OpId::LessEqual>(call, call.layer().less_equal().alpha());
}
MilResult GreaterThan(const LayerCall& call) {
  return Comparison<OpId::Greater>(call, call.layer().greater_than().alpha());
}
MilResult GreaterEqual(const LayerCall& call) {
  return Comparison<OpId::GreaterEqual>(call,
                                        call.layer().greater_equal().alpha());
}
MilResult Equal(const LayerCall& call) {
  return Comparison<OpId::Equal>(call, call.layer().equal().alpha());
}
MilResult NotEqual(const LayerCall& call) {
  return Comparison<OpId::NotEqual>(call, call.layer().not_equal().alpha());
}

// The MIL operation of the same name: of one input, or of two.
template <const char* name>
MilResult AsMil(const LayerCall& call) {
  return call.inputs().size() > 1
             ? call.Mil(name, {{"x", call.x(0)}, {"y", call.x(1)}})
             : call.Mil(name, {{"x", call.x()}});
}
constexpr char kAtan[] = "atan", kAsin[] = "asin", kAcos[] = "acos",
               kSinh[] = "sinh", kCosh[] = "cosh", kAtanh[] = "atanh",
               kExp2[] = "exp2", kFloorDiv[] = "floor_div", kMod[] = "mod";

// min(beta, x where it is positive, else alpha * x)
MilResult ClampedReluLayer(const LayerCall& call) {
  const spec::ClampedRelu& layer = call.layer().clamped_relu();
  return With(call.lo(), OpId::Minimum,
              LeakyRelu(call.lo(), call.x(), layer.alpha()), layer.beta());
}

// What is not 0 is true.
MilResult LogicalXor(const LayerCall& call) {
  const auto holds = [&](size_t i) {
    return With(call.lo(), OpId::NotEqual, call.x(i), 0);
  };
  return Binary(call.lo(), OpId::NotEqual, holds(0), holds(1));
}

// sign(x) log(|x| + sqrt(x^2 + 1))
MilResult Asinh(const LayerCall& call) {
  Builder& lo = call.lo();
  return InFloat32(lo, call.x(), [&](const TensorRef& x) {
    const TensorRef size = Unary(lo, OpId::Abs, x);
    const TensorRef root = Unary(
        lo, OpId::Sqrt, With(lo, OpId::Add, Unary(lo, OpId::Square, x), 1));
    return Binary(lo, OpId::Mul, Unary(lo, OpId::Sign, x),
                  Unary(lo, OpId::Log, Binary(lo, OpId::Add, size, root)));
  });
}

// log(x + sqrt(x^2 - 1))
MilResult Acosh(const LayerCall& call) {
  Builder& lo = call.lo();
  return InFloat32(lo, call.x(), [&](const TensorRef& x) {
    const TensorRef root = Unary(
        lo, OpId::Sqrt, With(lo, OpId::Sub, Unary(lo, OpId::Square, x), 1));
    return Unary(lo, OpId::Log, Binary(lo, OpId::Add, x, root));
  });
}

constexpr LayerOp kLayers[] = {
    {Kind::kAcos, AsMil<kAcos>},
    {Kind::kAcosh, Acosh},
    {Kind::kActivation, ActivationLayer},
    {Kind::kAdd, AddLayer},
    {Kind::kAddBroadcastable, Two<OpId::Add>},
    {Kind::kAsin, AsMil<kAsin>},
    {Kind::kAsinh, Asinh},
    {Kind::kAtan, AsMil<kAtan>},
    {Kind::kAtanh, AsMil<kAtanh>},
    {Kind::kAverage, AverageLayer},
    {Kind::kCeil, One<OpId::Ceil>},
    {Kind::kClampedRelu, ClampedReluLayer},
    {Kind::kClip, ClipLayer},
    {Kind::kCopy, One<OpId::Identity>},
    {Kind::kCos, One<OpId::Cos>},
    {Kind::kCosh, AsMil<kCosh>},
    {Kind::kDivideBroadcastable, Two<OpId::Div>},
    {Kind::kEqual, Equal},
    {Kind::kErf, One<OpId::Erf>},
    {Kind::kExp2, AsMil<kExp2>},
    {Kind::kFloor, One<OpId::Floor>},
    {Kind::kFloorDivBroadcastable, AsMil<kFloorDiv>},
    {Kind::kGelu, GeluLayer},
    {Kind::kGreaterEqual, GreaterEqual},
    {Kind::kGreaterThan, GreaterThan},
    {Kind::kLessEqual, LessEqual},
    {Kind::kLessThan, LessThan},
    {Kind::kLogicalAnd, Two<OpId::LogicalAnd>},
    {Kind::kLogicalNot, One<OpId::LogicalNot>},
    {Kind::kLogicalOr, Two<OpId::LogicalOr>},
    {Kind::kLogicalXor, LogicalXor},
    {Kind::kMax, All<OpId::Maximum>},
    {Kind::kMaxBroadcastable, All<OpId::Maximum>},
    {Kind::kMin, All<OpId::Minimum>},
    {Kind::kMinBroadcastable, All<OpId::Minimum>},
    {Kind::kModBroadcastable, AsMil<kMod>},
    {Kind::kMultiply, MultiplyLayer},
    {Kind::kMultiplyBroadcastable, Two<OpId::Mul>},
    {Kind::kNotEqual, NotEqual},
    {Kind::kPowBroadcastable, Two<OpId::Pow>},
    {Kind::kRound, One<OpId::Round>},
    {Kind::kSign, One<OpId::Sign>},
    {Kind::kSin, One<OpId::Sin>},
    {Kind::kSinh, AsMil<kSinh>},
    {Kind::kSubtractBroadcastable, Two<OpId::Sub>},
    {Kind::kTan, One<OpId::Tan>},
    {Kind::kTanh, One<OpId::Tanh>},
    {Kind::kUnary, UnaryLayer},
};

}  // namespace

std::span<const LayerOp> ElementwiseLayers() { return kLayers; }

}  // namespace tl::coreml
