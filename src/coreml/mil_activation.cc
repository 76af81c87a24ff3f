// Activation functions.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

MilResult Relu6(const MilCall& call) {
  return ClampTo(call.lo(), call.Tensor("x"), 0, 6);
}

MilResult ClampedRelu(const MilCall& call) {
  return With(call.lo(), OpId::Minimum,
              LeakyRelu(call.lo(), call.Tensor("x"), call.Number("alpha")),
              call.Number("beta"));
}

MilResult EluOf(const MilCall& call) {
  return Elu(call.lo(), call.Tensor("x"), call.Number("alpha", 1));
}

MilResult Gelu(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const std::string_view mode = call.Text("mode", "EXACT");
  if (mode == "EXACT") return Unary(lo, OpId::Gelu, x);
  if (mode == "TANH_APPROXIMATION") return Unary(lo, OpId::GeluTanh, x);
  if (mode != "SIGMOID_APPROXIMATION") {
    Fail(ErrorKind::kInput, "mode '{}' is not known", mode);
  }
  return InFloat32(lo, x, [&](const TensorRef& y) {
    return Binary(lo, OpId::Mul, y,
                  Unary(lo, OpId::Sigmoid, With(lo, OpId::Mul, y, 1.702)));
  });
}

MilResult LeakyReluOf(const MilCall& call) {
  return LeakyRelu(call.lo(), call.Tensor("x"), call.Number("alpha", 0.01));
}

MilResult LinearActivation(const MilCall& call) {
  return Affine(call.lo(), call.Tensor("x"), call.Number("alpha"),
                call.Number("beta", 0));
}

// A vector over the channels, axis 1.
TensorRef OverChannels(const MilCall& call, std::string_view name) {
  const TensorRef x = call.Tensor("x");
  return AlongAxis(call.lo(), call.Tensor(name), AxisOf(1, x->rank()),
                   x->rank());
}

MilResult Prelu(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const TensorRef negative =
      Binary(lo, OpId::Mul, x, OverChannels(call, "alpha"));
  return Pick(lo, With(lo, OpId::Greater, x, 0), x, negative);
}

MilResult ScaledTanhOf(const MilCall& call) {
  return ScaledTanh(call.lo(), call.Tensor("x"), call.Number("alpha", 1),
                    call.Number("beta", 1));
}

MilResult SigmoidHard(const MilCall& call) {
  return HardSigmoid(call.lo(), call.Tensor("x"), call.Number("alpha", 0.2),
                     call.Number("beta", 0.5));
}

MilResult SoftplusParametric(const MilCall& call) {
  return ParametricSoftplus(call.lo(), call.Tensor("x"),
                            OverChannels(call, "alpha"),
                            OverChannels(call, "beta"));
}

MilResult Softmax(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return SoftmaxAlong(call.lo(), x, call.Axis("axis", x->rank(), -1));
}

MilResult SoftsignOf(const MilCall& call) {
  return Softsign(call.lo(), call.Tensor("x"));
}

MilResult ThresholdedReluOf(const MilCall& call) {
  return ThresholdedRelu(call.lo(), call.Tensor("x"), call.Number("alpha", 1));
}

constexpr MilOp kOps[] = {
    {"clamped_relu", ClampedRelu},
    {"elu", EluOf},
    {"gelu", Gelu},
    {"leaky_relu", LeakyReluOf},
    {"linear_activation", LinearActivation},
    {"prelu", Prelu},
    {"relu", UnaryOf<OpId::Relu>},
    {"relu6", Relu6},
    {"scaled_tanh", ScaledTanhOf},
    {"sigmoid", UnaryOf<OpId::Sigmoid>},
    {"sigmoid_hard", SigmoidHard},
    {"silu", UnaryOf<OpId::Silu>},
    {"softmax", Softmax},
    {"softplus", UnaryOf<OpId::Softplus>},
    {"softplus_parametric", SoftplusParametric},
    {"softsign", SoftsignOf},
    {"thresholded_relu", ThresholdedReluOf},
};

}  // namespace

std::span<const MilOp> ActivationOps() { return kOps; }

}  // namespace tl::coreml
