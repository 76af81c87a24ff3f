// Functions of neural nets.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

using Kind = Argument::Kind;

constexpr double kLowestF16 = -65504;
constexpr double kLowestF32 = -3.4028234663852886e38;

void RequireRank(const Call& call, const TensorRef& x, int rank,
                 std::string_view layout) {
  if (x->rank() < rank) {
    Fail(ErrorKind::kProgram, "{}: x of shape {} is not {}", call.function(),
         x->shape().ToString(), layout);
  }
}

// A weight of a norm must be exactly the normalised shape.
void RequireShape(const Call& call, size_t i, const TensorRef& w,
                  const Shape& shape) {
  bool fits = w->rank() == shape.rank();
  for (int axis = 0; fits && axis < shape.rank(); ++axis) {
    fits = !Clash(w->shape()[axis], shape[axis]);
  }
  if (!fits) {
    Fail(ErrorKind::kProgram, "{}: argument {} of shape {} does not fit; "
         "expected {}", call.function(), i + 1, w->shape().ToString(),
         shape.ToString());
  }
}

Shape LastAxes(const TensorRef& x, int count) {
  Shape shape;
  for (int axis = x->rank() - count; axis < x->rank(); ++axis) {
    shape.Append(x->shape()[axis]);
  }
  return shape;
}

// A vector over channels, shaped to broadcast along axis 1 of x.
TensorRef AlongChannels(const Call& call, size_t i, const TensorRef& x) {
  const TensorRef v = call.Tensor(i);
  RequireShape(call, i, v, Shape{x->shape()[1]});
  Shape shape{x->shape()[1]};
  for (int axis = 2; axis < x->rank(); ++axis) shape.Append(1);
  return Reshape(call.lowering(), v, shape);
}

bool IsListOfInts(const Argument& a) {
  return a.is(Kind::kList) &&
         std::all_of(a.list.begin(), a.list.end(),
                     [](const Argument& item) { return item.is(Kind::kInt); });
}

struct LayerNormArguments {
  Shape shape;
  int w = -1, b = -1;  // argument positions, -1 absent
  double eps = 1e-5;
};

// layer_norm(x, [shape], w, b, eps), (x, [shape], eps), (x, w, b, eps).
LayerNormArguments LayerNormForm(const Call& call, const TensorRef& x) {
  LayerNormArguments form;
  if (call[1].is(Kind::kUnknown)) throw NotKnown{};
  int next = 2;
  if (!IsListOfInts(call[1]) && !call[1].is_number()) {
    form.shape = call.Tensor(1)->shape();
    form.w = 1;
  } else {
    const std::vector<Dim> sizes = call.Sizes(1).dims;
    form.shape = Shape(sizes);
    if (call.has(2) && !call[2].is_number()) form.w = next++;
  }
  if (form.w >= 0 && call.has(next) && !call[next].is_number()) {
    form.b = next++;
  }
  form.eps = call.Number(4);
  for (int i = next; i < 4; ++i) {
    if (call.has(i) && call[i].is_number()) form.eps = call.Number(i);
  }
  const Shape normalised = LastAxes(x, std::min(form.shape.rank(), x->rank()));
  for (int axis = 0; axis < form.shape.rank(); ++axis) {
    if (form.shape.rank() > x->rank() ||
        Clash(form.shape[axis], normalised[axis])) {
      Fail(ErrorKind::kProgram,
           "layer_norm: {} are not the last axes of x, which is {}",
           form.shape.ToString(), x->shape().ToString());
    }
  }
  return form;
}

}  // namespace

FunctionResult Softmax(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  return OnLastAxis(lo, x, call.Axis(1, x->rank()), [&](const TensorRef& y) {
    return Unary(lo, OpId::Softmax, y);
  });
}

FunctionResult LogSoftmax(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  return OnLastAxis(lo, x, call.Axis(1, x->rank()), [&](const TensorRef& y) {
    return Unary(lo, OpId::LogSoftmax, y);
  });
}

