// Arithmetic, comparisons, conversions.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

bool IsFloat(const TensorRef& x) { return x->dtype() != DType::I32; }

// f of x in float32, rounded once.
MilResult OfX(const MilCall& call, auto f) {
  return InFloat32(call.lo(), call.Tensor("x"), f);
}

MilResult FloorDiv(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"), y = call.Tensor("y");
  const TensorRef quotient =
      Binary(lo, OpId::Div, Cast(lo, x, DType::F32), Cast(lo, y, DType::F32));
  const TensorType types[] = {x->type(), y->type()};
  return Cast(lo, Unary(lo, OpId::Floor, quotient), Promote(types));
}

// Python's %: the sign of the divisor.
MilResult Mod(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x"), y = call.Tensor("y");
  const TensorRef rest = Binary(lo, OpId::Fmod, x, y);
  const TensorRef wrong = Binary(
      lo, OpId::LogicalAnd, WithInt(lo, OpId::NotEqual, rest, 0),
      Binary(lo, OpId::NotEqual, WithInt(lo, OpId::Less, rest, 0),
             WithInt(lo, OpId::Less, y, 0)));
  return Pick(lo, wrong, Binary(lo, OpId::Add, rest, y), rest);
}

MilResult Clip(const MilCall& call) {
  return ClampTo(call.lo(), call.Tensor("x"), call.Number("alpha"),
                 call.Number("beta"));
}

// (exp(x) + sign * exp(-x)) / 2
MilResult Hyperbolic(const MilCall& call, OpId op) {
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    const TensorRef up = Unary(lo, OpId::Exp, x);
    const TensorRef down = Unary(lo, OpId::Exp, Unary(lo, OpId::Neg, x));
    return With(lo, OpId::Mul, Binary(lo, op, up, down), 0.5);
  });
}

MilResult Cosh(const MilCall& call) { return Hyperbolic(call, OpId::Add); }
MilResult Sinh(const MilCall& call) { return Hyperbolic(call, OpId::Sub); }

// log((1 + x) / (1 - x)) / 2
MilResult Atanh(const MilCall& call) {
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    const TensorRef ratio = Binary(lo, OpId::Div, With(lo, OpId::Add, x, 1),
                                   From(lo, OpId::Sub, 1, x));
    return With(lo, OpId::Mul, Unary(lo, OpId::Log, ratio), 0.5);
  });
}

constexpr double kPi = 3.14159265358979323846;

// Of a float32 x: its series where |x| <= tan(pi / 8), to which the rest is
// brought by atan(a) = pi / 2 - atan(1 / a) = pi / 4 + atan((a - 1) / (a + 1)).
// Nine terms leave an error below 3e-9.
TensorRef Arctangent(Lowering& lo, const TensorRef& x) {
  constexpr double kTanPi8 = 0.41421356237309503;
  const TensorRef a = Unary(lo, OpId::Abs, x);
  const TensorRef beyond = With(lo, OpId::Greater, a, 1);
  const TensorRef b = Pick(lo, beyond, From(lo, OpId::Div, 1, a), a);
  const TensorRef large = With(lo, OpId::Greater, b, kTanPi8);
  const TensorRef turned = Binary(lo, OpId::Div, With(lo, OpId::Sub, b, 1),
                                  With(lo, OpId::Add, b, 1));
  const TensorRef z = Pick(lo, large, turned, b);
  const TensorRef square = Unary(lo, OpId::Square, z);
  TensorRef series = With(lo, OpId::Mul, square, 0.0);
  for (int k = 8; k >= 0; --k) {
    const double term = (k % 2 == 0 ? 1.0 : -1.0) / (2 * k + 1);
    series = With(lo, OpId::Add, Binary(lo, OpId::Mul, series, square), term);
  }
  TensorRef angle = Binary(lo, OpId::Mul, z, series);
  angle = Pick(lo, large, With(lo, OpId::Add, angle, kPi / 4), angle);
  angle = Pick(lo, beyond, From(lo, OpId::Sub, kPi / 2, angle), angle);
  return Binary(lo, OpId::Mul, angle, Unary(lo, OpId::Sign, x));
}

TensorRef Arcsine(Lowering& lo, const TensorRef& x) {
  const TensorRef rest =
      From(lo, OpId::Sub, 1, Unary(lo, OpId::Square, x));
  return Arctangent(
      lo, Binary(lo, OpId::Div, x, Unary(lo, OpId::Sqrt, rest)));
}

MilResult Atan(const MilCall& call) {
  return OfX(call, [&](const TensorRef& x) { return Arctangent(call.lo(), x); });
}

MilResult Asin(const MilCall& call) {
  return OfX(call, [&](const TensorRef& x) { return Arcsine(call.lo(), x); });
}

MilResult Acos(const MilCall& call) {
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    return From(lo, OpId::Sub, kPi / 2, Arcsine(lo, x));
  });
}

MilResult Exp2(const MilCall& call) {
  constexpr double kLog2 = 0.6931471805599453;
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    return Unary(lo, OpId::Exp, With(lo, OpId::Mul, x, kLog2));
  });
}

// f(x + epsilon)
MilResult WithEpsilon(const MilCall& call, OpId op, double otherwise) {
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    const double epsilon = call.Number("epsilon", otherwise);
    return Unary(lo, op, With(lo, OpId::Add, x, epsilon));
  });
}

MilResult Log(const MilCall& call) {
  return WithEpsilon(call, OpId::Log, 1e-45);
}
MilResult Rsqrt(const MilCall& call) {
  return WithEpsilon(call, OpId::Rsqrt, 1e-12);
}

