#include "coreml/compose.h"

#include <algorithm>

#include "base/error.h"

namespace tl::coreml {
namespace {

std::vector<std::string_view> ParameterNames(std::string_view signature) {
  std::vector<std::string_view> names;
  for (size_t at = signature.find('('); at != std::string_view::npos;
       at = signature.find(", ", at + 1)) {
    const size_t begin = signature.find_first_not_of("(, ", at);
    names.push_back(
        signature.substr(begin, signature.find(':', begin) - begin));
  }
  return names;
}

}  // namespace

TensorRef Affine(Lowering& lo, const TensorRef& x, double scale,
                 double shift) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    return With(lo, OpId::Add, With(lo, OpId::Mul, y, scale), shift);
  });
}

TensorRef ClampTo(Lowering& lo, const TensorRef& x, double low, double high) {
  return lo.Apply(OpId::Clamp, {x, lo.Number(low, DType::F32),
                                lo.Number(high, DType::F32)});
}

TensorRef LeakyRelu(Lowering& lo, const TensorRef& x, double alpha) {
  const TensorRef negative = With(lo, OpId::Mul, x, alpha);
  return Pick(lo, With(lo, OpId::Greater, x, 0), x, negative);
}

TensorRef Elu(Lowering& lo, const TensorRef& x, double alpha) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef below =
        With(lo, OpId::Sub, Unary(lo, OpId::Exp, y), 1.0);
    return Pick(lo, With(lo, OpId::Greater, y, 0), y,
                With(lo, OpId::Mul, below, alpha));
  });
}

TensorRef HardSigmoid(Lowering& lo, const TensorRef& x, double alpha,
                      double beta) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    return ClampTo(lo, Affine(lo, y, alpha, beta), 0, 1);
  });
}

TensorRef ScaledTanh(Lowering& lo, const TensorRef& x, double alpha,
                     double beta) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    return With(lo, OpId::Mul,
                Unary(lo, OpId::Tanh, With(lo, OpId::Mul, y, beta)), alpha);
  });
}

TensorRef ThresholdedRelu(Lowering& lo, const TensorRef& x, double alpha) {
  return Pick(lo, With(lo, OpId::GreaterEqual, x, alpha), x,
              With(lo, OpId::Mul, x, 0.0));
}

TensorRef Softsign(Lowering& lo, const TensorRef& x) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef below =
        With(lo, OpId::Add, Unary(lo, OpId::Abs, y), 1.0);
    return Binary(lo, OpId::Div, y, below);
  });
}

TensorRef ParametricSoftplus(Lowering& lo, const TensorRef& x,
                             const TensorRef& alpha, const TensorRef& beta) {
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef soft =
        Unary(lo, OpId::Softplus, Binary(lo, OpId::Mul, y, beta));
    return Binary(lo, OpId::Mul, soft, alpha);
  });
}

TensorRef SoftmaxAlong(Lowering& lo, const TensorRef& x, int axis) {
  return OnLastAxis(lo, x, axis, [&](const TensorRef& y) {
    return Unary(lo, OpId::Softmax, y);
  });
}

TensorRef AlongAxis(Lowering& lo, const TensorRef& v, int axis, int rank) {
  if (v->rank() == 0) return v;
  Shape shape{v->shape().size()};
  for (int i = axis + 1; i < rank; ++i) shape.Append(1);
  return Reshape(lo, v, shape);
}

TensorRef LinearOf(Lowering& lo, const TensorRef& x, const TensorRef& w,
                   const TensorRef& b) {
  return CallFunction(lo, "linear",
                      {Argument::Of(x), Argument::Of(w),
                       b ? Argument::Of(b) : Argument::None(),
                       Argument::Bool(false)});
}