FunctionResult LayerNorm(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  const LayerNormArguments form = LayerNormForm(call, x);
  InlineVector<TensorRef, 4> inputs = {x};
  int64_t given = 0;
  if (form.w >= 0) {
    inputs.push_back(call.Tensor(form.w));
    RequireShape(call, form.w, inputs.back(), form.shape);
    given |= 1;
  }
  if (form.b >= 0) {
    inputs.push_back(call.Tensor(form.b));
    RequireShape(call, form.b, inputs.back(), form.shape);
    given |= 2;
  }
  return lo.Apply(OpId::LayerNorm, inputs,
                  {{form.shape.rank(), given}, {form.eps}});
}

FunctionResult RmsNorm(const Call& call) {
  const TensorRef x = call.Tensor(0);
  RequireRank(call, x, 1, "[.., dim]");
  InlineVector<TensorRef, 4> inputs = {x};
  if (call.has(1)) {
    inputs.push_back(call.Tensor(1));
    RequireShape(call, 1, inputs.back(), LastAxes(x, 1));
  }
  return call.lowering().Apply(OpId::RmsNorm, inputs, {{}, {call.Number(2)}});
}

// (x - mean) / sqrt(var + eps) * w + b, folded into x * scale + shift in
// float32: two operations whatever is given.
FunctionResult BatchNorm(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  RequireRank(call, x, 2, "[batch, channels, ..]");
  const auto channels = [&](size_t i) {
    return Cast(lo, AlongChannels(call, i, x), DType::F32);
  };
  const TensorRef mean = channels(1), var = channels(2);
  TensorRef scale = Unary(
      lo, OpId::Rsqrt, WithNumber(lo, OpId::Add, var, call.Number(5)));
  if (call.has(3)) scale = Binary(lo, OpId::Mul, scale, channels(3));
  TensorRef shift =
      Unary(lo, OpId::Neg, Binary(lo, OpId::Mul, mean, scale));
  if (call.has(4)) shift = Binary(lo, OpId::Add, shift, channels(4));
  const TensorRef y =
      Binary(lo, OpId::Add, Binary(lo, OpId::Mul, x, scale), shift);
  return Cast(lo, y, x->dtype() == DType::F32 ? DType::F32 : DType::F16);
}

namespace {

// [n, c, ..] as [n, groups, c / groups * ..], normalised over the last axis.
// `w`, `b` and `eps` are arguments of the call.
TensorRef NormaliseGroups(const Call& call, const TensorRef& x, Dim groups,
                          size_t w, size_t b, size_t eps) {
  Lowering& lo = call.lowering();
  Dim rest = DivideExact(x->shape()[1], groups);
  for (int axis = 2; axis < x->rank(); ++axis) rest = rest * x->shape()[axis];
  // In float32 until its own result is rounded.
  TensorRef y = Cast(lo, Reshape(lo, x, Shape{x->shape()[0], groups, rest}),
                     DType::F32);
  y = lo.Apply(OpId::LayerNorm, {y}, {{1, 0}, {call.Number(eps)}});
  y = Reshape(lo, y, x->shape());
  if (call.has(w)) y = Binary(lo, OpId::Mul, y, AlongChannels(call, w, x));
  if (call.has(b)) y = Binary(lo, OpId::Add, y, AlongChannels(call, b, x));
  return Cast(lo, y, x->dtype() == DType::F32 ? DType::F32 : DType::F16);
}

}  // namespace

FunctionResult GroupNorm(const Call& call) {
  const TensorRef x = call.Tensor(0);
  RequireRank(call, x, 2, "[batch, channels, ..]");
  const Dim groups = call.Size(1), channels = x->shape()[1];
  if (channels.known() && groups.known() &&
      (groups.value() == 0 || channels.value() % groups.value() != 0)) {
    Fail(ErrorKind::kProgram, "group_norm: {} channels do not divide into {} "
         "groups", channels.value(), groups.value());
  }
  return NormaliseGroups(call, x, groups, 2, 3, 4);
}

FunctionResult InstanceNorm(const Call& call) {
  const TensorRef x = call.Tensor(0);
  RequireRank(call, x, 3, "[batch, channels, ..]");
  return NormaliseGroups(call, x, x->shape()[1], 1, 2, 3);
}

FunctionResult Dropout(const Call& call) { return call.Tensor(0); }