MilResult Inverse(const MilCall& call) {
  Builder& lo = call.lo();
  return OfX(call, [&](const TensorRef& x) {
    const double epsilon = call.Number("epsilon", 1e-4);
    return From(lo, OpId::Div, 1, With(lo, OpId::Add, x, epsilon));
  });
}

MilResult Threshold(const MilCall& call) {
  return With(call.lo(), OpId::Maximum, call.Tensor("x"),
              call.Number("alpha"));
}

// Floats are all of one type here; see Host::dtype.
MilResult CastTo(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const std::string_view type = call.Text("dtype", "");
  if (type == "bool") return WithInt(lo, OpId::NotEqual, x, 0);
  if (type.starts_with("int") || type.starts_with("uint")) {
    return Cast(lo, x, DType::I32);
  }
  if (!type.starts_with("fp")) {
    Fail(ErrorKind::kInput, "a cast to '{}' is not known", type);
  }
  // Of rank 0, floats are float32: they are factors and bounds.
  const DType dtype = x->rank() == 0 ? DType::F32 : call.host().dtype();
  return Cast(lo, x, dtype);
}

MilResult Select(const MilCall& call) {
  return Pick(call.lo(), call.Tensor("cond"), call.Tensor("a"),
              call.Tensor("b"));
}

// The scale or zero point: of the whole tensor, or one along `axis`.
TensorRef PerChannel(const MilCall& call, std::string_view name,
                     const TensorRef& x) {
  const TensorRef v = call.Tensor(name);
  return AlongAxis(call.lo(), v, call.Axis("axis", x->rank(), 0), x->rank());
}

// clamp(round(x / scale) + zero point)
MilResult Quantize(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("input");
  TensorRef q = Unary(lo, OpId::Round,
                      Binary(lo, OpId::Div, Cast(lo, x, DType::F32),
                             PerChannel(call, "scale", x)));
  if (call.Has("zero_point")) {
    q = Binary(lo, OpId::Add, q, PerChannel(call, "zero_point", x));
  }
  const bool is_signed = call.Text("output_dtype", "int8") == "int8";
  return Cast(lo, ClampTo(lo, q, is_signed ? -128 : 0, is_signed ? 127 : 255),
              DType::I32);
}

MilResult Dequantize(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("input");
  TensorRef y = Cast(lo, x, DType::F32);
  if (call.Has("zero_point")) {
    y = Binary(lo, OpId::Sub, y, PerChannel(call, "zero_point", x));
  }
  y = Binary(lo, OpId::Mul, y, PerChannel(call, "scale", x));
  return Cast(lo, y, call.host().dtype());
}

// Ints are divided as floats and cut, as the specification says.
MilResult RealDiv(const MilCall& call) {
  const TensorRef x = call.Tensor("x"), y = call.Tensor("y");
  const TensorRef quotient = Binary(call.lo(), OpId::Div, x, y);
  return IsFloat(x) || IsFloat(y) ? quotient
                                  : Cast(call.lo(), quotient, DType::I32);
}

constexpr MilOp kOps[] = {
    {"abs", UnaryOf<OpId::Abs>},
    {"acos", Acos},
    {"add", BinaryOf<OpId::Add>},
    {"asin", Asin},
    {"atan", Atan},
    {"atanh", Atanh},
    {"cast", CastTo},
    {"ceil", UnaryOf<OpId::Ceil>},
    {"clip", Clip},
    {"cos", UnaryOf<OpId::Cos>},
    {"cosh", Cosh},
    {"dequantize", Dequantize},
    {"equal", BinaryOf<OpId::Equal>},
    {"erf", UnaryOf<OpId::Erf>},
    {"exp", UnaryOf<OpId::Exp>},
    {"exp2", Exp2},
    {"floor", UnaryOf<OpId::Floor>},
    {"floor_div", FloorDiv},
    {"greater", BinaryOf<OpId::Greater>},
    {"greater_equal", BinaryOf<OpId::GreaterEqual>},
    {"identity", UnaryOf<OpId::Identity>},
    {"inverse", Inverse},
    {"less", BinaryOf<OpId::Less>},
    {"less_equal", BinaryOf<OpId::LessEqual>},
    {"log", Log},
    {"logical_and", BinaryOf<OpId::LogicalAnd>},
    {"logical_not", UnaryOf<OpId::LogicalNot>},
    {"logical_or", BinaryOf<OpId::LogicalOr>},
    {"logical_xor", BinaryOf<OpId::NotEqual>},
    {"maximum", BinaryOf<OpId::Maximum>},
    {"minimum", BinaryOf<OpId::Minimum>},
    {"mod", Mod},
    {"mul", BinaryOf<OpId::Mul>},
    {"not_equal", BinaryOf<OpId::NotEqual>},
    {"pow", BinaryOf<OpId::Pow>},
    {"quantize", Quantize},
    {"real_div", RealDiv},
    {"round", UnaryOf<OpId::Round>},
    {"rsqrt", Rsqrt},
    {"select", Select},
    {"sign", UnaryOf<OpId::Sign>},
    {"sin", UnaryOf<OpId::Sin>},
    {"sinh", Sinh},
    {"sqrt", UnaryOf<OpId::Sqrt>},
    {"square", UnaryOf<OpId::Square>},
    {"sub", BinaryOf<OpId::Sub>},
    {"tan", UnaryOf<OpId::Tan>},
    {"tanh", UnaryOf<OpId::Tanh>},
    {"threshold", Threshold},
};

}  // namespace

std::span<const MilOp> ElementwiseOps() { return kOps; }

}  // namespace tl::coreml
