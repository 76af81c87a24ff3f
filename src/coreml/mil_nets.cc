// Products, attention and norms.
#include <numeric>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

MilResult Linear(const MilCall& call) {
  return LinearOf(call.lo(), call.Tensor("x"), call.Tensor("weight"),
                  call.OptionalTensor("bias"));
}

// The last two axes exchanged where the flag says so.
TensorRef Side(const MilCall& call, std::string_view name,
               std::string_view flag) {
  const TensorRef x = call.Tensor(name);
  return call.Flag(flag, false) && x->rank() > 1
             ? SwapAxes(call.lo(), x, x->rank() - 2, x->rank() - 1)
             : x;
}

MilResult Matmul(const MilCall& call) {
  return MatrixProduct(call.lo(), Side(call, "x", "transpose_x"),
                       Side(call, "y", "transpose_y"));
}

MilResult Einsum(const MilCall& call) {
  std::vector<Argument> tensors;
  for (const TensorRef& x : call.Tensors("values")) {
    tensors.push_back(Argument::Of(x));
  }
  return CallFunction(call.lo(), "einsum",
                      {Argument::Text(call.Text("equation", "")),
                       Argument::List(std::move(tensors))});
}

// [.., seq, dim] as [.., seq, 1 head, dim].
TensorRef AsOneHead(Lowering& lo, const TensorRef& x) {
  return Unsqueeze(lo, x, x->rank() - 1);
}

// A mask of numbers is added to the scores.
TensorRef AttentionWithBias(Lowering& lo, const TensorRef& q,
                            const TensorRef& k, const TensorRef& v,
                            const TensorRef& bias, double scale) {
  const TensorRef product =
      ExactProduct(lo, q, SwapAxes(lo, k, k->rank() - 2, k->rank() - 1));
  const TensorRef scores =
      Binary(lo, OpId::Add, With(lo, OpId::Mul, product, scale), bias);
  const TensorRef weights = Unary(lo, OpId::Softmax, scores);
  return MatrixProduct(lo, Cast(lo, weights, v->dtype()), v);
}

// softmax(q k^T / sqrt(dim)) v over [.., seq, dim]; a mask of flags keeps where
// it is set.
MilResult ScaledDotProductAttention(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef q = call.Tensor("query"), k = call.Tensor("key"),
                  v = call.Tensor("value");
  const TensorRef mask = call.OptionalTensor("attn_mask");
  const bool fits = q->rank() >= 2 && k->rank() == q->rank() &&
                    v->rank() == q->rank() && (!mask || mask->rank() >= 2);
  if (!fits) {
    Fail(ErrorKind::kInput, "attention over shapes {}, {} and {}",
         q->shape().ToString(), k->shape().ToString(), v->shape().ToString());
  }
  const double scale =
      1 / std::sqrt(double(q->shape().dim(q->rank() - 1)));
  if (mask && mask->dtype() != DType::I32) {
    return AttentionWithBias(lo, q, k, v, mask, scale);
  }
  const TensorRef y = CallFunction(
      lo, "attention",
      {Argument::Of(AsOneHead(lo, q)), Argument::Of(AsOneHead(lo, k)),
       Argument::Of(AsOneHead(lo, v)),
       mask ? Argument::Of(Unsqueeze(lo, mask, mask->rank() - 2))
            : Argument::None(),
       Argument::Bool(false), Argument::Float(scale), Argument::Int(0),
       Argument::Float(0)});
  return WithoutAxes(lo, y, {y->rank() - 2});
}

MilResult BatchNorm(const MilCall& call) {
  return BatchNormOf(call.lo(), call.Tensor("x"), call.Tensor("mean"),
                     call.Tensor("variance"), call.OptionalTensor("gamma"),
                     call.OptionalTensor("beta"),
                     call.Number("epsilon", 1e-5));
}

// Every channel by itself: a norm over groups of one.
MilResult InstanceNorm(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const auto given = [&](std::string_view name) {
    return call.Has(name) ? Argument::Of(call.Tensor(name)) : Argument::None();
  };
  if (x->rank() < 3) {
    Fail(ErrorKind::kInput, "x of shape {} has no spatial axes",
         x->shape().ToString());
  }
  return CallFunction(call.lo(), "group_norm",
                      {Argument::Of(x), Argument::Int(x->shape().dim(1)),
                       given("gamma"), given("beta"),
                       Argument::Float(call.Number("epsilon", 1e-5))});
}

MilResult LayerNorm(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return NormaliseOver(call.lo(), x, call.Axes("axes", x->rank()),
                       call.OptionalTensor("gamma"),
                       call.OptionalTensor("beta"),
                       call.Number("epsilon", 1e-5));
}

// x / sqrt(sum(x^2) + epsilon) over the last three axes.
MilResult L2Norm(const MilCall& call) {
  Builder& lo = call.lo();
  return InFloat32(lo, call.Tensor("x"), [&](const TensorRef& x) {
    std::vector<int> axes;
    for (int axis = std::max(0, x->rank() - 3); axis < x->rank(); ++axis) {
      axes.push_back(axis);
    }
    const TensorRef sum =
        ReduceOver(lo, OpId::SumSquares, x, axes, Kept::kYes);
    const double epsilon = call.Number("epsilon", 1e-6);
    return Binary(lo, OpId::Mul, x,
                  Unary(lo, OpId::Rsqrt, With(lo, OpId::Add, sum, epsilon)));
  });
}

MilResult LocalResponseNorm(const MilCall& call) {
  return LocalResponseNormOf(call.lo(), call.Tensor("x"), call.Int("size"),
                             call.Number("alpha", 1e-4),
                             call.Number("beta", 0.75), call.Number("k", 1));
}

constexpr MilOp kOps[] = {
    {"batch_norm", BatchNorm},
    {"einsum", Einsum},
    {"instance_norm", InstanceNorm},
    {"l2_norm", L2Norm},
    {"layer_norm", LayerNorm},
    {"linear", Linear},
    {"local_response_norm", LocalResponseNorm},
    {"matmul", Matmul},
    {"scaled_dot_product_attention", ScaledDotProductAttention},
};

}  // namespace

std::span<const MilOp> NetOps() { return kOps; }

}  // namespace tl::coreml