FunctionResult Embedding(const Call& call) {
  TensorRef table = call.Tensor(0), ids = call.Tensor(1);
  if (table->dtype() == DType::I32 && ids->dtype() != DType::I32 &&
      ids->rank() == 2) {
    std::swap(table, ids);  // PyTorch's order
  }
  if (table->rank() != 2) {
    Fail(ErrorKind::kProgram, "embedding: a table of shape {} is not [ids, dim]",
         table->shape().ToString());
  }
  return IndexSelect(call.lowering(), table, 0, ids);
}

// rope(x, position): angle[p, i] = (position + p) * base^(-2i / dim), computed
// in float32 (Su et al. 2021). rope(x, cos, sin) takes the tables instead.
FunctionResult Rope(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  RequireRank(call, x, 3, "[.., seq, heads, dim]");
  const Dim seq = x->shape()[x->rank() - 3], dim = x->shape()[x->rank() - 1];
  const Dim half = DivideExact(dim, 2);
  if (half.unknown() && dim.known()) {
    Fail(ErrorKind::kProgram, "rope: the last axis of {} is not even",
         x->shape().ToString());
  }
  const std::string_view style = call.Text(4);
  if (style != "pairs" && style != "half") {
    Fail(ErrorKind::kProgram, "rope: 'style' is \"{}\"; expected \"pairs\" or "
         "\"half\"", style);
  }
  TensorRef cos, sin;
  if (call.has(2)) {
    cos = Cast(lo, call.Tensor(1), DType::F32);
    sin = Cast(lo, call.Tensor(2), DType::F32);
    // Tables of fewer columns rotate the first numbers of a head alone.
    const bool part = cos->rank() == 2 && cos->shape()[1].known() &&
                      half.known() &&
                      cos->shape()[1].value() < half.value();
    const Dim columns = part ? cos->shape()[1] : half;
    RequireShape(call, 1, cos, Shape{seq, columns});
    RequireShape(call, 2, sin, Shape{seq, columns});
    if (part) {
      const int64_t rotated = 2 * columns.value();
      const int last = x->rank() - 1;
      const TensorRef first = lo.Apply(
          OpId::Rope, {Slice(lo, x, last, 0, rotated), cos, sin},
          {{style == "half"}, {}});
      return Concat(
          lo, {first, Slice(lo, x, last, rotated, dim.value() - rotated)},
          last);
    }
  } else {
    const double rate =
        dim.known() ? -2 * std::log(call.Number(3)) / double(dim.value()) : 0;
    const TensorRef frequency =
        Unary(lo, OpId::Exp, Iota(lo, half, DType::F32, 0, rate));
    const TensorRef position = Unsqueeze(
        lo, Iota(lo, seq, DType::F32, call.Number(1)), 1);
    const TensorRef angle = Binary(lo, OpId::Mul, position, frequency);
    cos = Unary(lo, OpId::Cos, angle);
    sin = Unary(lo, OpId::Sin, angle);
  }
  return lo.Apply(OpId::Rope, {x, cos, sin}, {{style == "half"}, {}});
}

// In float32 inside: a float16 log_softmax would round twice.
FunctionResult CrossEntropy(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef logits = call.Tensor(0), targets = call.Tensor(1);
  if (logits->rank() != 2 || targets->rank() != 1 ||
      Clash(logits->shape()[0], targets->shape()[0])) {
    Fail(ErrorKind::kProgram, "cross_entropy: logits {} and targets {} are not "
         "[n, classes] and [n]", logits->shape().ToString(),
         targets->shape().ToString());
  }
  const TensorRef log_p =
      Unary(lo, OpId::LogSoftmax, Cast(lo, logits, DType::F32));
  const TensorRef index =
      Unsqueeze(lo, Cast(lo, targets, DType::I32), 1);
  const TensorRef picked = lo.Apply(OpId::Gather, {log_p, index}, {{1}, {}});
  return Unary(lo, OpId::Neg, Reduce(lo, OpId::Mean, picked, {0, 1}));
}

FunctionResult MseLoss(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = Cast(lo, call.Tensor(0), DType::F32);
  const TensorRef error =
      Binary(lo, OpId::Sub, x, Cast(lo, call.Tensor(1), DType::F32));
  std::vector<int> axes(error->rank());
  for (int i = 0; i < error->rank(); ++i) axes[i] = i;
  return Reduce(lo, OpId::Mean, Unary(lo, OpId::Square, error), axes);
}