TensorRef NormaliseOver(Lowering& lo, const TensorRef& x,
                        const std::vector<int>& axes, const TensorRef& gamma,
                        const TensorRef& beta, double eps) {
  std::vector<int> order;
  for (int axis = 0; axis < x->rank(); ++axis) {
    if (!std::count(axes.begin(), axes.end(), axis)) order.push_back(axis);
  }
  const int kept = static_cast<int>(order.size());
  order.insert(order.end(), axes.begin(), axes.end());
  const TensorRef y = Permute(lo, x, order);
  Shape normalised;
  for (int i = kept; i < y->rank(); ++i) normalised.Append(y->shape()[i]);
  std::vector<TensorRef> inputs = {y};
  for (const TensorRef& v : {gamma, beta}) {
    if (!v) continue;
    if (!(v->shape() == normalised)) {
      Fail(ErrorKind::kInput, "a norm over axes of shape {} has weights of "
           "shape {}", normalised.ToString(), v->shape().ToString());
    }
    inputs.push_back(v);
  }
  const int64_t given = (gamma ? 1 : 0) | (beta ? 2 : 0);
  const TensorRef norm =
      lo.Apply(OpId::LayerNorm, inputs, {{x->rank() - kept, given}, {eps}});
  std::vector<int> back(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<int>(i);
  return Permute(lo, norm, back);
}

TensorRef BatchNormOf(Lowering& lo, const TensorRef& x, const TensorRef& mean,
                      const TensorRef& variance, const TensorRef& gamma,
                      const TensorRef& beta, double eps) {
  const auto given = [](const TensorRef& v) {
    return v ? Argument::Of(v) : Argument::None();
  };
  return CallFunction(lo, "batch_norm",
                      {Argument::Of(x), Argument::Of(mean),
                       Argument::Of(variance), given(gamma), given(beta),
                       Argument::Float(eps)});
}

TensorRef LocalResponseNormOf(Lowering& lo, const TensorRef& x, int64_t size,
                              double alpha, double beta, double k) {
  if (size < 1 || x->rank() < 2) {
    Fail(ErrorKind::kInput, "a norm over {} channels of shape {}", size,
         x->shape().ToString());
  }
  return InFloat32(lo, x, [&](const TensorRef& y) {
    const TensorRef squares = Unary(lo, OpId::Square, y);
    Shape padded = y->shape();
    padded[1] = padded[1] + Dim(size - 1);
    const TensorRef zeros = BroadcastTo(lo, lo.Number(0, DType::F32), padded);
    std::vector<int64_t> starts(y->rank(), 0), steps(y->rank(), 1);
    starts[1] = (size - 1) / 2;
    const TensorRef wide =
        Assign(lo, Cast(lo, zeros, DType::F32), starts, steps, y->shape(),
               squares);
    TensorRef sum;
    for (int64_t i = 0; i < size; ++i) {
      const TensorRef part = Slice(lo, wide, 1, i, y->shape()[1]);
      sum = sum ? Binary(lo, OpId::Add, sum, part) : part;
    }
    const TensorRef base =
        Affine(lo, sum, alpha / static_cast<double>(size), k);
    return Binary(lo, OpId::Div, y, With(lo, OpId::Pow, base, beta));
  });
}

TensorRef ReduceOver(Lowering& lo, OpId op, const TensorRef& x,
                     const std::vector<int>& axes, Kept keep) {
  const bool index = op == OpId::Argmax || op == OpId::Argmin;
  TensorRef reduced = Reduce(lo, op, x, axes);
  if (!index) reduced = Cast(lo, reduced, x->dtype());
  if (keep == Kept::kNo) return reduced;
  Shape shape = x->shape();
  for (int axis : axes) shape[axis] = 1;
  return Reshape(lo, reduced, shape);
}

TensorRef CallFunction(Lowering& lo, std::string_view name,
                       std::initializer_list<Argument> arguments) {
  const FunctionInfo* info = FindFunction(name);
  TL_CHECK(info != nullptr);
  const std::vector<std::string_view> names = ParameterNames(info->signature);
  TL_CHECK(arguments.size() <= names.size());
  std::vector<Argument> given(arguments);
  given.resize(names.size());
  return info->lower(Call(info->name, names, given, lo)).tensors[0];
}

TensorRef WithoutAxes(Lowering& lo, const TensorRef& x,
                      const std::vector<int>& axes) {
  Shape shape;
  for (int axis = 0; axis < x->rank(); ++axis) {
    if (!std::count(axes.begin(), axes.end(), axis)) {
      shape.Append(x->shape()[axis]);
    } else if (x->shape().dim(axis) != 1) {
      Fail(ErrorKind::kInput, "axis {} of shape {} is squeezed; it is not 1",
           axis, x->shape().ToString());
    }
  }
  return Reshape(lo, x, shape);
}

}  // namespace tl::coreml