FunctionResult CombineMasks(const Call& call) {
  return Binary(call.lowering(), OpId::LogicalAnd, call.Tensor(0),
                call.Tensor(1));
}

FunctionResult ApplyAttentionMask(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef scores = call.Tensor(0);
  const double lowest = scores->dtype() == DType::F32 ? kLowestF32 : kLowestF16;
  return lo.Apply(OpId::Where, {call.Tensor(1), scores,
                                lo.Number(lowest, DType::F32)});
}

FunctionResult Attention(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef q = call.Tensor(0), k = call.Tensor(1), v = call.Tensor(2);
  RequireRank(call, q, 3, "[.., seq, heads, dim]");
  const int r = q->rank();
  const auto dim = [&](const TensorRef& x, int i) { return x->shape()[r - i]; };
  bool fits = k->rank() == r && v->rank() == r && !Clash(dim(q, 1), dim(k, 1)) &&
              !Clash(dim(k, 2), dim(v, 2)) && !Clash(dim(k, 3), dim(v, 3));
  const bool known_heads = fits && dim(q, 2).known() && dim(k, 2).known();
  fits = fits && !(known_heads && (dim(k, 2).value() == 0 ||
                                   dim(q, 2).value() % dim(k, 2).value() != 0));
  for (int i = 4; fits && i <= r; ++i) {
    fits = !Clash(dim(q, i), dim(k, i)) && !Clash(dim(q, i), dim(v, i));
  }
  if (!fits) {
    Fail(ErrorKind::kProgram,
         "attention: q {}, k {} and v {} do not fit; expected [.., seq, heads, "
         "dim], the heads of k and v dividing those of q",
         q->shape().ToString(), k->shape().ToString(), v->shape().ToString());
  }
  // With a cache, k and v are its whole buffers, and it says how many of their
  // positions are written.
  const bool cached = call.has(8);
  InlineVector<TensorRef, 4> inputs = {q, k, v};
  if (call.has(3)) {
    Shape scores;
    for (int i = r; i > 3; --i) scores.Append(dim(q, i));
    scores.Append(dim(q, 2));
    scores.Append(dim(q, 3));
    scores.Append(cached ? Dim(call.Int(8)) : dim(k, 3));
    inputs.push_back(BroadcastTo(lo, call.Tensor(3), scores));
  }
  const double scale =
      call.has(5) ? call.Number(5)
      : dim(q, 1).known() ? 1 / std::sqrt(double(dim(q, 1).value()))
                          : 1;
  return lo.Apply(OpId::Attention, inputs,
                  {{call.has(4) ? call.Flag(4) : cached, call.has(3),
                    call.has(6) ? call.Int(6) : 0},
                   {scale, call.has(7) ? call.Number(7) : 0, cached ? call.Number(8) : 0}});
}

FunctionResult Clamp(const Call& call) {
  Lowering& lo = call.lowering();
  TensorRef x = call.Tensor(0);
  if (call.has(1)) x = Binary(lo, OpId::Maximum, x, call.Tensor(1));
  if (call.has(2)) x = Binary(lo, OpId::Minimum, x, call.Tensor(2));
  return x;
}

FunctionResult Gelu(const Call& call) {
  const std::string_view approx = call.Text(1);
  if (approx != "none" && approx != "tanh") {
    Fail(ErrorKind::kProgram,
         "gelu: 'approx' is \"{}\"; expected \"none\" or \"tanh\"", approx);
  }
  return Unary(call.lowering(),
               approx == "tanh" ? OpId::GeluTanh : OpId::Gelu, call.Tensor(0));
}

FunctionResult FusedAddRelu(const Call& call) {
  Lowering& lo = call.lowering();
  return Unary(lo, OpId::Relu,
               Binary(lo, OpId::Add, call.Tensor(0), call.Tensor(1)));
}

FunctionResult FusedMulRelu(const Call& call) {
  Lowering& lo = call.lowering();
  return Unary(lo, OpId::Relu,
               Binary(lo, OpId::Mul, call.Tensor(0), call.Tensor(1)));
}

FunctionResult FusedAffine(const Call& call) {
  Lowering& lo = call.lowering();
  return Binary(lo, OpId::Add,
                Binary(lo, OpId::Mul, call.Tensor(0), call.Tensor(1)),
                call.Tensor(2));
}

}  // namespace tl::functions
